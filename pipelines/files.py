"""Files that stages write: each appears whole or not at all."""

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A file beside `path` to write in its place: it gets that name at the end, or goes where writing failed.

    Nobody else writes that file, on whatever machine. Its name ends as the other's, since libraries go by that.
    """
    part = path.with_name(f".{secrets.token_hex(4)}.{path.name}")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file that people can read and compare; equal values give equal bytes."""
    with atomic(path) as part:
        part.write_text(json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def sha256(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
