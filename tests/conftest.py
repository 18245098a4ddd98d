"""Shared fixtures: where real films are, and what to say when they are absent."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def films_root() -> Path:
    """Folder of hand-labelled real radiographs; set `LRRG_FILMS` to use another."""
    root = Path(os.environ.get("LRRG_FILMS", REPOSITORY.parent / "shared" / "data" / "cxr"))
    if not root.is_dir():
        pytest.skip(f"no labelled radiographs at {root}; set LRRG_FILMS to a folder with manifest*.csv")
    return root
