"""Blur: how wide the sharpest edges of the anatomy are, and what is left of its slopes after one more blur.

An edge's width is its height (range of grey values around it) over its slope. Three things make that a measure of blur
alone: only the steepest edges count, so that noise hardly adds to height or slope; edges near saturated pixels do not
count; and only edges of middle density do (a band of ranks, not of grey values), so that a shift of exposure or a
change of contrast looks at the same anatomy.

Slopes come from the film at 1024 px, where blur is still seen; every second pixel of every second row is enough to
take their median over.

Widths are blunt where blur is slight. Blurring the film once more tells more there: it flattens a sharp slope and
hardly a soft one. Noise counts as sharp, so its part is taken out of both slopes.
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .base import tool
from .film import Film, Grey
from .histogram import between, counts, quantile
from .noise import seen

REACH = 4
"""Pixels at 512 around an edge in which its height is taken."""
SATURATION_REACH = 2
DENSITIES = (0.15, 0.65)
"""Ranks of grey value inside the field between which edges count: lungs and their surroundings."""
STEEPEST = 0.06
STEEPEST_ALONG_AXIS = 0.10
STEEPEST_OF_SLOPES = 0.15
MIN_EDGES = 30
SATURATED = 250
GRAIN = 0.4
"""Variance of the noise at slopes, of that in the brightest parts."""
GRAIN_SLOPE, GRAIN_SLOPE_AGAIN = 1.22, 0.56
"""Mean square of the slopes that white noise of deviation 1 makes, before and after one more blur."""
STEPS = 32
"""Histogram bins for each quarter grey level of height over slope."""
PX = "px at a long side of 1024"
WIDEST = (0.0, 1e3)


class Edges(NamedTuple):
    """The lightly smoothed film at 512 px, its slopes in quarter grey levels a pixel at 1024, and where to look."""

    smooth: Grey
    down: Grey
    across: Grey
    again: Grey
    """Sum of both slopes after one more blur."""
    usable: Grey
    saturated: bool
    """Whether saturation reaches into the middle densities."""


@tool(version=1, unit=PX, better="lower", bounds=WIDEST)
def edge_width(film: Film) -> float | None:
    """Width of the sharpest edges in any direction; focal blur and motion widen it."""
    edges = film.once(_edges)
    slope = np.asarray(cv2.add(edges.down, edges.across), np.uint8)
    return _width(film, slope, edges.usable, (2 * REACH + 1, 2 * REACH + 1), STEEPEST)


@tool(version=1, unit="1", better="lower", bounds=WIDEST)
def reblur(film: Film) -> float | None:
    """Share of the steepest slopes that one more blur leaves; focal blur and motion raise it, slight ones as well.

    Noise is taken out of both slopes. Absent where saturation reaches into the densities that are looked at: what is
    left there is other anatomy.
    """
    edges, noise = film.once(_edges), film.once(seen)
    chosen = None if edges.saturated else _steepest(edges.again, edges.usable, STEEPEST_OF_SLOPES)
    if chosen is None or noise is None:
        return None
    # Both slopes are whole numbers, so a table of their pairs says all that thousands of pixels do.
    pairs = cv2.calcHist([cv2.add(edges.down, edges.across), edges.again], [0, 1], chosen, [256, 256], [0, 256, 0, 256])
    before, after = np.nonzero(pairs > 0)
    slope = before**2 - GRAIN_SLOPE * GRAIN * noise**2
    slope_again = after**2 - GRAIN_SLOPE_AGAIN * GRAIN * noise**2
    above = (slope > 0) & (slope_again > 0)
    pixels = pairs[before[above], after[above]]
    if pixels.sum() < MIN_EDGES:
        return None
    return float(np.sqrt(_median(slope_again[above] / slope[above], pixels)))


def _median(values: NDArray[np.floating], weights: NDArray[np.number]) -> float:
    """Value up to which half of the weight lies."""
    order = np.argsort(values)
    cumulated = np.cumsum(weights[order], dtype=np.float64)
    return float(values[order][np.searchsorted(cumulated, cumulated[-1] / 2)])


@tool(version=1, unit=PX, better="lower", bounds=WIDEST)
def edge_width_down(film: Film) -> float | None:
    """Width of the sharpest edges crossed when going down the film; breathing and sagging widen it."""
    return film.once(_width_down)


@tool(version=1, unit=PX, better="lower", bounds=WIDEST)
def edge_width_across(film: Film) -> float | None:
    """Width of the sharpest edges crossed when going across the film."""
    return film.once(_width_across)


@tool(version=1, unit="1", better="neither", bounds=(0.0, 1e3))
def anisotropy(film: Film) -> float | None:
    """Edge width down the film over edge width across it; motion along the body raises it, focal blur hardly."""
    down, across = film.once(_width_down), film.once(_width_across)
    return None if down is None or not across else down / across


def sharpest(film: Film) -> Grey | None:
    """Mask of the edges whose width `edge_width` takes: uint8 at the shape of `view512`, 255 there.

    None where there are too few.
    """
    edges = film.once(_edges)
    return _steepest(np.asarray(cv2.add(edges.down, edges.across), np.uint8), edges.usable, STEEPEST)


def _edges(film: Film) -> Edges:
    smooth = cv2.GaussianBlur(film.view1024, (5, 5), 1.0)
    down, across = (cv2.convertScaleAbs(_thin(each), alpha=0.5) for each in reversed(cv2.spatialGradient(smooth)))
    small = np.asarray(_thin(smooth), np.uint8)
    usable, saturated = _usable(film, small)
    return Edges(small, np.asarray(down, np.uint8), np.asarray(across, np.uint8), _again(smooth), usable, saturated)


def _again(smooth: cv2.typing.MatLike) -> Grey:
    """Slopes after a box blur of 3 x 3 px, both directions added, at every second pixel of every second row."""
    height, width = (side // 2 for side in smooth.shape)
    slope = np.zeros((max(1, height), max(1, width)), np.uint8)
    if min(height, width) < 2:
        return slope
    sums = np.asarray(cv2.boxFilter(smooth, cv2.CV_16S, (3, 3), normalize=False))
    beside = np.ascontiguousarray(sums[: 2 * height : 2, 1 : 2 * width : 2])
    below = np.ascontiguousarray(sums[1 : 2 * height : 2, : 2 * width : 2])
    # Nine summed pixels and a distance of two: 4 / 18 makes it quarter grey levels a pixel.
    slope[:height, 1:width] = cv2.convertScaleAbs(cv2.subtract(beside[:, 1:], beside[:, :-1]), alpha=4 / 18)
    steps = cv2.convertScaleAbs(cv2.subtract(below[1:], below[:-1]), alpha=4 / 18)
    slope[1:height, :width] = cv2.add(np.ascontiguousarray(slope[1:height, :width]), steps)
    return slope


def _thin(image: cv2.typing.MatLike) -> cv2.typing.MatLike:
    """Every second pixel of every second row, at the shape of `view512`."""
    height, width = (max(1, side // 2) for side in image.shape)
    return np.ascontiguousarray(image[: 2 * height : 2, : 2 * width : 2])


def _usable(film: Film, smooth: Grey) -> tuple[Grey, bool]:
    """Mask of middle densities, away from saturation and the field's edge; whether saturation reaches into them."""
    field = _shrunk(film.inside(smooth.shape), REACH + 1)
    density = counts(smooth, field)
    if not density.any():
        return field, True
    unsaturated = _shrunk(between(smooth, 5, 250), SATURATION_REACH)
    low, high = (int(quantile(density, rank)) for rank in DENSITIES)
    return field & unsaturated & between(smooth, low, high), high >= SATURATED


def _width_down(film: Film) -> float | None:
    edges = film.once(_edges)
    usable = _axial(edges.down, edges.across, edges.usable)
    return _width(film, edges.down, usable, (1, 2 * REACH + 1), STEEPEST_ALONG_AXIS)


def _width_across(film: Film) -> float | None:
    edges = film.once(_edges)
    usable = _axial(edges.across, edges.down, edges.usable)
    return _width(film, edges.across, usable, (2 * REACH + 1, 1), STEEPEST_ALONG_AXIS)


def _axial(along: Grey, other: Grey, usable: Grey) -> Grey:
    """`usable` where the slope points along one axis: more than twice the other one's."""
    clear = cv2.compare(along, cv2.add(other, other), cv2.CMP_GT)
    return np.asarray(clear, np.uint8) & usable


def _width(film: Film, slope: Grey, usable: Grey, window: tuple[int, int], steepest: float) -> float | None:
    """Median of height over slope at the `steepest` share of the usable pixels; `window` is (width, height) in px."""
    chosen = _steepest(slope, usable, steepest)
    if chosen is None:
        return None
    kernel = np.ones(window[::-1], np.uint8)
    smooth = film.once(_edges).smooth
    height = cv2.subtract(cv2.dilate(smooth, kernel), cv2.erode(smooth, kernel))
    ratios = counts(np.asarray(cv2.divide(height, slope, scale=STEPS), np.uint8), chosen)
    if ratios.sum() < MIN_EDGES:
        return None
    return 4.0 * max(quantile(ratios, 0.5), 0.0) / STEPS * 1024 / max(film.view1024.shape)


def _steepest(slope: Grey, usable: Grey, steepest: float) -> Grey | None:
    """Mask of the `steepest` share of the usable pixels; None where there are too few."""
    found = counts(slope, usable)
    if found.sum() * steepest < MIN_EDGES:
        return None
    threshold = max(int(quantile(found, 1 - steepest) + 0.5), 1)
    return between(slope, threshold + 1, 255) & usable


def _shrunk(mask: Grey, reach: int) -> Grey:
    """The mask without what lies within `reach` px of its outside, the film's border included."""
    kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    return np.asarray(cv2.erode(mask, kernel, borderType=cv2.BORDER_CONSTANT, borderValue=0), np.uint8)
