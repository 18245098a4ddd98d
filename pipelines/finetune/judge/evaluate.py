"""How well a judge grades films it has never seen: spoiled ones by aspect and severity, and hand-labelled ones."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....agent.scores import AS_IT_CAME, Calibration
from ....agent.state import ASPECTS
from ....benchmark.ladder import read_ladder
from ....benchmark.statistics import Interval, auroc, cluster_bootstrap
from ...calibrate.file import Calibrations
from .bases import Base
from .spoil import KINDS, NONE, SEVERE, UNKNOWN, Spoiled, draw, spoil
from .views import Row, Views

Floats = NDArray[np.float64]
BINS = 10
DRAWS = 500
MIXED = 12
"""Random combinations of defects a film."""
UNSEEN = ("electronic_noise", "scatter", "low_resolution", "cut_off")
"""Defects of the ladder that no training film had, and the aspect they count as."""
TAUGHT = tuple(name for kinds in KINDS.values() for name, _ in kinds)
TEMPERATURES = np.exp(np.linspace(np.log(0.5), np.log(4.0), 43))
SHIFTS = np.linspace(-3.0, 3.0, 61)
ROUNDS = 20
"""In which temperature and shift are chosen in turns."""
RESERVE = 0.01
"""Chosen on validation patients, left out in turn."""
Rows = list[dict[str, Any]]


class Graded(NamedTuple):
    """Views and the probabilities (N, 6, 4) a judge gave them."""

    views: Views
    probabilities: Floats

    @classmethod
    def joined(cls, parts: Sequence["Graded"]) -> "Graded":
        """All views of the parts as one."""
        return cls(Views.joined([part.views for part in parts]), np.concatenate([p.probabilities for p in parts]))

    @property
    def severity(self) -> Floats:
        """Expected grade, (N, 6)."""
        return self.probabilities @ np.arange(4)


def mixed(films: Sequence[Base], *, seed: int) -> Iterator[tuple[Base, Spoiled]]:
    """Films with several defects at once, as drawn in training but never rescaled, each at the middle of its grade."""
    for index, film in enumerate(films):
        for turn in range(MIXED):
            rng = np.random.default_rng((seed, index, turn))
            yield film, spoil(film.grey, film.grades, draw(rng), rng, spread=0.0)


def ladders(films: Sequence[Base], *, seed: int) -> Iterator[tuple[Base, Spoiled]]:
    """Every film clean, and with every defect alone at every grade it is drawn at."""
    for index, film in enumerate(films):
        for turn, plan in enumerate(steps()):
            rng = np.random.default_rng((seed, index, turn))
            yield film, spoil(film.grey, film.grades, plan, rng, spread=0.0)


def steps() -> list[dict[str, tuple[str, int]]]:
    """What `ladders` does to a film: nothing, then each defect alone at each of its grades."""
    ordered = [(aspect, name, read_ladder()[name].ordered) for aspect, kinds in KINDS.items() for name, _ in kinds]
    grades = {True: (1, 2, 3), False: (SEVERE,)}
    return [{}, *({a: (name, grade)} for a, name, is_ordered in ordered for grade in grades[is_ordered])]


def by_aspect(graded: Graded, domain: str, *, draws: int = DRAWS, source: str | None = None) -> Rows:
    """One row an aspect: AUROC of the expected severity for present against absent, and at each severity; errors.

    What a film brought along counts as present (`own.py`); `auroc_added` counts only what was added.

    Args:
        graded: spoiled films.
        domain: `presentation`, `equalised` or `both`.
        draws: bootstrap samples of patients.
        source: films of this one alone; all by default.
    """
    of = _in_domain(graded.views.rows, domain)
    of &= np.array([source in (None, row.source) for row in graded.views.rows])
    who = {"source": source} if source else {}
    return [who | _aspect(graded, index, domain, draws, of) for index in range(len(ASPECTS))]


def _aspect(graded: Graded, index: int, domain: str, draws: int, of: NDArray[np.bool_]) -> dict[str, Any]:
    chosen = of & (graded.views.grades[:, index] >= 0)
    truth = graded.views.grades[chosen, index].astype(int)
    severity, probabilities = graded.severity[chosen, index], graded.probabilities[chosen, index]
    patients = np.array([row.patient for row in graded.views.rows])[chosen]
    row: dict[str, Any] = {"aspect": ASPECTS[index], "domain": domain, "views": len(truth)}
    row["auroc"] = area(severity, truth > 0, patients, draws)
    added = _added(graded.views.rows, ASPECTS[index])
    row["auroc_added"] = auroc(graded.severity[of & (added >= 0), index], added[of & (added >= 0)] > 0)
    for grade in (1, 2, 3):
        either = (truth == 0) | (truth == grade)
        row[f"auroc_{grade}"] = auroc(severity[either], truth[either] > 0)
    row["exact"] = float((probabilities.argmax(1) == truth).mean())
    row["within_one"] = float((np.abs(probabilities.argmax(1) - truth) <= 1).mean())
    row["ece"] = ece(1 - probabilities[:, 0], truth > 0)
    return row


def _added(rows: Sequence[Row], aspect: str) -> NDArray[np.int8]:
    """1 where a defect of the aspect was added, 0 where not, whatever the film brought along; -1 if it cannot show."""

    def added(row: Row) -> int:
        if aspect == "exposure" and row.domain == "equalised" and "low_contrast" in row.defects:
            return UNKNOWN
        return int(any(read_ladder()[name].aspect == aspect for name in row.defects))

    return np.array([added(row) for row in rows], np.int8)


def area(scores: Floats, positive: NDArray[np.bool_], patients: NDArray[np.str_], draws: int) -> Interval:
    """AUROC with the interval over patients; NaN where a class is empty."""
    if positive.all() or not positive.any():
        return Interval(float("nan"), float("nan"), float("nan"))

    def statistic(rows: NDArray[np.intp]) -> float:
        return auroc(scores[rows], positive[rows])

    return cluster_bootstrap(statistic, patients, draws=draws)


def ece(probability: Floats, present: NDArray[np.bool_]) -> float:
    """Expected calibration error over ten bins of equal width."""
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    gaps = [abs(probability[bins == k].mean() - present[bins == k].mean()) * (bins == k).mean() for k in set(bins)]
    return float(sum(gaps))


def by_ladder(graded: Graded, domain: str, *, draws: int = DRAWS) -> Rows:
    """One row an aspect: AUROC of its expected severity for its taught defects, each alone, against unspoiled films.

    Severities 1, 2 and 3 of all its defects together, with the interval over patients. A film that brought the defect
    along is left out where it is unspoiled, and counts where more was added.
    """
    return [_ladder(graded, domain, aspect, draws) for aspect in ASPECTS]


def _ladder(graded: Graded, domain: str, aspect: str, draws: int) -> dict[str, Any]:
    index = ASPECTS.index(aspect)
    clean, spoiled = _alone(graded, domain, aspect, tuple(name for name, _ in KINDS[aspect]))
    of = clean | spoiled
    patients = np.array([row.patient for row in graded.views.rows])
    row: dict[str, Any] = {"aspect": aspect, "domain": domain, "clean": int(clean.sum()), "spoiled": int(spoiled.sum())}
    row["auroc"] = area(graded.severity[of, index], spoiled[of], patients[of], draws)
    return row


def by_defect(graded: Graded, domain: str, defects: Sequence[str] = TAUGHT) -> Rows:
    """One row a defect: AUROC of its aspect's expected severity against films without it, by grade."""
    return [_defect(graded, domain, name) for name in defects]


def _defect(graded: Graded, domain: str, name: str) -> dict[str, Any]:
    aspect = read_ladder()[name].aspect
    index = ASPECTS.index(aspect)
    clean, spoiled = _alone(graded, domain, aspect, (name,))
    grades, severity = graded.views.grades[:, index], graded.severity[:, index]
    found: dict[str, Any] = {"aspect": aspect, "defect": name, "domain": domain}
    for grade in (1, 2, 3):
        of = clean | (spoiled & (grades == grade))
        found[f"auroc_{grade}"] = auroc(severity[of], spoiled[of]) if spoiled[of].any() else None
    return found


def _alone(graded: Graded, domain: str, aspect: str, defects: Sequence[str]) -> tuple[NDArray[np.bool_], ...]:
    """Which views show an unspoiled film without the aspect's defects, and which one of `defects` alone."""
    rows, grades = graded.views.rows, graded.views.grades[:, ASPECTS.index(aspect)]
    usable = _in_domain(rows, domain) & (grades >= 0)
    clean = usable & (grades == NONE) & np.array([not row.defects for row in rows])
    return clean, usable & np.array([len(row.defects) == 1 and row.defects[0] in defects for row in rows])


def _in_domain(rows: Sequence[Row], domain: str) -> NDArray[np.bool_]:
    return np.array([domain in ("both", row.domain) for row in rows])


def calibrate(graded: Graded) -> Calibrations:
    """By aspect, what makes the true grades likeliest; found on validation patients alone.

    Few patients choose, so a shift has to be worth it: `RESERVE` times its square counts as loss.
    """
    return {aspect: _calibrate(graded, index) for index, aspect in enumerate(ASPECTS)}


def _calibrate(graded: Graded, index: int) -> Calibration:
    known = graded.views.grades[:, index] >= 0
    truth, probabilities = graded.views.grades[known, index].astype(int), graded.probabilities[known, index]

    def loss(by: Calibration) -> float:
        likely = np.take_along_axis(made_true(probabilities, by), truth[:, None], 1)
        return float(-np.log(likely).mean()) + RESERVE * by.shift**2

    found = min((Calibration(float(each)) for each in TEMPERATURES), key=loss)
    for _ in range(ROUNDS):
        found = min((found._replace(shift=float(each)) for each in SHIFTS), key=loss)
        found = min((found._replace(temperature=float(each)) for each in TEMPERATURES), key=loss)
    return Calibration(round(found.temperature, 3), round(found.shift, 3))


def made_true(probabilities: Floats, by: Calibration) -> Floats:
    """Probabilities (…, 4) as `Score.calibrated` makes them."""
    raised = np.maximum(probabilities, 1e-9) ** (1 / by.temperature) * np.exp([0.0, by.shift, by.shift, by.shift])
    return raised / raised.sum(-1, keepdims=True)


def calibrated(graded: Graded, found: Calibrations) -> Graded:
    """The same views with every aspect made true; as it came where no validation patient chose anything."""
    each = [made_true(graded.probabilities[:, k], found.get(aspect, AS_IT_CAME)) for k, aspect in enumerate(ASPECTS)]
    return graded._replace(probabilities=np.stack(each, 1))
