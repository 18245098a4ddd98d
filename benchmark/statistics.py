"""Rank statistics and patient-cluster bootstrap intervals, numpy only."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Interval(NamedTuple):
    """An estimate with its percentile-bootstrap interval."""

    value: float
    low: float
    high: float


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
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile interval of `statistic` when whole clusters (patients) are drawn with replacement.

    Args:
        statistic: maps row indices (with repetition) to a number; draws that give NaN are left out.
        clusters: shape (n,), the cluster of each row.
        draws: number of bootstrap samples.
        level: coverage of the interval, in (0, 1).
        seed: of the random generator; equal seeds give equal intervals.
    """
    _, codes = np.unique(np.asarray(clusters), return_inverse=True)
    rows = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
    rng = np.random.default_rng(seed)
    samples = (np.concatenate([rows[i] for i in rng.integers(len(rows), size=len(rows))]) for _ in range(draws))
    values = np.array([statistic(sample) for sample in samples])
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return Interval(statistic(np.arange(len(codes))), float(low), float(high))
