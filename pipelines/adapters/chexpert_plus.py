"""CheXpert Plus: `df_chexpert_plus_240401.csv` beside PNG or DICOM files named train/patient00001/study1/view1_frontal.

The table names JPEG files; the release holds PNG and DICOM of the same stem, in folders that differ by how it was
fetched. One of the two must be on disk, not both. `report_fixed.json` brings CheXbert labels of whole reports.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from ..places import Location
from ..records import LabelRow, ReportRow
from .base import Adapter, DatasetError, cells_of, table, table_path
from .folder import image_id
from .listed import Listed, prose, reader

TABLE = "df_chexpert_plus_240401.csv"
LABELS = "report_fixed.json"
_SECTIONS = {
    "findings": "section_findings",
    "impression": "section_impression",
    "comparison": "section_comparison",
    "technique": "section_technique",
}
_COMPONENTS = 4
_SPLITS = {"train": "train", "valid": "validate", "test": "test"}


def recognises(root: Location) -> bool:
    """Whether the folder holds the release's table."""
    return table_path(root, TABLE) is not None


def _listed(root: Location) -> Iterator[Listed]:
    labels = _labels(root / LABELS) if (root / LABELS).is_file() else {}
    path = table_path(root, TABLE) or root / TABLE
    required = ("path_to_image", "frontal_lateral", "ap_pa", "deid_patient_id", "split", *_SECTIONS.values())
    for row in table(path, *required):
        key = "/".join(image_id(row["path_to_image"]).split("/")[-_COMPONENTS:])
        study = _study(row["path_to_image"])
        details = {
            "subject_id": row["deid_patient_id"],
            "study_id": study,
            "view_position": row["ap_pa"] or row["frontal_lateral"].upper() or None,
            "official_split": _SPLITS.get(row["split"]),
        }
        yield Listed(key, details, _report(study, row, path.name), labels.get(study, ()))


def _study(path_to_image: str) -> str:
    """`patient00001/study1`, since a study's number counts within its patient."""
    return "/".join(path_to_image.split("/")[-3:-1])


def _report(study: str, row: Mapping[str, str], path: str) -> ReportRow:
    texts = {name: prose(row[column]) for name, column in _SECTIONS.items()}
    history = prose(row.get("section_clinical_history")) or prose(row.get("section_history"))
    return ReportRow(study, row["deid_patient_id"], path, history=history, **texts)


def _labels(path: Location) -> dict[str, list[LabelRow]]:
    """CheXbert labels by study, from one JSON object a line; null stands for unmentioned."""
    labels: dict[str, list[LabelRow]] = defaultdict(list)
    with cells_of(path), path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row: dict[str, Any] = json.loads(line)
                study = _study(row.pop("path_to_image"))
            except (json.JSONDecodeError, KeyError) as error:
                said = f"{path}: line {number} is no JSON of an image ({error}); download it again"
                raise DatasetError("bad-table", said) from error
            labels[study] = [
                LabelRow(study, "chexbert", name, int(value)) for name, value in row.items() if value is not None
            ]
    return labels


CHEXPERT_PLUS = Adapter("CheXpert Plus", recognises, reader(_listed, _COMPONENTS))
