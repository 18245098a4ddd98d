"""Shared fixtures: where real films are, and files that are generated and kept."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-golden", action="store_true", help="rewrite generated files instead of comparing them")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with a file of the repository, or write it there under `--rewrite-golden`."""

    def check(name: str, text: str) -> None:
        path = REPOSITORY / name
        if request.config.getoption("--rewrite-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        said = path.read_text(encoding="utf-8") if path.is_file() else ""
        assert said == text, f"{name} is out of date; make golden rewrites it"

    return check


@pytest.fixture(scope="session")
def films_root() -> Path:
    """Folder of hand-labelled real radiographs; set `LRRG_FILMS` to use another."""
    root = Path(os.environ.get("LRRG_FILMS", REPOSITORY.parent / "shared" / "data" / "cxr"))
    if not root.is_dir():
        pytest.skip(f"no labelled radiographs at {root}; set LRRG_FILMS to a folder with manifest*.csv")
    return root
