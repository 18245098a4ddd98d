"""Black corners that a turned export leaves: wedges with one straight edge, which no patient's outline has."""

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]

DARK = 6
"""Grey level up to which a pixel may be fill; compression leaves some."""
SHORTEST = 8
"""Pixels along the wedge's longer side that make its edge worth fitting."""
STRAIGHT = 1.5
"""Pixels by which the edge may depart from a line."""
MARGIN = 2
"""Pixels beyond the edge that interpolation darkened."""


def clear_black_corners(view: Grey, mask: Grey) -> None:
    """Set `mask` to 0 in the black wedges of `view`'s corners; both uint8 (h, w)."""
    dark = view <= DARK
    for down in (1, -1):
        for across in (1, -1):
            _clear(dark[::down, ::across], mask[::down, ::across])


def _clear(dark: NDArray[np.bool_], mask: Grey) -> None:
    """Clear the wedge at the first pixel."""
    if _run(dark[0]) > _run(dark[:, 0]):
        dark, mask = dark.T, mask.T
    height, width = dark.shape
    depth = _run(dark[:, 0])
    if depth < SHORTEST:
        return
    lengths = np.where(dark[:depth].all(axis=1), width, dark[:depth].argmin(axis=1))
    edge = np.flatnonzero(lengths < width)
    if len(edge) < SHORTEST:
        return
    slope, start = np.polyfit(edge, lengths[edge], 1)
    if slope < -0.01 and np.abs(slope * edge + start - lengths[edge]).max() <= STRAIGHT:
        reach = slope * np.arange(height)[:, None] + start + MARGIN
        mask[(np.arange(width) < reach) & (reach > MARGIN)] = 0


def _run(line: NDArray[np.bool_]) -> int:
    """Number of leading true entries."""
    return len(line) if line.all() else int(line.argmin())
