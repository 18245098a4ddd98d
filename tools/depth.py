"""From deep values to 8 bit without letting a burnt-in marker or a hot pixel darken the film."""

from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

_LEVELS = 65536
_COARSE = 256
_TAIL = 1e-4  # share of pixels that may be dead or hot at either end
_MARKER = 0.02  # share of pixels that burnt-in text, labels and masks may take
_STRAY = 1e-5  # share of pixels below which a coarse bin counts as empty
_GAP = _COARSE // 3


def to_eight_bit(values: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """Map deep values linearly to 0–255 over `robust_range`, clipping what lies outside.

    Linear, so saturation stays visible: values that were clipped on the detector or in processing are more than a
    tail, end the range and pile up at 0 or 255.
    """
    low, high = robust_range(values)
    above = cv2.subtract(values, np.full((1, 1), low, np.float64))  # saturates at 0
    return np.asarray(cv2.convertScaleAbs(above, alpha=255.0 / (high - low)), np.uint8)


def robust_range(values: NDArray[np.uint16]) -> tuple[int, int]:
    """The values that become black and white: lowest and highest that belong to the film, low < high.

    Left out at either end are the outermost 0.01 % of the pixels and then a group of at most 2 % of the pixels that
    an empty gap, a third of the range wide, separates from the rest (burnt-in text at full scale).
    `values` must hold at least two different values.
    """
    counts = cv2.calcHist([values], [0], None, [_LEVELS], [0, _LEVELS]).ravel().astype(np.float64)
    low, high = _ends(counts)
    if high - low >= _COARSE:
        edges = np.linspace(low, high + 1, _COARSE + 1).astype(int)
        coarse = np.add.reduceat(counts[: high + 1], edges[:-1])
        film = counts.copy()
        film[: edges[_after_gap(coarse)]] = 0
        film[edges[_COARSE - _after_gap(coarse[::-1])] :] = 0
        low, high = _ends(film)
    if low < high:
        return low, high
    occupied = np.flatnonzero(counts)
    return int(occupied[0]), int(occupied[-1])


def _ends(counts: NDArray[np.float64]) -> tuple[int, int]:
    """First and last value past the tails; not in order where a single value holds nearly all pixels."""
    tail = _TAIL * counts.sum()
    first = np.searchsorted(np.cumsum(counts), tail, side="right")
    last = np.searchsorted(np.cumsum(counts[::-1]), tail, side="right")
    return int(first), _LEVELS - 1 - int(last)


def _after_gap(coarse: NDArray[np.float64]) -> int:
    """First coarse bin after a small group and a wide gap at the start; 0 where there is no such gap."""
    share = coarse / coarse.sum()
    occupied = np.flatnonzero(share > _STRAY)
    for before, after in pairwise(occupied):
        if share[:after].sum() > _MARKER:
            break
        if after - before > _GAP:
            return int(after)
    return 0
