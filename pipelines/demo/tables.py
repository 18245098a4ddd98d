"""The tables of a demo mirror, with the columns and the quirks of the published ones."""

import csv
import gzip
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path

from ...benchmark.findings import FINDINGS
from ...benchmark.ladder import read_ladder
from .plan import DemoStudy

_METADATA = (
    "dicom_id", "subject_id", "study_id", "PerformedProcedureStepDescription", "ViewPosition", "Rows", "Columns",
    "StudyDate", "StudyTime", "ProcedureCodeSequence_CodeMeaning", "ViewCodeSequence_CodeMeaning",
    "PatientOrientationCodeSequence_CodeMeaning",
)  # fmt: skip
_VIEW_MEANING = {"PA": "postero-anterior", "AP": "antero-posterior"}
_VIEW_LOST_EVERY = 41
"""Some films of the real table have no view either."""
_TEST_NAMES = {"Lung Opacity": "Airspace Opacity"}
Row = Sequence[object]


def write_jpg_tables(root: Path, studies: Sequence[DemoStudy], shapes: Mapping[str, tuple[int, int]]) -> None:
    """Write what MIMIC-CXR-JPG 2.1.0 has beside its images; the names of most tables keep 2.0.0."""
    films = [(study, film) for study in studies for film in study.films]
    _gz(root / "mimic-cxr-2.0.0-metadata.csv.gz", _METADATA, _metadata(studies, shapes))
    split = ((film.dicom_id, study.study_id, study.subject_id, study.split) for study, film in films)
    _gz(root / "mimic-cxr-2.0.0-split.csv.gz", ("dicom_id", "study_id", "subject_id", "split"), split)
    for labeler in ("chexpert", "negbio"):
        rows = ((study.subject_id, study.study_id, *_cells(study)) for study in studies)
        _gz(root / f"mimic-cxr-2.0.0-{labeler}.csv.gz", ("subject_id", "study_id", *FINDINGS), rows)
    header = ("study_id", *(_TEST_NAMES.get(label, label) for label in FINDINGS))
    test = ((study.study_id, *_cells(study)) for study in studies if study.split == "test")
    (root / "mimic-cxr-2.1.0-test-set-labeled.csv").write_text(_csv(header, test), encoding="utf-8")
    names = "".join(f"{study.folder}/{film.dicom_id}.jpg\n" for study, film in films)
    (root / "IMAGE_FILENAMES").write_text(names, encoding="utf-8")


def write_dicom_tables(root: Path, studies: Sequence[DemoStudy]) -> None:
    """Write the lists that MIMIC-CXR 2.1.0 has beside its DICOM files."""
    records = (
        (study.subject_id, study.study_id, film.dicom_id, f"{study.folder}/{film.dicom_id}.dcm")
        for study in studies
        for film in study.films
    )
    _gz(root / "cxr-record-list.csv.gz", ("subject_id", "study_id", "dicom_id", "path"), records)
    reports = ((study.subject_id, study.study_id, f"{study.folder}.txt") for study in studies)
    _gz(root / "cxr-study-list.csv.gz", ("subject_id", "study_id", "path"), reports)
    providers = (
        (study.study_id, f"P{study.study_id % 9973:04d}", f"P{study.study_id % 97:04d}", "") for study in studies
    )
    header = ("study_id", "ordering_provider_id", "attending_provider_id", "resident_provider_id")
    _gz(root / "cxr-provider-list.csv.gz", header, providers)


def write_truth(path: Path, studies: Iterable[DemoStudy]) -> None:
    """Write which film was spoilt how; a clean film has an empty defect and severity 0."""
    ladder = read_ladder()
    rows = (
        (
            film.dicom_id,
            study.study_id,
            study.subject_id,
            film.defect or "",
            film.severity,
            ladder[film.defect].aspect if film.defect else "",
            " ".join(sorted(film.findings)),
        )
        for study in studies
        for film in study.films
    )
    header = ("dicom_id", "study_id", "subject_id", "defect", "severity", "aspect", "findings")
    path.write_text(_csv(header, rows), encoding="utf-8")


def study_date(study: DemoStudy) -> str:
    """YYYYMMDD."""
    return (date(2150, 1, 1) + timedelta(days=study.day)).strftime("%Y%m%d")


def study_time(study: DemoStudy) -> str:
    """HHMMSS.fff."""
    minutes, seconds = divmod(study.seconds, 60)
    return f"{int(minutes) // 60:02d}{int(minutes) % 60:02d}{seconds:06.3f}"


def _metadata(studies: Iterable[DemoStudy], shapes: Mapping[str, tuple[int, int]]) -> Iterable[Row]:
    films = ((study, film) for study in studies for film in study.films)
    for number, (study, film) in enumerate(films, 1):
        view = "" if number % _VIEW_LOST_EVERY == 0 else film.view
        when = float(study_time(study))  # the published table has lost the leading zeros
        posture = "Recumbent" if study.portable and study.study_id % 3 else "Erect"
        yield (
            film.dicom_id, study.subject_id, study.study_id, study.procedure, view, *shapes[film.dicom_id],
            study_date(study), when, study.procedure, _VIEW_MEANING[film.view] if view else "", posture if view else "",
        )  # fmt: skip


def _cells(study: DemoStudy) -> list[str]:
    labels = study.report.labels
    return [f"{labels[label]:.1f}" if label in labels else "" for label in FINDINGS]


def _csv(header: Sequence[str], rows: Iterable[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def _gz(path: Path, header: Sequence[str], rows: Iterable[Row]) -> None:
    """Compressed without name and time, so that equal tables are equal files."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(_csv(header, rows).encode(), mtime=0))
