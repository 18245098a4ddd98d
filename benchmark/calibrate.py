"""Severities that mean something on real films: ladders solved so that severity k looks like naturally low films.

A measure has percentiles on the naturally low films that show the defect, which are those beyond nine tenths of the
good ones. Severity 1 … 5 of the defect is the parameter at which good films, spoilt, reach the 10th, 25th, 50th, 75th
and 90th of these in the median.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from .degrade import apply
from .ladder import SEVERITIES, Defect, LadderError
from .physics import Grey

Measure = Callable[[Grey], float | None]
PERCENTILES = (10, 25, 50, 75, 90)
MEASURES: Mapping[str, str] = {
    "quantum_noise": "noise.haar",
    "defocus": "blur.edge_width",
    "motion": "blur.edge_width",
    "under_exposure": "exposure.plateau_high",
    "over_exposure": "exposure.plateau_low",
    "shutter": "collimation.margin_depth",
}
"""The quality measure that grows with each defect whose parameter is continuous and has such a measure."""
FEWEST = 5
"""Low films that must show a defect before its severities may follow them."""
_POINTS, _HALVINGS = 8, 6
_REACH = 4.0
"""How far beyond the ladder's ends a parameter may go, as a factor."""


def calibrate(defect: Defect, good: Mapping[str, Grey], low: Sequence[float], measure: Measure) -> tuple[float, ...]:
    """Solve a defect's parameter at severities 1 to 5.

    Args:
        defect: an ordered defect whose measure grows from severity 1 to 5.
        good: films without fault by key.
        low: the measure on naturally low films.
        measure: maps a film to a number, or to None where it has no meaning.

    Raises:
        LadderError: the good films cannot be measured, too few low films show the defect, or no parameter within reach
            makes good films look like them.
    """
    measured = _known(measure(film) for film in good.values())
    if not measured:
        raise LadderError(f"{defect.name}: its measure has no meaning on any of the {len(good)} good films")
    usual = np.quantile(measured, 0.9)
    showing = [value for value in low if value > usual]
    if len(showing) < FEWEST:
        raise LadderError(f"{defect.name}: {len(showing)} low films show it; at least {FEWEST} must")

    def response(value: float) -> float:
        return _median(measure(apply(film, defect.name, value, key=key)) for key, film in good.items())

    steps = _solve(defect, response, np.percentile(showing, PERCENTILES).tolist())
    if len(set(steps)) < len(SEVERITIES):
        raise LadderError(f"{defect.name}: the low films are too alike to tell {len(SEVERITIES)} severities apart")
    return steps


def _solve(defect: Defect, response: Callable[[float], float], targets: Sequence[float]) -> tuple[float, ...]:
    """Find where a response first reaches each target: coarse search, then bisection, in the logarithm."""
    grid = np.geomspace(*_range(defect), _POINTS)
    reached = np.maximum.accumulate([response(value) for value in grid])
    if targets[-1] > reached[-1]:
        raise LadderError(f"{defect.name}: {defect.parameter} {grid[-1]:g} is not as bad as the low films")
    steps = []
    for target in targets:
        at = max(1, int(np.searchsorted(reached, target)))
        mild, bad = grid[at - 1], grid[at]
        for _ in range(_HALVINGS):
            middle = np.sqrt(mild * bad)
            mild, bad = (middle, bad) if response(middle) < target else (mild, middle)
        steps.append(float(f"{bad:.4g}"))
    return tuple(steps)


def _range(defect: Defect) -> tuple[float, float]:
    """From milder than severity 1 to worse than severity 5."""
    first, last = defect.ladder[0], defect.ladder[-1]
    return (first / _REACH, last * _REACH) if last > first else (first * _REACH, last / _REACH)


def _median(values: Iterable[float | None]) -> float:
    return float(np.median(_known(values)))


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]
