"""MIMIC-CXR-JPG 2.1.0 and MIMIC-CXR 2.1.0 (DICOM) trees, as PhysioNet publishes them; any part of the images will do.

    ROOT/files/p10/p10000032/s50414267/<dicom_id>.jpg      (.dcm in MIMIC-CXR)
    ROOT/files/p10/p10000032/s50414267.txt                 reports, where they were unpacked into the tree

The tree says which images exist and whose they are; the tables of MIMIC-CXR-JPG (whose names keep 2.0.0 in release
2.1.0) say what they are. Tables may be compressed or unpacked, and each may be absent: one warning names those.
The provider list of MIMIC-CXR is not read: who ordered or read a film says nothing about its technique.
"""

from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from pathlib import PurePosixPath
from sys import intern
from typing import Any, TypeVar

from ..places import Location
from ..records import CatalogRow, LabelRow
from ..view import Advance
from .base import (
    Adapter,
    Dataset,
    DatasetError,
    cells_of,
    integer,
    integer_id,
    opened,
    study_date,
    study_time,
    table,
    table_path,
)
from .mimic_reports import ZIP, find_reports, report_rows
from .mimic_tree import Tree, has_groups, scan

METADATA = "mimic-cxr-2.0.0-metadata.csv.gz"
SPLIT = "mimic-cxr-2.0.0-split.csv.gz"
RECORDS = "cxr-record-list.csv.gz"
FILE_NAMES = "IMAGE_FILENAMES"
LABELERS = {
    "mimic-cxr-2.0.0-chexpert.csv.gz": "chexpert",
    "mimic-cxr-2.0.0-negbio.csv.gz": "negbio",
    "mimic-cxr-2.1.0-test-set-labeled.csv": "radiologist",
}
_DETAILS = {METADATA: "views, sizes, times, procedures", SPLIT: "the official split"}
_RENAMED = {"Airspace Opacity": "Lung Opacity"}
"""What the radiologists' table calls differently."""
_Value = TypeVar("_Value")


def recognises(root: Location) -> bool:
    """Whether the folder holds a MIMIC-CXR tree (or is its `files` folder), or one of its tables."""
    tables = (METADATA, SPLIT, RECORDS, FILE_NAMES)
    return has_groups(root / "files") or has_groups(root) or any(table_path(root, name) for name in tables)


def read(root: Location, reports: Location | None, advance: Advance) -> Dataset:
    """List the tree and join it with its tables.

    Raises:
        DatasetError: `no-images`; `not-the-root` for the `files` folder itself; a table or `reports` is unusable.
        DuplicateIdError: two files bear one dicom_id.
    """
    if has_groups(root):
        raise DatasetError("not-the-root", f"{root}: the `files` folder of a MIMIC-CXR tree; name its parent")
    tree = scan(root, advance) if (root / "files").is_dir() else Tree()
    if not tree.images:
        raise DatasetError("no-images", f"{root}: tables but no image as files/p10/p10000032/s50414267/<dicom_id>.jpg")
    images, missing = _images(root, tree)
    subjects = {place.study_id: place.subject_id for place in tree.images.values()}
    texts = find_reports(root, reports, tree.reports)
    labels = chain.from_iterable(_labels(root, name, subjects) for name in LABELERS)
    warnings = [*tree.report(root), *_lacking(root, bool(texts.paths))]
    return Dataset(images, report_rows(root, texts, subjects), labels, missing, warnings)


def _images(root: Location, tree: Tree) -> tuple[list[CatalogRow], int]:
    """Rows in the tree's order, and how many images the tables list that the tree lacks."""
    details, absent = _joined(root, METADATA, tree, _detail)
    splits, absent_by_split = _joined(root, SPLIT, tree, _split)
    nothing: dict[str, Any] = {}
    rows = [
        CatalogRow(dicom_id, *place, official_split=splits.get(dicom_id), **details.pop(dicom_id, nothing))
        for dicom_id, place in tree.images.items()
    ]
    if not any(table_path(root, name) for name in _DETAILS):
        absent = sum(dicom_id not in tree.images for dicom_id in _listed(root))
    return rows, max(absent, absent_by_split)


def _joined(
    root: Location, name: str, tree: Tree, pick: Callable[[Mapping[str, str]], _Value]
) -> tuple[dict[str, _Value], int]:
    """What a table says about the images of the tree, and how many others it lists."""
    path = table_path(root, name)
    picked: dict[str, _Value] = {}
    absent = 0
    with cells_of(path):
        for row in table(path, "dicom_id", "split" if name == SPLIT else "ViewPosition") if path else ():
            if row["dicom_id"] in tree.images:
                picked[row["dicom_id"]] = pick(row)
            else:
                absent += 1
    return picked, absent


def _split(row: Mapping[str, str]) -> str:
    if row["split"] not in ("train", "validate", "test"):
        raise DatasetError(
            "bad-table", f"{SPLIT}: {row['dicom_id']} is in split {row['split']!r}; use the published file"
        )
    return row["split"]


def _detail(row: Mapping[str, str]) -> dict[str, Any]:
    return {
        "view_position": _shared(row["ViewPosition"]),
        "rows": integer(row.get("Rows")),
        "columns": integer(row.get("Columns")),
        "study_date": study_date(row.get("StudyDate")),
        "study_time": study_time(row.get("StudyTime")),
        "procedure": _shared(row.get("PerformedProcedureStepDescription")),
        "orientation": _shared(row.get("PatientOrientationCodeSequence_CodeMeaning")),
    }


def _shared(value: str | None) -> str | None:
    """One string for all equal ones: a few hundred values stand for a million cells."""
    return intern(value) if value else None


def _listed(root: Location) -> Iterator[str]:
    """Every dicom_id of the release by its list of records or of file names, whichever is there.

    Documents disagree on the record list's column names, so the one that speaks of DICOM identifiers is taken.
    """
    if records := table_path(root, RECORDS):
        for row in table(records):
            named = [value for column, value in row.items() if "dicom" in column.lower()]
            if not named:
                raise DatasetError(
                    "missing-column", f"{records}: no column of DICOM identifiers; is this the right file?"
                )
            yield named[0]
    elif names := table_path(root, FILE_NAMES):
        with opened(names) as lines:
            yield from (PurePosixPath(line.strip()).stem for line in lines)


def _labels(root: Location, name: str, studies: Mapping[str, str]) -> Iterator[LabelRow]:
    """Published labels of the catalogued studies; every column that is no identifier is a finding."""
    path = table_path(root, name)
    with cells_of(path):
        for row in table(path, "study_id") if path else ():
            study = integer_id(row["study_id"])
            if study in studies:
                for column, value in row.items():
                    if value and column not in ("study_id", "subject_id"):
                        yield LabelRow(study, LABELERS[name], _RENAMED.get(column, column), int(float(value)))


def _lacking(root: Location, has_reports: bool) -> list[str]:
    gives = _DETAILS | {name: f"labels by {labeler}" for name, labeler in LABELERS.items()}
    absent = [f"{name} ({what})" for name, what in gives.items() if table_path(root, name) is None]
    absent += [] if has_reports else [f"{ZIP} (report texts)"]
    if not absent:
        return []
    return [f"{root}: not there, so that what they give will be missing: {', '.join(absent)}; add them and run again"]


MIMIC = Adapter("MIMIC-CXR", recognises, read)
