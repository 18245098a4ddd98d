"""The quality model of one intensity domain: sign-constrained, regularised logistic regression on clipped robust z."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...agent.policy import TRANSFORMS, Reference
from ...benchmark.statistics import auroc
from ..examples import Example
from .plan import MODEL, TRANSFORM, VIEWS
from .reference import reference

Floats = NDArray[np.float64]

RIDGES = (0.1, 0.2, 0.4)
"""Strong ones: a model that leans on a few weights learns the source instead of the quality."""
LADDER_MASS = 0.05
"""Share of the loss that films spoiled on purpose have: enough to teach directions, too little to outvote readers."""
FEW = 30
"""Films of a source and label below which each counts no more than if there were so many."""
MIN_CLASS = 3
"""A source counts as a held-out source where it has so many good and so many low films."""


MAX_STEPS = 5000
CONVERGED = 1e-8
SHRINK = 1e-3
"""Pull of the calibration towards leaving log-odds as they are."""


class Model(NamedTuple):
    """A fitted quality model: log-odds of low quality = bias + weights . phi."""

    bias: float
    weights: Mapping[str, float]
    """By measure; none is negative."""
    reference: tuple[Reference, ...]
    ridge: float


class Line(NamedTuple):
    """Log-odds of low quality as a weighted sum: bias + phi @ weights."""

    bias: float
    weights: Floats
    """Shape (features,); none is negative."""
    ridge: float


class Rows(NamedTuple):
    """Films to fit on, one a row."""

    phi: Floats
    """Features that grow as quality falls: shape (n, features)."""
    low: NDArray[np.bool_]
    source: NDArray[np.str_]
    patient: NDArray[np.str_]
    spoiled: NDArray[np.bool_]
    """Whether the film was spoiled on purpose."""


def fit_model(examples: Iterable[Example]) -> Model:
    """Fit one domain's model to good and low films and to spoiled ones; films between good and low are left out.

    The ridge is the one with the best mean AUROC over held-out sources inside these films (over held-out patients
    where they have one source). Bias and scale are then calibrated on held-out patients inside these films.
    """
    chosen = [each for each in examples if each.film.label in ("good", "low")]
    refer_to = [each for each in chosen if each.film.label == "good" and not each.defect]
    scales = reference(refer_to, TRANSFORM, VIEWS)
    line = fit_line(_rows(chosen, scales))
    return Model(line.bias, dict(zip(MODEL, line.weights.tolist(), strict=True)), scales, line.ridge)


def fit_line(rows: Rows) -> Line:
    """Fit log-odds of low quality that grow with every feature; see `fit_model` for ridge and calibration."""
    ridge = max(RIDGES, key=lambda each: _carries(rows, each))
    bias, weights = _solve(rows, ridge)
    slope, shift = _calibrate(rows, ridge)
    return Line(float(slope * bias + shift), slope * weights, ridge)


def log_odds(model: Model, examples: Sequence[Example]) -> Floats:
    """Log-odds of low quality by a model: float64, shape (n,)."""
    weights = np.array([model.weights[name] for name in MODEL])
    return model.bias + phi(examples, model.reference) @ weights


def phi(examples: Sequence[Example], scales: Iterable[Reference]) -> Floats:
    """Directed, clipped z of every measure of the model, 0 where absent: float64, shape (n, measures)."""
    found = {(row.group, row.measure): row for row in scales if row.domain == examples[0].domain}
    matrix = np.zeros((len(examples), len(MODEL)))
    for i, each in enumerate(examples):
        group = VIEWS.get(each.film.view.upper(), "unknown")
        for j, (name, (transform, direction, low, high)) in enumerate(MODEL.items()):
            row = found.get((group, name))
            if row and name in each.measures:
                z = (TRANSFORMS[transform](each.measures[name]) - row.median) / row.scale
                matrix[i, j] = min(max(direction * z, low), high)
    return matrix


def _rows(examples: Sequence[Example], scales: Iterable[Reference]) -> Rows:
    return Rows(
        phi(examples, scales),
        np.array([each.film.label == "low" or bool(each.defect) for each in examples]),
        np.array([each.film.source for each in examples]),
        np.array([each.film.patient for each in examples]),
        np.array([bool(each.defect) for each in examples]),
    )


def take(rows: Rows, mask: NDArray[np.bool_]) -> Rows:
    """The films a mask chooses."""
    return Rows(rows.phi[mask], rows.low[mask], rows.source[mask], rows.patient[mask], rows.spoiled[mask])


def _solve(rows: Rows, ridge: float) -> tuple[float, Floats]:
    mass, low = _mass(rows), rows.low.astype(float)

    def slope(theta: Floats) -> Floats:
        odds = theta[0] + (rows.phi * theta[1:]).sum(axis=1)
        residual = mass * (1 / (1 + np.exp(-odds)) - low)
        return np.concatenate([[residual.sum()], (rows.phi * residual[:, None]).sum(axis=0) + ridge * theta[1:]])

    size = rows.phi.shape[1]
    curvature = float((mass[:, None] * rows.phi**2).sum() + mass.sum()) / 4 + ridge
    found = _descend(slope, np.zeros(size + 1), np.concatenate([[-np.inf], np.zeros(size)]), curvature)
    return float(found[0]), found[1:]


def _descend(slope: Callable[[Floats], Floats], start: Floats, lowest: Floats, curvature: float) -> Floats:
    """Minimise a smooth convex loss with lower bounds, by accelerated projected gradient steps with restarts.

    Sums of products throughout: a matrix product would start threads, which cost more than such small sums.

    Args:
        slope: gradient of the loss.
        start: where to begin.
        lowest: lower bound of each parameter.
        curvature: no less than the largest second derivative in any direction.

    Source:
        Beck and Teboulle, SIAM Journal on Imaging Sciences 2:183-202, 2009; restarts: O'Donoghue and Candès,
        Foundations of Computational Mathematics 15:715-732, 2015.
    """
    here = ahead = np.maximum(start, lowest)
    momentum = 1.0
    for _ in range(MAX_STEPS):
        there = np.maximum(ahead - slope(ahead) / curvature, lowest)
        if float(np.abs(there - ahead).max()) < CONVERGED:
            return there
        if ((ahead - there) * (there - here)).sum() > 0:
            momentum = 1.0
        longer = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        ahead = there + (momentum - 1) / longer * (there - here)
        here, momentum = there, longer
    return here


def _mass(rows: Rows) -> Floats:
    """Weight of each film: a source's good (and low) films count by the square root of their number.

    Where there are fewer than `FEW` they count by their number: a handful of oddities must not steer the fit.
    """
    mass = np.zeros(len(rows.low))
    real = ~rows.spoiled
    for source in np.unique(rows.source):
        for low in (False, True):
            cell = real & (rows.source == source) & (rows.low == low)
            mass[cell] = 1 / np.sqrt(max(cell.sum(), FEW))
    mass /= max(mass.sum(), 1e-12)
    if rows.spoiled.any():
        mass *= 1 - LADDER_MASS
        mass[rows.spoiled] = LADDER_MASS / rows.spoiled.sum()
    return mass


def _carries(rows: Rows, ridge: float) -> float:
    """Mean AUROC over the folds held out in turn."""
    real = ~rows.spoiled
    folds = [rows.source == name for name in _held_out(rows.source[real], rows.low[real])]
    if len(folds) < 2:
        folds = [part == k for part in [patient_folds(rows.patient, 3)] for k in range(3)]
    scores = []
    for held in folds:
        bias, weights = _solve(take(rows, ~held), ridge)
        test = take(rows, held & real)
        scores.append(auroc(bias + test.phi @ weights, test.low))
    return float(np.nanmean(scores))


def _held_out(sources: NDArray[np.str_], low: NDArray[np.bool_]) -> list[str]:
    """Sources with enough good and enough low films to be held out by themselves."""
    return [
        str(name)
        for name in np.unique(sources)
        if min((low & (sources == name)).sum(), (~low & (sources == name)).sum()) >= MIN_CLASS
    ]


def patient_folds(patients: NDArray[np.str_], folds: int) -> NDArray[np.intp]:
    """Fold of each row; all rows of a patient share one, and patients spread evenly in a fixed random order."""
    names, codes = np.unique(patients, return_inverse=True)
    return (np.random.default_rng(0).permutation(len(names)) % folds)[codes]


def _calibrate(rows: Rows, ridge: float, folds: int = 5) -> tuple[float, float]:
    """Slope and shift that make held-out log-odds true among the hand-labelled films.

    Source:
        Platt, Advances in Large Margin Classifiers, 1999.
    """
    real = ~rows.spoiled
    part, odds = patient_folds(rows.patient, folds), np.zeros(len(rows.low))
    for k in range(folds):
        bias, weights = _solve(take(rows, part != k), ridge)
        odds[part == k] = bias + rows.phi[part == k] @ weights
    x, low = odds[real], rows.low[real].astype(float)

    def slope(theta: Floats) -> Floats:
        residual = 1 / (1 + np.exp(-(theta[0] * x + theta[1]))) - low
        return np.array([(residual * x).mean(), residual.mean()]) + SHRINK * (theta - (1.0, 0.0))

    curvature = float((x**2).mean() + 1) / 4 + SHRINK
    found = _descend(slope, np.array([1.0, 0.0]), np.array([0.1, -np.inf]), curvature)
    return float(found[0]), float(found[1])
