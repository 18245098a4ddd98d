"""PadChest: `PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv` beside 16-bit PNG files in folders 0 to 54.

Reports are Spanish, stemmed and without sections: they become the `last_paragraph`. There is no official split.
"""

import ast
from collections.abc import Iterator, Mapping

from ..places import Location
from ..records import LabelRow, ReportRow
from .base import Adapter, cells_of, integer, study_date, table, table_path
from .folder import image_id
from .listed import Listed, prose, reader

TABLE = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv.gz"
_VIEWS = {"PA": "PA", "AP": "AP", "AP_horizontal": "AP", "L": "LATERAL", "COSTAL": "COSTAL"}
_ABSENT = ("", "None", "nan")


def recognises(root: Location) -> bool:
    """Whether the folder holds the data set's table."""
    return table_path(root, TABLE) is not None


def _listed(root: Location) -> Iterator[Listed]:
    path = table_path(root, TABLE) or root / TABLE
    with cells_of(path):
        for row in table(path, "ImageID", "StudyID", "PatientID", "Projection", "Report", "Labels"):
            study, patient = row["StudyID"], row["PatientID"]
            report = ReportRow(study, patient, path.name, last_paragraph=prose(row["Report"]))
            yield Listed(image_id(row["ImageID"]), _details(row), report, _labels(study, row["Labels"]))


def _details(row: Mapping[str, str]) -> dict[str, str | int | None]:
    rows, columns = (row.get(name, "") for name in ("Rows_DICOM", "Columns_DICOM"))
    return {
        "subject_id": row["PatientID"],
        "study_id": row["StudyID"],
        "view_position": _VIEWS.get(row["Projection"]),
        "rows": None if rows in _ABSENT else integer(rows),
        "columns": None if columns in _ABSENT else integer(columns),
        "study_date": study_date(row.get("StudyDate_DICOM")),
        "orientation": "Recumbent" if row["Projection"] == "AP_horizontal" else None,
    }


def _labels(study: str, names: str) -> list[LabelRow]:
    """Findings and quality remarks (`suboptimal study`) as published, from a list in Python's notation."""
    findings = {name.strip() for name in ast.literal_eval(names)} if names.startswith("[") else set()
    return [LabelRow(study, "padchest", finding, 1) for finding in findings if finding]


PADCHEST = Adapter("PadChest", recognises, reader(_listed, 1))
