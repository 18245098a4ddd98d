"""What a demo mirror will hold, decided before a pixel is drawn: patients, studies, films, findings, defects."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle

import numpy as np

from ...benchmark.ladder import Aspect, read_ladder
from ...benchmark.phantom import View
from ...benchmark.phantom_findings import FINDINGS, Finding
from ...benchmark.reports import Report, report

_UNDONE_BY_EQUALISATION = "low_contrast"
_CLEAN_SHARE = 0.45
_SPLITS = ("train", "test", "train", "validate", "train", "test", "train", "test", "train", "test")


@dataclass(frozen=True)
class DemoFilm:
    """One film and the truth about it; `defect` is None for a clean one."""

    dicom_id: str
    seed: int
    person: int
    view: View
    findings: frozenset[Finding]
    defect: str | None
    severity: int


@dataclass(frozen=True)
class DemoStudy:
    """One examination with its report."""

    subject_id: int
    study_id: int
    split: str
    day: int
    """Days after the first day of 2150."""
    seconds: float
    """Time of day."""
    films: tuple[DemoFilm, ...]
    report: Report

    @property
    def folder(self) -> str:
        """Path of the study's films below the root of a mirror."""
        return f"files/p{str(self.subject_id)[:2]}/p{self.subject_id}/s{self.study_id}"

    @property
    def portable(self) -> bool:
        """Whether the films were taken at the bedside."""
        return self.films[0].view == "AP"

    @property
    def procedure(self) -> str:
        """PerformedProcedureStepDescription."""
        return "CHEST (PORTABLE AP)" if self.portable else "CHEST (SINGLE VIEW)"


def plan(patients: int, seed: int) -> list[DemoStudy]:
    """Decide a whole mirror; equal arguments give equal plans, in the order of the tree."""
    rng = np.random.default_rng([seed, 2150])
    defects = _defects(rng)
    subjects = np.sort(rng.choice(np.arange(10_000_001, 10_010_000), size=patients, replace=False))
    studies: list[DemoStudy] = []
    for number, subject in enumerate(subjects):
        studies += _patient(int(subject), _SPLITS[number % len(_SPLITS)], rng, defects)
    return sorted(studies, key=lambda study: (study.subject_id, study.study_id))


def _defects(rng: np.random.Generator) -> Iterator[tuple[str, int]]:
    """Every defect at severities 3, 4, 5 and 2, in random order, again and again; one without degrees has 5."""
    defects = [defect for name, defect in read_ladder().defects.items() if name != _UNDONE_BY_EQUALISATION]
    pairs: list[tuple[str, int]] = []
    for severity in (3, 4, 5, 2):
        names = [defect.name for defect in defects if defect.ordered or severity == 5]
        pairs += [(names[i], severity) for i in rng.permutation(len(names))]
    return cycle(pairs)


def _patient(
    subject: int, split: str, rng: np.random.Generator, defects: Iterator[tuple[str, int]]
) -> Iterator[DemoStudy]:
    """One to three studies; those of one patient show the same person and often the same disease."""
    findings = _disease(rng)
    day = int(rng.integers(0, 20_000))
    portable = bool(rng.random() < 0.45)
    for number in range(int(rng.integers(1, 4))):
        if number and rng.random() < 0.4:
            findings = _disease(rng)
        films = tuple(_films(subject, findings, portable, rng, defects))
        yield DemoStudy(
            subject_id=subject,
            study_id=int(rng.integers(50_000_000, 60_000_000)),
            split=split,
            day=day,
            seconds=round(float(rng.uniform(0, 86_399)), 3),
            films=films,
            report=report(findings, rng, portable=portable, prior=number > 0, limit=_complaint(films, rng)),
        )
        day += int(rng.integers(1, 9))


def _disease(rng: np.random.Generator) -> frozenset[Finding]:
    """Nothing for four in ten, otherwise one to three findings."""
    if rng.random() < 0.4:
        return frozenset()
    return frozenset(FINDINGS[i] for i in rng.choice(len(FINDINGS), size=int(rng.integers(1, 4)), replace=False))


def _films(
    subject: int,
    findings: frozenset[Finding],
    portable: bool,
    rng: np.random.Generator,
    defects: Iterator[tuple[str, int]],
) -> Iterator[DemoFilm]:
    """One film, or a spoilt one and its clean repetition."""
    digest = hashlib.sha256(rng.bytes(16)).hexdigest()
    dicom_id = "-".join(digest[start : start + 8] for start in range(0, 40, 8))
    view: View = "AP" if portable else "PA"
    clean = DemoFilm(dicom_id, int(rng.integers(2**31)), subject, view, findings, None, 0)
    if rng.random() < _CLEAN_SHARE:
        yield clean
        return
    defect, severity = next(defects)
    yield replace(clean, defect=defect, severity=severity)
    if rng.random() < 0.45:
        yield replace(clean, dicom_id=dicom_id[9:] + "-" + digest[40:48], seed=clean.seed + 1)


def _complaint(films: tuple[DemoFilm, ...], rng: np.random.Generator) -> Aspect | None:
    """What the reader complains of: now and then, and only when no clean film made up for the spoilt one."""
    spoilt = films[0]
    if spoilt.defect is None or len(films) > 1 or rng.random() < 0.5:
        return None
    return read_ladder()[spoilt.defect].aspect
