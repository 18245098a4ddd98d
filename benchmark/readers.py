"""Agreement of verdicts with readers: confusion counts, kappa, calibration, and which cut would fit readers better.

Everything but the AUROC is a function of summed counts, so that intervals come from drawing whole patients.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .metrics import ratio
from .resample import by_patient, draw
from .statistics import Interval, auroc, cluster_bootstrap, interval, quotient

Bools = NDArray[np.bool_]
DRAWS = 2000
FOLDS = 5
BINS = 8
CANDIDATES = 200
FEWEST = 10
"""Reads with and without a finding below which no cut is fitted."""


class Detection(NamedTuple):
    """How verdicts find what readers find."""

    reads: int
    present: int
    precision: Interval
    recall: Interval


class Point(NamedTuple):
    """One bin of a calibration curve."""

    quality: float
    """Mean quality."""
    share: float
    """Share of the reads that are not low."""
    low: float
    high: float
    reads: int


class Fit(NamedTuple):
    """A cut fitted to readers beside the one in force.

    Attributes:
        cut: fitted on all reads.
        now: Youden's J (sensitivity + specificity - 1) of the cut in force.
        unseen: J of cuts fitted on other patients.
        gain: `unseen` minus `now`; a cut is worth changing where its interval lies above 0.
    """

    cut: float
    now: Interval
    unseen: Interval
    gain: Interval


def kappa(said: ArrayLike, read: ArrayLike, levels: int, patients: Sequence[str]) -> Interval:
    """Cohen's kappa with quadratic weights and its patient-bootstrap interval; two levels give plain kappa.

    Args:
        said: verdicts, int shape (n,) in [0, levels).
        read: readers, int shape (n,) in [0, levels).
        levels: ordered categories.
        patients: shape (n,).

    Source:
        Cohen, Psychological Bulletin 70:213-220, 1968.
    """
    cells = np.asarray(said) * levels + np.asarray(read)
    weights = (np.arange(levels)[:, None] - np.arange(levels)[None, :]) ** 2.0

    def score(sums: NDArray[np.float64]) -> NDArray[np.float64]:
        counts = sums.reshape(*sums.shape[:-1], levels, levels)
        expected = counts.sum(-1)[..., :, None] * counts.sum(-2)[..., None, :]
        apart = (weights * expected).sum((-1, -2)) / counts.sum((-1, -2))
        return quotient(apart - (weights * counts).sum((-1, -2)), apart)

    return _resampled(np.eye(levels * levels)[cells], patients, score)


def area(scores: ArrayLike, positive: ArrayLike, patients: Sequence[str]) -> Interval:
    """AUROC with its patient-bootstrap interval; NaN where readers found one class only."""
    values, truth = np.asarray(scores, float), np.asarray(positive, bool)
    if truth.all() or not truth.any():
        return Interval(float("nan"), float("nan"), float("nan"))
    return cluster_bootstrap(lambda rows: auroc(values[rows], truth[rows]), patients)


def detection(flagged: ArrayLike, present: ArrayLike, patients: Sequence[str]) -> Detection:
    """Precision and recall of flags, bool shape (n,), for what readers find present, bool shape (n,)."""
    flag, truth = np.asarray(flagged, bool), np.asarray(present, bool)
    counts = np.stack([flag & truth, flag, truth], axis=1).astype(float)
    return Detection(
        len(truth),
        int(truth.sum()),
        _resampled(counts[:, [0, 1]], patients, ratio),
        _resampled(counts[:, [0, 2]], patients, ratio),
    )


def calibration(quality: ArrayLike, low: ArrayLike, patients: Sequence[str]) -> list[Point]:
    """Mean quality against the share of reads that are not low, in bins of equally many reads."""
    values, fine, names = np.asarray(quality, float), ~np.asarray(low, bool), np.asarray(patients)
    points = []
    for rows in np.array_split(np.argsort(values, kind="stable"), min(BINS, max(1, len(values) // FEWEST))):
        counts = np.stack([fine[rows], np.ones(len(rows))], axis=1).astype(float)
        found = _resampled(counts, names[rows].tolist(), ratio)
        points.append(Point(float(values[rows].mean()), *found, len(rows)))
    return points


def fit_cut(
    scores: ArrayLike, present: ArrayLike, flagged: ArrayLike, others: ArrayLike, patients: Sequence[str]
) -> Fit | None:
    """The cut on `scores` that fits readers best by Youden's J, judged on patients it was not fitted on.

    Args:
        scores: float shape (n,); a film is flagged from the cut on.
        present: what readers say, bool shape (n,).
        flagged: what the cut in force gives, bool shape (n,).
        others: flagged whatever the cut, bool shape (n,).
        patients: shape (n,).

    Returns:
        None where there are too few reads with or without the finding, or all are of one patient.
    """
    values, truth = np.asarray(scores, float), np.asarray(present, bool)
    now, fixed = np.asarray(flagged, bool), np.asarray(others, bool)
    if min(truth.sum(), (~truth).sum()) < FEWEST or len(set(patients)) < 2:
        return None
    _, code = np.unique(np.asarray(patients), return_inverse=True)
    fold = np.random.default_rng(0).permutation(code.max() + 1)[code] % FOLDS
    unseen = np.zeros(len(truth), bool)
    for held in range(FOLDS):
        cut = _best(values[fold != held], truth[fold != held], fixed[fold != held])
        unseen[fold == held] = fixed[fold == held] | (values[fold == held] >= cut)
    counts = np.stack([now & truth, now & ~truth, unseen & truth, unseen & ~truth, truth, ~truth], axis=1)
    sums = by_patient(counts.astype(float), list(patients), sorted(set(patients)))
    before, after = (
        draw([sums], score, draws=DRAWS)[0] for score in (lambda s: _youden(s, 0), lambda s: _youden(s, 2))
    )
    return Fit(_best(values, truth, fixed), interval(before), interval(after), interval(after - before))


def _best(values: NDArray[np.float64], truth: Bools, fixed: Bools) -> float:
    """Of cuts between neighbouring values, the one with the largest J; the middle one of equals."""
    seen = np.unique(values)
    if len(seen) > CANDIDATES:
        seen = np.unique(np.quantile(values, np.linspace(0, 1, CANDIDATES)))
    cuts = np.concatenate([[seen[0]], (seen[1:] + seen[:-1]) / 2, [np.nextafter(seen[-1], np.inf)]])
    flags = fixed | (values >= cuts[:, None])
    gained = (flags & truth).sum(1) / max(truth.sum(), 1) - (flags & ~truth).sum(1) / max((~truth).sum(), 1)
    equal = np.flatnonzero(gained >= gained.max() - 1e-12)
    return float(cuts[equal[len(equal) // 2]])


def _youden(sums: NDArray[np.float64], first: int) -> NDArray[np.float64]:
    return quotient(sums[..., first], sums[..., 4]) - quotient(sums[..., first + 1], sums[..., 5])


def _resampled(
    statistics: NDArray[np.float64],
    patients: Sequence[str],
    score: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> Interval:
    sums = by_patient(statistics, list(patients), sorted(set(patients)))
    return interval(draw([sums], score, draws=DRAWS)[0])
