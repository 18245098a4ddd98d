"""Distributions with movable cuts: every film becomes one small code a measure, so that a page can recount exactly.

A code says between which two edges a value lies, and every cut of the policy is one of the edges. Counting codes
therefore gives what counting values gives, at the policy's cuts and wherever a reader moves them, edge by edge.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .population import ABSENT, Codes, Floats

BARS = 40
FINE = 4
"""Edges a bar."""
TAIL = 0.5
"""Percent of the films at each end that may lie beyond the drawn range."""
MARGIN = 0.05


class Grid(NamedTuple):
    """Where the bars of a distribution and its edges lie."""

    low: float
    high: float
    edges: NDArray[np.float64]
    """Ascending, the cuts among them; fewer than 255."""


class Histogram(NamedTuple):
    """Films a bar; the first and the last bar hold what lies beyond."""

    low: float
    high: float
    bars: list[int]
    median: float
    films: int


def grid(values: Floats, cuts: Sequence[float] = (), span: tuple[float, float] | None = None) -> Grid:
    """A grid over the bulk of some values that reaches past every cut.

    Args:
        values: float shape (n,), NaN where absent.
        cuts: become edges as they are.
        span: range to use instead of the values' own.
    """
    low, high = span or _span(values, cuts)
    regular = np.linspace(low, high, BARS * FINE + 1)
    return Grid(low, high, np.unique(np.concatenate([regular, np.asarray(cuts, float)])))


def _span(values: Floats, cuts: Sequence[float]) -> tuple[float, float]:
    known = values[~np.isnan(values)]
    ends = [float(end) for end in np.percentile(known, (TAIL, 100 - TAIL))] if len(known) else []
    ends += cuts or (() if ends else (0.0,))
    low, high = min(ends), max(ends)
    margin = MARGIN * (high - low)
    if cuts:
        low, high = min(low, min(cuts) - margin), max(high, max(cuts) + margin)
    return (low, high) if high > low else (low, low + 1.0)


def codes(values: Floats, edges: NDArray[np.float64], direction: int) -> Codes:
    """Number of edges a value has reached, uint8 shape (n,); `ABSENT` for NaN.

    Args:
        values: float shape (n,).
        edges: ascending.
        direction: 1 where a cut is reached from below (value >= edge), -1 where it is reached from above.
    """
    found = np.searchsorted(edges, values, side="right" if direction > 0 else "left").astype(np.uint8)
    found[np.isnan(values)] = ABSENT
    return found


def histogram(values: Floats, over: Grid) -> Histogram:
    """Count films a bar."""
    known = values[~np.isnan(values)]
    counted, _ = np.histogram(np.clip(known, over.low, over.high), BARS, (over.low, over.high))
    median = float(np.median(known)) if len(known) else over.low
    return Histogram(over.low, over.high, counted.tolist(), median, len(known))
