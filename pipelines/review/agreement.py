"""`lrrg review agreement`: the verdicts of the latest recipe against what readers said of the same films."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...agent.policy import Policy, Severity, assess
from ...agent.state import ASPECTS, Aspect, Assessment
from ...benchmark import readers
from ...benchmark.readers import Detection, Fit, Point
from ...benchmark.statistics import Interval
from ..store import Store
from .opinions import REGIMES, ReviewError

_READS = f"""
SELECT
    r.image_id, r.reader, r.regime, r.blind, l.regime AS said, l.quality,
    coalesce(l.subject_id, l.study_id, l.image_id) AS patient,
    [{", ".join(f"r.{aspect}" for aspect in ASPECTS)}] AS present,
    [{", ".join(f"l.{aspect}" for aspect in ASPECTS)}] AS severities,
    v.measures, v.intensity_domain AS domain, v."view"
FROM review AS r
JOIN labels AS l USING (image_id)
JOIN verdict AS v ON v.image_id = l.image_id AND v.recipe_id = l.recipe_id
WHERE l.regime IS NOT NULL ORDER BY r.image_id, r.reader
"""


class Suggestion(NamedTuple):
    """A cut of the policy and the one that fits the readers best."""

    domain: str
    decides: str
    """`low`, `high` or an aspect (its severity 1)."""
    measure: str
    """`quality`, or a measure with the scale its cut is on."""
    now: float
    fitted: float
    j_now: Interval
    j_unseen: Interval
    gain: Interval

    @property
    def better(self) -> bool:
        """Whether a fitted cut does better on patients it was not fitted on, beyond chance."""
        return self.gain.low > 0


class Agreement(NamedTuple):
    """Everything readers tell about the verdicts."""

    reads: int
    films: int
    patients: int
    readers: int
    blind: int
    """Reads made with the verdict hidden; the others may have been led by it."""
    overall: dict[str, Interval]
    defects: dict[str, Detection]
    calibration: list[Point]
    suggestions: list[Suggestion]

    def tables(self) -> dict[str, tuple[tuple[str, ...], list[tuple[Any, ...]]]]:
        """Columns and rows by title, for a person."""
        counts = (self.reads, self.films, self.patients, self.readers, self.blind)
        defects = [(name, d.reads, d.present, said(d.precision), said(d.recall)) for name, d in self.defects.items()]
        cuts = [
            (
                s.domain,
                s.decides,
                s.measure,
                s.now,
                s.fitted,
                said(s.j_now),
                said(s.j_unseen),
                "yes" if s.better else "no",
            )
            for s in self.suggestions
        ]
        return {
            "reads": (("reads", "films", "patients", "readers", "blind"), [counts]),
            "verdict against readers (95 % intervals over patients)": (
                ("statistic", "value"),
                [(name, said(value)) for name, value in self.overall.items()],
            ),
            "defects": (("defect", "reads", "present", "precision", "recall"), defects),
            "cuts: J is sensitivity + specificity - 1, of fitted cuts on patients they were not fitted on": (
                ("domain", "decides", "measure", "now", "fitted", "J now", "J fitted", "better"),
                cuts,
            ),
        }


def said(value: Interval) -> str:
    """An estimate with its interval, which one patient alone does not give."""
    if np.isnan(value.value):
        return "not computable"
    if np.isnan(value.low):
        return f"{value.value:.2f} (no interval)"
    return f"{value.value:.2f} ({value.low:.2f} to {value.high:.2f})"


class _Read(NamedTuple):
    row: dict[str, Any]
    found: Assessment

    @property
    def patient(self) -> str:
        return self.row["patient"]


def agreement(db: Path) -> Agreement:
    """Compare the stored reads with the verdicts of the latest recipe.

    Raises:
        ReviewError: no read of a film that has a verdict.
        StoreError: see `Store.open`.
    """
    with Store.open(db, read_only=True) as store:
        found = compare(store)
    if found is None:
        raise ReviewError(f"{db}: holds no read of a film with a verdict; lrrg review import stores them")
    return found


def compare(store: Store) -> Agreement | None:
    """The agreement, None where there is no read of a film with a verdict."""
    rows = store.query(_READS).records()
    if not rows:
        return None
    body = store.query("SELECT (body -> '$.policy')::VARCHAR FROM recipes WHERE latest").rows[0][0]
    policy = Policy.model_validate_json(body)
    reads = [_Read(row, assess(policy, row["measures"], row["domain"], row["view"])) for row in rows]
    graded = [read for read in reads if read.row["regime"]]
    return Agreement(
        reads=len(reads),
        films=len({read.row["image_id"] for read in reads}),
        patients=len({read.patient for read in reads}),
        readers=len({read.row["reader"] for read in reads}),
        blind=sum(read.row["blind"] for read in reads),
        overall=_overall(graded),
        defects={aspect: found for aspect in ASPECTS if (found := _defect(reads, aspect))},
        calibration=readers.calibration(_quality(graded), _is(graded, "low"), _patients(graded)) if graded else [],
        suggestions=[*_regime_cuts(graded, policy), *_severity_cuts(reads, policy)],
    )


def _overall(reads: list[_Read]) -> dict[str, Interval]:
    if not reads:
        return {}
    patients = _patients(reads)
    agent, reader = (np.array([REGIMES.index(each.row[key]) for each in reads]) for key in ("said", "regime"))
    return {
        "kappa, three regimes (quadratic weights)": readers.kappa(agent, reader, len(REGIMES), patients),
        "kappa, low or not": readers.kappa(agent == 2, reader == 2, 2, patients),
        "AUROC of quality, low or not": readers.area(-_quality(reads), reader == 2, patients),
        "AUROC of quality, high or not": readers.area(_quality(reads), reader == 0, patients),
    }


def _defect(reads: list[_Read], aspect: Aspect) -> Detection | None:
    place = ASPECTS.index(aspect)
    both = [r for r in reads if r.row["present"][place] is not None and r.row["severities"][place] is not None]
    if not both:
        return None
    flagged = [read.row["severities"][place] >= 1 for read in both]
    return readers.detection(flagged, [read.row["present"][place] for read in both], _patients(both))


def _regime_cuts(reads: list[_Read], policy: Policy) -> list[Suggestion]:
    """The two cuts on quality; what a rule decides stays decided."""
    made = []
    for regime, now in (("low", policy.regimes.low), ("high", policy.regimes.high)):
        below = ("low",) if regime == "low" else ("low", "borderline")
        truth = [read.row["regime"] in below for read in reads]
        ruled = [policy.ruled(read.found.severities) in below for read in reads]
        flagged = [rule or read.found.quality < now for rule, read in zip(ruled, reads, strict=True)]
        scores = [-read.found.quality for read in reads]
        fit = readers.fit_cut(scores, truth, flagged, ruled, _patients(reads))
        made += [] if fit is None else [_suggestion(("all", regime, "quality"), now, fit, -1)]
    return made


def _severity_cuts(reads: list[_Read], policy: Policy) -> list[Suggestion]:
    """Where severity 1 begins on each measure; what other measures of the aspect flag stays flagged."""
    made = []
    for row in policy.severities:
        place = ASPECTS.index(row.aspect)
        values = [(r.found.z if row.on == "z" else r.row["measures"]).get(row.measure) for r in reads]
        of_domain = [
            (read, value)
            for read, value in zip(reads, values, strict=True)
            if read.row["domain"] == row.domain and read.row["present"][place] is not None and value is not None
        ]
        chosen = [read for read, _ in of_domain]
        siblings = [each for each in policy.severities if each is not row and _sibling(each, row)]
        others = [any(_grade(read, each) for each in siblings) for read in chosen]
        flagged = [other or row.grade(value) > 0 for other, (_, value) in zip(others, of_domain, strict=True)]
        scores = [row.direction * value for _, value in of_domain]
        fit = readers.fit_cut(scores, [r.row["present"][place] for r in chosen], flagged, others, _patients(chosen))
        named = (row.domain, row.aspect, row.measure if row.on == "value" else f"z of {row.measure}")
        made += [] if fit is None else [_suggestion(named, row.cuts[0], fit, row.direction)]
    return made


def _sibling(each: Severity, row: Severity) -> bool:
    return (each.domain, each.aspect) == (row.domain, row.aspect)


def _grade(read: _Read, row: Severity) -> int:
    value = (read.found.z if row.on == "z" else read.row["measures"]).get(row.measure)
    return 0 if value is None else row.grade(value)


def _suggestion(named: tuple[str, str, str], now: float, fit: Fit, sign: int) -> Suggestion:
    return Suggestion(*named, now, sign * fit.cut, fit.now, fit.unseen, fit.gain)


def _patients(reads: list[_Read]) -> list[str]:
    return [read.patient for read in reads]


def _quality(reads: list[_Read]) -> NDArray[np.float64]:
    return np.array([read.row["quality"] for read in reads])


def _is(reads: list[_Read], regime: str) -> NDArray[np.bool_]:
    return np.array([read.row["regime"] == regime for read in reads])
