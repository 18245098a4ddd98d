"""What the benchmark is made from: judged films and the studies they belong to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class LabelledImage:
    """A film as the agent judged it.

    Attributes:
        aspects: aspects at severity 1 or more.
        fingerprint: 256-bit perceptual hash in hexadecimal; empty where the film was judged without one.
    """

    image_id: str
    study_id: str
    subject_id: str
    split: str
    view: str
    regime: str
    quality: float
    aspects: tuple[str, ...] = ()
    fingerprint: str = ""


@dataclass(frozen=True)
class Examination:
    """One of a patient's studies with its report, judged or not: what may have come before another.

    Attributes:
        time: of its first film.
        report: what a later report may be told of it.
    """

    study_id: str
    subject_id: str
    time: datetime
    report: str


@dataclass(frozen=True)
class Study:
    """What is known of one study beside its films.

    Attributes:
        target: the report section to be generated.
        labels: values of the 14 findings by the labeler; two studies of a pair must agree in all.
        covariates: what may confound quality with illness, by name.
    """

    study_id: str
    target: str
    labels: tuple[int, ...] = ()
    time: datetime | None = None
    covariates: Mapping[str, float] = field(default_factory=dict)
