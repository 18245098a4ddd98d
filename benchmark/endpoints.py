"""The two endpoints declared before any model is scored; everything else is exploratory.

P1: on unseen synthetic defects the model loses less label F1 than plain fine-tuning does.
P2: on the whole official test split it is not worse than plain fine-tuning by more than the margin.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from .cases import Case
from .corpus import Corpus
from .metrics import METRICS, Metric
from .resample import Sums, draw, holm, swap_test
from .score import CLEAN, Cell, Cells, cell_sums
from .statistics import Interval, interval

PRIMARY = "micro_f1_14_uncertain_positive"
MARGIN = 0.01
WHOLE = Cell("T5")


class Endpoint(NamedTuple):
    """Result of one declared endpoint for one model against the reference."""

    model: str
    endpoint: str
    value: float
    low: float
    high: float
    p_value: float
    p_holm: float


def primary_endpoints(
    corpora: Mapping[str, Corpus],
    cases: Sequence[Case],
    cells: Cells,
    *,
    reference: str,
    unseen: frozenset[str],
    draws: int,
    seed: int,
) -> list[Endpoint]:
    """P1 and P2 of every model but the reference, Holm-corrected over the two.

    Endpoints whose cells the benchmark does not hold are absent.
    """
    metric = METRICS[PRIMARY]
    sums = {model: cell_sums(corpus.statistics(metric.statistics), cases, cells) for model, corpus in corpora.items()}
    # Sorted: a mean of floats depends on their order, and callers may hand over cells in any.
    ladder = sorted(cell for cell in cells if cell.track == "T4" and cell.defect in unseen)
    found: list[Endpoint] = []
    for model in sums.keys() - {reference}:
        tests: list[tuple[str, Interval, float]] = []
        if CLEAN in cells and ladder:
            tests.append(("P1", *_less_lost(metric, sums[reference], sums[model], ladder, draws, seed)))
        if WHOLE in cells:
            tests.append(("P2", *_no_harm(metric, sums[reference][WHOLE], sums[model][WHOLE], draws, seed)))
        corrected = holm([p_value for *_, p_value in tests])
        found += [
            Endpoint(model, name, *estimate, p_value, p_holm)
            for (name, estimate, p_value), p_holm in zip(tests, corrected, strict=True)
        ]
    return sorted(found)


def _less_lost(
    metric: Metric,
    reference: Mapping[Cell, Sums],
    model: Mapping[Cell, Sums],
    ladder: list[Cell],
    draws: int,
    seed: int,
) -> tuple[Interval, float]:
    """Difference in mean drops (reference minus model), its interval, and the p-value of swapping patients."""
    # Clean and degraded statistics side by side: a patient swaps models with all of them.
    first, second = (np.hstack([sums[cell] for cell in (CLEAN, *ladder)]) for sums in (reference, model))
    width = first.shape[1] // (1 + len(ladder))

    def drop(side_by_side: Sums) -> Sums:
        parts = [
            metric.value(side_by_side[..., start : start + width]) for start in range(0, side_by_side.shape[-1], width)
        ]
        return parts[0] - np.mean(parts[1:], axis=0)

    ours, theirs = draw([second, first], drop, draws=draws, seed=seed)
    return interval(theirs - ours), swap_test(first, second, drop, draws=draws, seed=seed)


def _no_harm(metric: Metric, reference: Sums, model: Sums, draws: int, seed: int) -> tuple[Interval, float]:
    """Difference to the reference, its interval, and the one-sided p-value of being worse by the margin."""
    theirs, ours = draw([reference, model], metric.value, draws=draws, seed=seed)
    difference = ours - theirs
    # A draw in which a model has no score speaks for nobody: it must not count as one without harm.
    worse = int((~(difference[1:] > -MARGIN)).sum())
    return interval(difference), (1 + worse) / (1 + draws)
