"""Any folder of images with reports: a table `lrrg.csv` of one's own says which image belongs to which study.

One line an image. `image` (path below the folder) and `study_id` are required; every other column may be left out:
subject_id, view_position, split, study_date (2180-05-06 or 21800506), study_time (08:05, 08:05:56 or 080556),
procedure, and the sections of the study's report (findings, impression, indication, history, technique, comparison),
on one of its images or on each.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime

from ..places import Location
from ..records import ReportRow
from ..view import Advance
from .base import Adapter, Dataset, DatasetError, study_date, study_time, table, table_path
from .folder import image_id
from .listed import Listed, prose, reader

NAME = "lrrg.csv"
SPLITS = {"": None, "train": "train", "validate": "validate", "val": "validate", "valid": "validate", "test": "test"}
SECTIONS = ("findings", "impression", "indication", "history", "technique", "comparison")
COLUMNS = (
    *("image", "study_id", "subject_id", "view_position", "split", "study_date", "study_time", "procedure"),
    *SECTIONS,
)
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d)(?:\.\d*)?)?")
_WHOLE_PATH = 999


def recognises(root: Location) -> bool:
    """Whether the folder holds the table."""
    return table_path(root, NAME) is not None


def read(root: Location, reports: Location | None, advance: Advance) -> Dataset:
    """List the images with what the table says of each.

    Raises:
        DatasetError: `no-images`, `bad-reports`, `missing-column`, or `bad-table` where a split has another name, a
            date or a time cannot be read, or an image is listed twice or not named.
        DuplicateIdError: two files differ in their suffix only.
    """
    dataset = reader(_listed, _WHOLE_PATH)(root, reports, advance)
    dataset.warnings.extend(_not_read(root))
    return dataset


def _not_read(root: Location) -> Iterator[str]:
    """A misspelt column would go unnoticed, since nearly all of them may be left out."""
    path = table_path(root, NAME)
    columns = next(table(path), {}).keys() if path else ()
    if unknown := [name for name in columns if name not in COLUMNS]:
        yield f"{path}: not read: column {', '.join(unknown)}; what is read is {', '.join(COLUMNS)}"


def _listed(root: Location) -> Iterator[Listed]:
    path = table_path(root, NAME)
    listed: set[str] = set()
    for row in table(path, "image", "study_id") if path else ():
        where = f"{path}: {row['image']}"
        split = (row.get("split") or "").strip().lower()
        if split not in SPLITS:
            names = ", ".join(name for name in SPLITS if name)
            raise DatasetError("bad-table", f"{where} has split {split!r}; choose from {names}")
        if not row["image"]:
            raise DatasetError("bad-table", f"{path}: a line of study {row['study_id']!r} names no image")
        if row["image"] in listed:
            raise DatasetError("bad-table", f"{where} is listed twice; give each image one line")
        listed.add(row["image"])
        details = {
            "subject_id": row.get("subject_id") or None,
            "study_id": row["study_id"] or None,
            "view_position": (row.get("view_position") or "").upper() or None,
            "official_split": SPLITS[split],
            "study_date": _date(row.get("study_date"), where),
            "study_time": _time(row.get("study_time"), where),
            "procedure": row.get("procedure") or None,
        }
        yield Listed(image_id(row["image"]), details, _report(row))


def _date(value: str | None, where: str) -> str | None:
    date = study_date(value)
    try:
        if date is not None and (len(date) != 8 or not datetime.strptime(date, "%Y%m%d")):
            raise ValueError("not eight digits")
    except ValueError as error:
        raise DatasetError("bad-table", f"{where} has study_date {value!r}; say it as 2180-05-06") from error
    return date


def _time(value: str | None, where: str) -> str | None:
    clock = _CLOCK.fullmatch((value or "").strip())
    try:
        time = f"{clock[1]:0>2}{clock[2]}{clock[3] or '00'}" if clock else study_time((value or "").strip())
        if time is not None:
            datetime.strptime(time, "%H%M%S")
    except (ValueError, OverflowError) as error:
        raise DatasetError("bad-table", f"{where} has study_time {value!r}; say it as 08:05:56") from error
    return time


def _report(row: Mapping[str, str]) -> ReportRow | None:
    texts = {section: prose(row.get(section)) for section in SECTIONS}
    if not row["study_id"] or not any(texts.values()):
        return None
    return ReportRow(row["study_id"], row.get("subject_id") or None, NAME, **texts)


OWN_TABLE = Adapter("own table", recognises, read)
