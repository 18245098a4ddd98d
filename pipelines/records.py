"""Rows that stages hand to the store: the catalog's images and reports, readers' opinions; how many make a shard."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

SHARD_IMAGES = 1024
"""Images of a cluster's task at most: most of a minute of one CPU, which is what a killed task costs."""


@dataclass(frozen=True)
class CatalogRow:
    """One image of the catalog. What a data set does not know stays None."""

    image_id: str
    path: str
    """Relative to the catalogued root, with forward slashes."""
    subject_id: str | None = None
    study_id: str | None = None
    view_position: str | None = None
    official_split: str | None = None
    """`train`, `validate` or `test`, as published."""
    rows: int | None = None
    columns: int | None = None
    study_date: str | None = None
    """YYYYMMDD (shifted by de-identification)."""
    study_time: str | None = None
    """HHMMSS."""
    procedure: str | None = None
    """PerformedProcedureStepDescription."""
    orientation: str | None = None
    """PatientOrientationCodeSequence_CodeMeaning (`Erect`, `Recumbent`)."""


@dataclass(frozen=True)
class ReportRow:
    """The sections of one study's report; an absent section is None."""

    study_id: str
    subject_id: str | None = None
    path: str | None = None
    findings: str | None = None
    impression: str | None = None
    last_paragraph: str | None = None
    comparison: str | None = None
    indication: str | None = None
    technique: str | None = None
    history: str | None = None


@dataclass(frozen=True)
class LabelRow:
    """A published finding label of one study: 1 positive, 0 negative, -1 uncertain; an unmentioned one has no row."""

    study_id: str
    labeler: str
    """MIMIC-CXR: `chexpert`, `negbio`, `radiologist` (the test set); others: `chexbert`, `mesh`, `padchest`."""
    finding: str
    value: int

    def __post_init__(self) -> None:
        if self.value not in (-1, 0, 1):
            raise ValueError(f"a label {self.value}")


class ReadRow(NamedTuple):
    """What one reader said about one film; None where the reader did not say."""

    image_id: str
    reader: str
    regime: str | None
    noise: bool | None
    blur: bool | None
    exposure: bool | None
    collimation: bool | None
    positioning: bool | None
    artifact: bool | None
    blind: bool
    """Whether the agent's verdict was hidden from the reader."""
    read_at: datetime
    """UTC, without a zone."""
