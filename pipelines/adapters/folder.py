"""Any folder of PNG, JPEG and DICOM files."""

import logging
import os
import zlib
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

from ..places import Entry, Location, ObjectEntry, ObjectPath, at_once, below
from ..records import CatalogRow
from ..view import Advance
from .base import SUFFIXES, Adapter, Dataset, DatasetError, DuplicateIdError, Scan, integer, study_date

_HEADER_TAGS = ["PatientID", "StudyInstanceUID", "ViewPosition", "Rows", "Columns", "StudyDate", "StudyTime"]
_BROKEN = (ValueError, OverflowError, NotImplementedError, EOFError, OSError, zlib.error)
HEADER_BYTES = 64 << 10
"""Of an object, asked for first: most headers are a few KB, and the pixels behind them are not needed."""


def read(root: Location, reports: Location | None, advance: Advance) -> Dataset:
    """Every image below `root`; DICOM files bring patient, study, view, size and date from their header.

    A file counts as DICOM by its suffix, or by its magic number where it has none (archives often name files by UID).

    Raises:
        DatasetError: `no-images`; `bad-reports` for `reports`, because nothing ties a text to an image here.
        DuplicateIdError: two files differ in their suffix only.
    """
    if reports is not None:
        raise DatasetError(
            "bad-reports", f"{reports}: nothing ties these texts to images; list both in a table lrrg.csv instead"
        )
    scan = Scan()
    paths = image_files(root, scan, advance)
    images = list(at_once(root, lambda each: _row(root, *each), by_id(paths).items()))
    if not images:
        raise DatasetError("no-images", f"{root}: no PNG, JPEG or DICOM file below it")
    warnings = scan.report(root)
    if scan.others:
        kinds = ", ".join(f"{suffix} {count}" for suffix, count in scan.others.most_common(5))
        warnings.append(f"{root}: {scan.others.total()} files are neither PNG, JPEG nor DICOM ({kinds})")
    return Dataset(images, warnings=warnings)


def image_files(root: Location, scan: Scan, advance: Advance) -> list[str]:
    """Paths of the images below `root`, relative to it and in a fixed order; hidden files and folders are left out.

    Every real folder is read once, however many links lead to it, so that link loops end.
    """
    paths: list[str] = []
    for entries in _folders(root, scan):
        before = len(paths)
        for entry in entries:
            if _is_image(entry):
                paths.append(_below(root, entry))
            elif entry.is_file():
                scan.others[Path(entry.name).suffix or "no suffix"] += 1
        advance(len(paths) - before)
    return paths


def by_id(paths: list[str]) -> dict[str, str]:
    """Path by image id, the path without its suffix.

    Raises:
        DuplicateIdError: two files would share one id.
    """
    ids: dict[str, str] = {}
    for path in paths:
        known = ids.setdefault(image_id(path), path)
        if known != path:
            raise DuplicateIdError(f"{known} and {path} would both be image {image_id(path)}; rename or remove one")
    return ids


def image_id(path: str) -> str:
    """The path without the suffix of an image format.

    >>> image_id("ward/a.PNG"), image_id("ct/1.2.840.10008")
    ('ward/a', 'ct/1.2.840.10008')
    """
    stem, dot, suffix = path.rpartition(".")
    return stem if f"{dot}{suffix}".lower() in SUFFIXES else path


def _folders(root: Location, scan: Scan) -> Iterator[Sequence[Entry]]:
    seen: set[object] = set()
    waiting: list[str | ObjectPath] = [str(root) if isinstance(root, Path) else root]
    while waiting:
        folder = waiting.pop()
        itself = _identity(folder)
        if itself in seen:
            continue
        seen.add(itself)
        entries = scan.entries(folder)
        yield entries
        waiting += (entry.path for entry in reversed(entries) if entry.is_dir())


def _identity(folder: str | ObjectPath) -> object:
    """Equal for two names of one folder; an object store has no links."""
    if isinstance(folder, ObjectPath):
        return folder.key
    status = Path(folder).stat()
    return status.st_dev, status.st_ino


def _below(root: Location, entry: Entry) -> str:
    """Path relative to the root, with forward slashes."""
    if isinstance(entry, ObjectEntry):
        return below(root, entry.path)
    return os.path.relpath(entry.path, str(root)).replace(os.sep, "/")


def _is_image(entry: Entry) -> bool:
    suffix = Path(entry.name).suffix.lower()
    if suffix in SUFFIXES:
        return entry.is_file()
    if (suffix and not suffix[1:].isdigit()) or not entry.is_file():
        return False
    if isinstance(entry, ObjectEntry):
        return entry.path.head(132)[128:] == b"DICM"
    if not os.access(entry.path, os.R_OK):
        return False
    with Path(entry.path).open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _row(root: Location, image_id: str, path: str) -> CatalogRow:
    is_dicom = not path.lower().endswith((".jpg", ".jpeg", ".png"))
    return CatalogRow(image_id, path, **_header(root / path)) if is_dicom else CatalogRow(image_id, path)


def _header(path: Location) -> dict[str, Any]:
    """What a DICOM header says, from an object's first bytes where they hold it."""
    if isinstance(path, Path):
        return _parsed(path)
    start = path.head(HEADER_BYTES)
    found = _parsed(BytesIO(start))
    return found if len(start) < HEADER_BYTES or found.get("columns") else _parsed(BytesIO(path.read_bytes()))


def _parsed(path: Path | BytesIO) -> dict[str, Any]:
    """What a DICOM header says; nothing where it is broken, since annotating will give that file its error code."""
    from pydicom import dcmread
    from pydicom.errors import BytesLengthException, InvalidDicomError

    logging.getLogger("pydicom").setLevel(logging.ERROR)
    try:
        header = dcmread(path, stop_before_pixels=True, specific_tags=_HEADER_TAGS)
        text = {tag: str(header.get(tag) or "") or None for tag in _HEADER_TAGS}
        rows, columns = integer(text["Rows"]), integer(text["Columns"])
    except (*_BROKEN, InvalidDicomError, BytesLengthException):
        return {}
    return {
        "subject_id": text["PatientID"],
        "study_id": text["StudyInstanceUID"],
        "view_position": text["ViewPosition"],
        "rows": rows,
        "columns": columns,
        # Before DICOM a date had points in it.
        "study_date": study_date((text["StudyDate"] or "").replace(".", "")),
        "study_time": _time(text["StudyTime"]),
    }


def _time(value: str | None) -> str | None:
    """HHMMSS of a DICOM time, whose minutes and seconds may be left out; before DICOM it had colons."""
    return value.partition(".")[0].replace(":", "").ljust(6, "0") if value else None


def recognises(root: Location) -> bool:
    """Whether it is a folder at all."""
    return root.is_dir()


FOLDER = Adapter("folder", recognises, read)
