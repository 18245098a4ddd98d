"""Score every model in every cell on the same bootstrap draws, and derive what the benchmark claims from them.

Everything after `draw_scores` is arithmetic on arrays of shape (1 + draws,): entry 0 is the estimate, the others its
draws. Patients are drawn once for all models and cells, so gaps, ratios and differences in differences are paired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .cases import MINIMUM_PATIENTS, MINIMUM_STUDIES, Case, Cell
from .corpus import Corpus
from .metrics import Metric, ratio
from .resample import Drawn, Sums, by_patient, draw, swap_test
from .statistics import interval, quotient

Cells = Mapping[Cell, NDArray[np.intp]]
CLEAN = Cell("T4", "high")
NATURAL = ("T1", "T2", "T3", "T1h", "T2h", "T3h")
TWINS = ("T2", "T3", "T2h", "T3h")


class Row(NamedTuple):
    """One number of the result table. `quantity` is `value` or the name of a derived score."""

    model: str
    track: str
    regime: str
    view: str
    defect: str
    severity: int
    metric: str
    quantity: str
    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Roles:
    """Which models the others are measured against.

    Attributes:
        floor: a baseline that never looks at the film; retention is corrected by it.
        reference: the plain fine-tuned model of the same backbone; None leaves out what needs it.
        unseen: defects declared absent from every model's training.
    """

    floor: str
    reference: str | None = None
    unseen: frozenset[str] = frozenset()


def patient_order(cases: Sequence[Case]) -> list[str]:
    """The one patient order all matrices share."""
    return sorted({case.subject_id for case in cases})


def cell_sums(statistics: Sums, cases: Sequence[Case], cells: Cells) -> dict[Cell, Sums]:
    """Per-patient summed statistics of each cell, shape (P, k) each."""
    order = patient_order(cases)
    subjects = np.array([case.subject_id for case in cases])
    return {cell: by_patient(statistics[rows], subjects[rows], order) for cell, rows in cells.items()}


def draw_scores(
    metric: Metric, corpora: Mapping[str, Corpus], cases: Sequence[Case], cells: Cells, *, draws: int, seed: int
) -> dict[str, dict[Cell, Drawn]]:
    """One metric's score and its bootstrap draws by model and cell."""
    sums = {model: cell_sums(corpus.statistics(metric.statistics), cases, cells) for model, corpus in corpora.items()}
    keys = [(model, cell) for model in sums for cell in cells]
    drawn = draw([sums[model][cell] for model, cell in keys], metric.value, draws=draws, seed=seed)
    scores: dict[str, dict[Cell, Drawn]] = {model: {} for model in sums}
    for (model, cell), values in zip(keys, drawn, strict=True):
        scores[model][cell] = values if _rests_on_enough(metric, sums[model][cell]) else np.full_like(values, np.nan)
    return scores


def _rests_on_enough(metric: Metric, sums: Sums) -> bool:
    """Whether a share is one of enough: a large cell can hold few studies that the share is about."""
    if metric.value is not ratio:
        return True
    about = sums[:, 1]
    return float(about.sum()) >= MINIMUM_STUDIES and int(np.count_nonzero(about)) >= MINIMUM_PATIENTS


def rows_of(metric: Metric, scores: Mapping[str, Mapping[Cell, Drawn]], shown: set[Cell], roles: Roles) -> list[Row]:
    """Every row of one metric: plain values, then what is derived for metrics where higher or lower is better."""
    table = [
        _row(metric, model, cell, "value", drawn)
        for model, cells in scores.items()
        for cell, drawn in cells.items()
        if cell in shown
    ]
    if metric.better == "neither":
        return table
    goodness = {
        model: {cell: as_fraction(metric, drawn) for cell, drawn in cells.items() if cell in shown}
        for model, cells in scores.items()
    }
    for model in scores:
        table += [_row(metric, model, *found) for found in _natural(model, goodness, roles)]
        synthetic = _synthetic(model, goodness, roles)
        table += [_row(metric, model, *found) for found in (*synthetic, *_over_defects(synthetic, roles))]
        table += [_row(metric, model, *found) for found in _no_harm(model, goodness, roles)]
    return table


def twin_tests(
    metric: Metric,
    corpora: Mapping[str, Corpus],
    cases: Sequence[Case],
    cells: Cells,
    shown: set[Cell],
    *,
    draws: int,
    seed: int,
) -> list[Row]:
    """Two-sided p-value of each natural twin track's gap (`gap_p`): patients swap their high and low films."""
    found: list[Row] = []
    for track in TWINS:
        sides = [Cell(track, regime) for regime in ("high", "low")]
        if not shown.issuperset(sides):
            continue
        members = np.concatenate([cells[side] for side in sides])
        order = sorted({cases[row].subject_id for row in members})
        subjects = np.array([case.subject_id for case in cases])
        for model, corpus in corpora.items():
            statistics = corpus.statistics(metric.statistics)
            high, low = (by_patient(statistics[cells[side]], subjects[cells[side]], order) for side in sides)
            p_value = swap_test(high, low, metric.value, draws=draws, seed=seed)
            found.append(Row(model, *Cell(track), metric.name, "gap_p", p_value, float("nan"), float("nan")))
    return found


def as_fraction(metric: Metric, drawn: Drawn) -> Drawn:
    """The score as a fraction of its range, higher better, so that gaps and errors mean the same for every metric."""
    low, high = metric.bounds
    fraction = (drawn - low) / (high - low)
    return fraction if metric.better == "higher" else 1 - fraction


def _row(metric: Metric, model: str, cell: Cell, quantity: str, drawn: Drawn) -> Row:
    return Row(model, *cell, metric.name, quantity, *interval(drawn))


Found = tuple[Cell, str, Drawn]
Goodness = Mapping[str, Mapping[Cell, Drawn]]


def _natural(model: str, goodness: Goodness, roles: Roles) -> list[Found]:
    """Gap, retention and difference in differences between high films and low ones: all, by view, by natural defect."""
    found: list[Found] = []
    ours = goodness[model]
    for low in (cell for cell in ours if cell.track in NATURAL and cell.regime == "low"):
        high = Cell(low.track, "high", low.view)
        if high not in ours:
            continue
        gap, where = ours[high] - ours[low], low._replace(regime="all")
        floor = goodness[roles.floor]
        found += [
            (where, "gap", gap),
            (where, "retention", quotient(ours[low], ours[high])),
            *_above_floor(where, ours[low] - floor[low], ours[high] - floor[high]),
        ]
        if roles.reference and model != roles.reference:
            reference = goodness[roles.reference]
            found.append((where, "difference_in_differences", reference[high] - reference[low] - gap))
    return found


def _above_floor(where: Cell, low: Drawn, high: Drawn) -> list[Found]:
    """Retention of what the floor does not reach; of a model that is not measurably above it nothing can be kept."""
    return [(where, "retention_above_floor", quotient(low, high))] if interval(high).low > 0 else []


def _severities(cells: Mapping[Cell, Drawn]) -> dict[str, list[Cell]]:
    """Degraded cells by defect, mildest first."""
    ladders: dict[str, list[Cell]] = {}
    for cell in sorted(cells):
        if cell.track == "T4" and cell.defect:
            ladders.setdefault(cell.defect, []).append(cell)
    return ladders


def _synthetic(model: str, goodness: Goodness, roles: Roles) -> list[Found]:
    """Drop, retention, area under the severity curve and (relative) corruption error of every defect."""
    ours = goodness[model]
    if CLEAN not in ours:
        return []
    found: list[Found] = []
    floor = goodness[roles.floor]
    for defect, ladder in _severities(ours).items():
        where = Cell("T4", "high", "all", defect)
        scores = np.mean([ours[cell] for cell in ladder], axis=0)
        floors = np.mean([floor[cell] for cell in ladder], axis=0)
        found += [
            (where, "area_under_severity", scores),
            (where, "drop", ours[CLEAN] - scores),
            (where, "retention", quotient(scores, ours[CLEAN])),
            *_above_floor(where, scores - floors, ours[CLEAN] - floor[CLEAN]),
        ]
        if roles.reference:
            found += _against_reference(where, ladder, ours, goodness[roles.reference])
    return found


def _against_reference(
    where: Cell, ladder: list[Cell], ours: Mapping[Cell, Drawn], reference: Mapping[Cell, Drawn]
) -> list[Found]:
    errors = np.sum([1 - ours[cell] for cell in ladder], axis=0)
    reference_errors = np.sum([1 - reference[cell] for cell in ladder], axis=0)
    drop = np.sum([ours[CLEAN] - ours[cell] for cell in ladder], axis=0)
    reference_drop = np.sum([reference[CLEAN] - reference[cell] for cell in ladder], axis=0)
    found = [
        (where, "corruption_error", quotient(errors, reference_errors)),
        (where, "difference_in_differences", (reference_drop - drop) / len(ladder)),
    ]
    # A reference that does not measurably drop would be divided by noise.
    if interval(reference_drop).low > 0:
        found.append((where, "relative_corruption_error", quotient(drop, reference_drop)))
    return found


def _over_defects(synthetic: Sequence[Found], roles: Roles) -> list[Found]:
    """Means over all, seen and unseen defects (of corruption errors: mCE), and the worst defect."""
    by_quantity: dict[str, dict[str, Drawn]] = {}
    for cell, quantity, drawn in synthetic:
        by_quantity.setdefault(quantity, {})[cell.defect] = drawn
    defects = {cell.defect for cell, _, _ in synthetic}
    groups = {"all": defects, "seen": defects - roles.unseen, "unseen": defects & roles.unseen}
    found = [
        (
            Cell("T4", "high", "all", group),
            f"mean_{quantity}",
            np.mean([values[each] for each in sorted(members)], axis=0),
        )
        for quantity, values in by_quantity.items()
        for group, members in groups.items()
        if members and members <= values.keys()
    ]
    if areas := by_quantity.get("area_under_severity"):
        # The defect that is worst on the sample, in every draw: the least of many noisy draws would be lower than any.
        worst = min(areas.values(), key=lambda drawn: np.nan_to_num(drawn[0], nan=np.inf))
        found.append((Cell("T4", "high", "all", "all"), "worst_defect", worst))
    return found


def _no_harm(model: str, goodness: Goodness, roles: Roles) -> list[Found]:
    """Difference to the reference on the whole official test split."""
    whole = Cell("T5")
    if not roles.reference or model == roles.reference or whole not in goodness[model]:
        return []
    return [(whole, "difference_to_reference", goodness[model][whole] - goodness[roles.reference][whole])]
