"""What is scored: cases, the cells they fall into, and the check that every case was answered exactly once."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .errors import PredictionError

MINIMUM_STUDIES, MINIMUM_PATIENTS = 30, 15
"""Below either a cell's value is suppressed: it would say more about patients than about the model."""


@dataclass(frozen=True)
class Case:
    """One report to be written: a study as one set of images shows it, natural or degraded.

    Attributes:
        case_id: what a prediction answers.
        tracks: the tracks this case belongs to (`T1` … `T5`; on the training hold-out `T1h` … `T3h`).
        regime: quality regime of the film shown.
        split: `train`, `train_holdout`, `validate` or `test`; only cases with a track are scored.
        image_id: the film shown.
        aspects: natural defects of that film (aspects at severity 1 or more).
        defect: synthetic defect, empty for natural films.
        severity: of the synthetic defect, 1 … 5; 0 for natural films.
        pair: the twin pair of T2 or T3 this case is a member of, empty otherwise.
        prior: report of the patient's preceding examination, empty where there is none.
        covariates: what is known of the study and may confound quality with illness, by name.
    """

    case_id: str
    study_id: str
    subject_id: str
    reference: str
    tracks: tuple[str, ...]
    regime: str
    split: str = "test"
    image_id: str = ""
    view: str = ""
    aspects: tuple[str, ...] = ()
    defect: str = ""
    severity: int = 0
    pair: str = ""
    prior: str = ""
    covariates: Mapping[str, float] = field(default_factory=dict)

    @property
    def own(self) -> bool:
        """Whether it is the one case that stands for its study: neither synthetic nor a further film."""
        return self.case_id == self.study_id


class Cell(NamedTuple):
    """A group of cases that gets its own numbers; `all` and empty mean no restriction."""

    track: str
    regime: str = "all"
    view: str = "all"
    defect: str = ""
    severity: int = 0


def aligned(cases: Sequence[Case], answers: Iterable[tuple[str, str]], source: str) -> list[str]:
    """Texts in the cases' order.

    Args:
        cases: of the benchmark.
        answers: (case_id, text) of one model; empty text is an answer and scores 0.
        source: where the answers are from, for the message.

    Raises:
        PredictionError: a case is missing, doubled, or unknown.
    """
    pairs = list(answers)
    wanted = {case.case_id for case in cases}
    counts = Counter(case_id for case_id, _ in pairs)
    problems = {
        "missing": sorted(wanted - counts.keys()),
        "doubled": sorted(case_id for case_id, count in counts.items() if count > 1),
        "foreign": sorted(counts.keys() - wanted),
    }
    for code, ids in problems.items():
        if ids:
            raise PredictionError(
                code, f"{source}: {len(ids)} of {len(wanted)} cases {code}, e.g. {', '.join(ids[:3])}"
            )
    texts = dict(pairs)
    return [texts[case.case_id] for case in cases]


def cells_of(case: Case) -> list[Cell]:
    """Every cell one case counts in."""
    views = ("all", case.view) if case.view in ("AP", "PA") else ("all",)
    found: list[Cell] = []
    for track in case.tracks:
        if track == "T5":
            found += [Cell(track, view=view) for view in views]
        elif track.startswith("T1"):
            found += [Cell(track, case.regime, view) for view in views]
            found += [Cell(track, case.regime, "all", aspect) for aspect in case.aspects]
        else:
            found.append(Cell(track, case.regime, "all", case.defect, case.severity))
    return found


def group(cases: Sequence[Case]) -> dict[Cell, NDArray[np.intp]]:
    """Row numbers of the cases in each cell, cells sorted."""
    rows: dict[Cell, list[int]] = {}
    for row, case in enumerate(cases):
        for cell in cells_of(case):
            rows.setdefault(cell, []).append(row)
    return {cell: np.array(rows[cell]) for cell in sorted(rows)}


def twin_rows(cases: Sequence[Case]) -> list[int]:
    """Row of each case's better twin, -1 where it has none.

    That of a synthetic case is its clean film, that of the low film of a natural pair (T2, T3) the high one.
    """
    clean = {
        (case.study_id, case.image_id): row for row, case in enumerate(cases) if "T4" in case.tracks and not case.defect
    }
    high = {case.pair: row for row, case in enumerate(cases) if case.pair and case.regime == "high" and not case.defect}
    low = [case.pair if case.regime == "low" else "" for case in cases]
    return [
        clean[case.study_id, case.image_id] if case.defect else high.get(pair, -1)
        for case, pair in zip(cases, low, strict=True)
    ]


def counts(cases: Sequence[Case], rows: NDArray[np.intp]) -> tuple[int, int]:
    """Studies and patients among the cases at `rows`."""
    return len({cases[row].study_id for row in rows}), len({cases[row].subject_id for row in rows})


def large_enough(cases: Sequence[Case], cells: Mapping[Cell, NDArray[np.intp]]) -> set[Cell]:
    """Cells whose numbers may be shown."""
    return {
        cell
        for cell, rows in cells.items()
        if all(
            count >= least
            for count, least in zip(counts(cases, rows), (MINIMUM_STUDIES, MINIMUM_PATIENTS), strict=True)
        )
    }
