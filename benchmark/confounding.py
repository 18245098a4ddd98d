"""Natural low-quality films come from sicker patients: gaps adjusted for what is known, and how well that balanced.

Adjustment removes only a part, because acuity varies within a patient, so adjusted gaps stay
"performance disparities"; only twins may be called a degradation effect.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .cases import Case, Cell
from .corpus import Corpus
from .metrics import Metric
from .resample import by_patient, draw
from .score import Row, as_fraction, patient_order
from .statistics import interval

Weights = NDArray[np.float64]
RIDGE = 1e-3
"""On standardised covariates: keeps the propensity finite where one separates the regimes."""
NEWTON_STEPS = 50
"""At most; a fit stops when a step no longer moves its coefficients."""
STRATA = ("ap", "portable", "positives")
MAXIMUM_POSITIVES = 4
IMBALANCED = 0.1
"""Standardised mean difference above which a covariate counts as unbalanced."""


class Balance(NamedTuple):
    """Standardised mean differences of one covariate, low minus high, before and after weighting."""

    covariate: str
    raw: float
    standardised: float
    overlap: float


@dataclass(frozen=True, eq=False)
class Adjustment:
    """Weights of the natural high and low cases, one column an estimator.

    Attributes:
        rows: row numbers of the high and low cases of T1.
        low: which of those are low.
        weights: by estimator (`raw`, `standardised`, `overlap`), float64, shape (len(rows),), mean 1 in each regime;
            all 0 where no stratum holds both regimes, and then the estimator has no value.
        balance: what the weights did to each covariate.
        effective: effective number of (high, low) cases by estimator.
    """

    rows: NDArray[np.intp]
    low: NDArray[np.bool_]
    weights: Mapping[str, Weights]
    balance: Sequence[Balance]
    effective: Mapping[str, tuple[float, float]]


def adjustment(cases: Sequence[Case]) -> Adjustment | None:
    """Weights that make the high and low regime of T1 comparable; None where either is empty or nothing is known."""
    rows = np.array([row for row, case in enumerate(cases) if "T1" in case.tracks and case.regime in ("high", "low")])
    if not len(rows) or not cases[rows[0]].covariates:
        return None
    chosen = [cases[row] for row in rows]
    low = np.array([case.regime == "low" for case in chosen])
    if low.all() or not low.any():
        return None
    names = sorted(chosen[0].covariates)
    values = np.array([[case.covariates[name] for name in names] for case in chosen], float)
    weights = {
        "raw": _normalised(np.ones(len(low)), low),
        "standardised": _normalised(standardisation(low, _strata(chosen)), low),
        "overlap": _normalised(overlap(low, values), low),
    }
    differences = {name: standardised_difference(values, low, weight) for name, weight in weights.items()}
    balance = [Balance(name, *(float(differences[each][i]) for each in weights)) for i, name in enumerate(names)]
    effective = {name: (_effective(weight[~low]), _effective(weight[low])) for name, weight in weights.items()}
    return Adjustment(rows, low, weights, balance, effective)


def standardisation(low: NDArray[np.bool_], strata: NDArray[np.intp]) -> Weights:
    """Direct standardisation: both regimes get the pooled distribution over strata; strata with one regime get 0.

    Args:
        low: bool, shape (n,).
        strata: stratum of each case, shape (n,).
    """
    weights = np.zeros(len(low))
    for stratum in np.unique(strata):
        here = strata == stratum
        counts = (int((here & low).sum()), int((here & ~low).sum()))
        if all(counts):
            weights[here & low] = here.sum() / counts[0]
            weights[here & ~low] = here.sum() / counts[1]
    return weights


def overlap(low: NDArray[np.bool_], covariates: NDArray[np.float64]) -> Weights:
    """Overlap weights from a ridge logistic propensity: 1 - e for low cases, e for high ones.

    Args:
        low: bool, shape (n,).
        covariates: float, shape (n, k).

    Source:
        Li, Morgan and Zaslavsky, JASA 113:390-400, 2018.
    """
    spread = covariates.std(0)
    design = np.column_stack([np.ones(len(low)), (covariates - covariates.mean(0)) / np.where(spread > 0, spread, 1)])
    penalty = RIDGE * len(low) * np.diag([0.0, *np.ones(covariates.shape[1])])
    beta = np.zeros(design.shape[1])
    for _ in range(NEWTON_STEPS):
        propensity = 1 / (1 + np.exp(-design @ beta))
        gradient = design.T @ (low - propensity) - penalty @ beta
        hessian = (design * (propensity * (1 - propensity))[:, None]).T @ design + penalty
        step = np.linalg.solve(hessian, gradient)
        beta += step
        if np.abs(step).max() < 1e-10:
            break
    propensity = 1 / (1 + np.exp(-design @ beta))
    return np.where(low, 1 - propensity, propensity)


def standardised_difference(
    covariates: NDArray[np.float64], low: NDArray[np.bool_], weights: Weights
) -> NDArray[np.float64]:
    """Weighted mean difference, low minus high, in pooled unweighted standard deviations; shape (k,).

    NaN where no case has a weight.
    """
    if not weights.any():
        return np.full(covariates.shape[1], np.nan)
    means = [np.average(covariates[side], axis=0, weights=weights[side]) for side in (low, ~low)]
    pooled = np.sqrt((covariates[low].var(0) + covariates[~low].var(0)) / 2)
    return (means[0] - means[1]) / np.where(pooled > 0, pooled, 1)


def adjusted_gaps(
    metric: Metric,
    corpora: Mapping[str, Corpus],
    cases: Sequence[Case],
    adjusted: Adjustment,
    *,
    draws: int,
    seed: int,
) -> list[Row]:
    """Gap high minus low of T1 under each estimator that has weights; they are held fixed over the draws."""
    order = patient_order(cases)
    subjects = np.array([cases[row].subject_id for row in adjusted.rows])
    where = Cell("T1")
    found: list[Row] = []
    for model, corpus in corpora.items():
        statistics = corpus.statistics(metric.statistics)[adjusted.rows]
        for name, weights in adjusted.weights.items():
            if not weights.any():
                continue
            sides = [
                by_patient(statistics[side] * weights[side, None], subjects[side], order)
                for side in (~adjusted.low, adjusted.low)
            ]
            high, low = (as_fraction(metric, drawn) for drawn in draw(sides, metric.value, draws=draws, seed=seed))
            found.append(Row(model, *where, metric.name, f"gap_{name}", *interval(high - low)))
    return found


def _strata(cases: Sequence[Case]) -> NDArray[np.intp]:
    keys = [tuple(min(case.covariates.get(name, 0), MAXIMUM_POSITIVES) for name in STRATA) for case in cases]
    places = {key: place for place, key in enumerate(sorted(set(keys)))}
    return np.array([places[key] for key in keys])


def _normalised(weights: Weights, low: NDArray[np.bool_]) -> Weights:
    """Scale each regime to mean 1, so that counts keep their size beside the guards of count-based scores."""
    scaled = weights.copy()
    for side in (low, ~low):
        total = scaled[side].sum()
        scaled[side] *= side.sum() / total if total else 0
    return scaled


def _effective(weights: Weights) -> float:
    return float(weights.sum() ** 2 / (weights**2).sum()) if weights.any() else 0.0
