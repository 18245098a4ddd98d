"""Any folder of images with reports: a table `lrrg.csv` of one's own says which image belongs to which study.

One line an image. `image` (path below the folder) and `study_id` are required; every other column may be left out:
subject_id, view_position, split, study_date, study_time, procedure, and the sections of the study's report (findings,
impression, indication, history, technique, comparison), on one of its images or on each.
"""

from collections.abc import Iterator, Mapping

from ..places import Location
from ..records import ReportRow
from .base import Adapter, Dataset, DatasetError, Found, study_date, study_time, table, table_path
from .folder import image_id
from .listed import Listed, join, no_reports_elsewhere, prose

NAME = "lrrg.csv"
SPLITS = {"": None, "train": "train", "validate": "validate", "val": "validate", "valid": "validate", "test": "test"}
SECTIONS = ("findings", "impression", "indication", "history", "technique", "comparison")
_WHOLE_PATH = 999


def recognises(root: Location) -> bool:
    """Whether the folder holds the table."""
    return table_path(root, NAME) is not None


def read(root: Location, reports: Location | None, found: Found) -> Dataset:
    """List the images with what the table says of each.

    Raises:
        DatasetError: `no-images`, `bad-reports`, `missing-column`, or `bad-table` where a split has another name.
        DuplicateIdError: two files differ in their suffix only.
    """
    no_reports_elsewhere(reports)
    return join(root, _listed(root), _WHOLE_PATH, found)


def _listed(root: Location) -> Iterator[Listed]:
    path = table_path(root, NAME)
    for row in table(path, "image", "study_id") if path else ():
        split = (row.get("split") or "").strip().lower()
        if split not in SPLITS:
            names = ", ".join(name for name in SPLITS if name)
            raise DatasetError("bad-table", f"{path}: {row['image']} has split {split!r}; choose from {names}")
        details = {
            "subject_id": row.get("subject_id") or None,
            "study_id": row["study_id"] or None,
            "view_position": (row.get("view_position") or "").upper() or None,
            "official_split": SPLITS[split],
            "study_date": study_date(row.get("study_date")),
            "study_time": study_time(row.get("study_time")),
            "procedure": row.get("procedure") or None,
        }
        yield Listed(image_id(row["image"]), details, _report(row))


def _report(row: Mapping[str, str]) -> ReportRow | None:
    texts = {section: prose(row.get(section)) for section in SECTIONS}
    if not row["study_id"] or not any(texts.values()):
        return None
    return ReportRow(row["study_id"], row.get("subject_id") or None, NAME, **texts)


OWN_TABLE = Adapter("own table", recognises, read)
