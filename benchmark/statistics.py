"""Rank statistics, percentile intervals and the patient-cluster bootstrap, numpy only."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

DECIMALS = 12
"""Kept of every number: how many threads multiply a matrix changes the sixteenth."""


class Interval(NamedTuple):
    """An estimate with its percentile-bootstrap interval."""

    value: float
    low: float
    high: float


def interval(drawn: NDArray[np.float64]) -> Interval:
    """95 % percentile interval of a drawn quantity, shape (1 + draws,): entry 0 is the estimate, the others its draws.

    Draws without a value (an empty cell) are left out. Numbers are rounded to `DECIMALS`.
    """
    if np.isnan(drawn[1:]).all():
        return Interval(round(float(drawn[0]), DECIMALS), float("nan"), float("nan"))
    low, high = np.nanquantile(drawn[1:], [0.025, 0.975])
    return Interval(*(round(float(each), DECIMALS) for each in (drawn[0], low, high)))


def quotient(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Element by element; NaN where the divisor is zero up to rounding."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(np.abs(below) > 1e-12, above / below, np.nan)


def auroc(scores: ArrayLike, positive: ArrayLike) -> float:
    """Area under the ROC curve of `scores` for the `positive` class; ties count one half.

    Args:
        scores: float, shape (n,); higher means more likely positive.
        positive: bool, shape (n,).

    Returns:
        A value in [0, 1]; NaN where a class is empty.

    Source:
        Hanley and McNeil, Radiology 143:29-36, 1982 (the Mann-Whitney form).

    >>> auroc([0.1, 0.4, 0.35, 0.8], [False, False, True, True])
    0.75
    """
    values = np.asarray(scores, float)
    truth = np.asarray(positive, bool)
    n_positive, n_negative = int(truth.sum()), int((~truth).sum())
    if not n_positive or not n_negative:
        return float("nan")
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    mid_ranks = np.cumsum(counts) - (counts - 1) / 2
    rank_sum = float(mid_ranks[inverse][truth].sum())
    return (rank_sum - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)


def cluster_bootstrap(
    statistic: Callable[[NDArray[np.intp]], float],
    clusters: ArrayLike,
    *,
    draws: int = 1000,
) -> Interval:
    """Percentile interval of `statistic` when whole clusters (patients) are drawn with replacement; always the same.

    Args:
        statistic: maps row indices (with repetition) to a number; draws that give NaN are left out.
        clusters: shape (n,), the cluster of each row.
        draws: number of bootstrap samples.

    Returns:
        The estimate with its interval; ends are NaN where there is one cluster alone.
    """
    _, codes = np.unique(np.asarray(clusters), return_inverse=True)
    rows = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
    if len(rows) == 1:
        return interval(np.array([statistic(rows[0]), np.nan]))
    rng = np.random.default_rng(0)
    samples = (np.concatenate([rows[i] for i in rng.integers(len(rows), size=len(rows))]) for _ in range(draws))
    return interval(np.array([statistic(np.arange(len(codes))), *map(statistic, samples)], float))
