"""Blur: how wide the sharpest edges of the anatomy are, in all directions and along the body.

An edge's width is its height (range of grey values around it) over its slope. Three things make that a measure of blur
alone: only the steepest edges count, so that noise hardly adds to height or slope; edges near saturated pixels do not
count; and only edges of middle density do (a band of ranks, not of grey values), so that a shift of exposure or a
change of contrast looks at the same anatomy.
"""

from typing import NamedTuple

import cv2
import numpy as np

from .base import tool
from .film import Film, Grey
from .histogram import counts, quantile

REACH = 8
"""Pixels around an edge in which its height is taken."""
SATURATION_REACH = 4
DENSITIES = (0.15, 0.65)
"""Ranks of grey value inside the field between which edges count: lungs and their surroundings."""
STEEPEST = 0.06
STEEPEST_ALONG_AXIS = 0.10
MIN_EDGES = 50
PX = "px at a long side of 1024"


class Edges(NamedTuple):
    """Slopes of the lightly smoothed film, in quarter grey levels a pixel, and where they may be used."""

    smooth: Grey
    down: Grey
    across: Grey
    usable: Grey


@tool(version=1, unit=PX, better="lower", bounds=(0.0, 1e4))
def edge_width(film: Film) -> float | None:
    """Width of the sharpest edges in any direction; focal blur and motion widen it."""
    edges = film.once(_edges)
    steepness = np.asarray(cv2.add(edges.down, edges.across), np.uint8)
    return _width(film, steepness, edges.usable, (2 * REACH + 1, 2 * REACH + 1), STEEPEST)


@tool(version=1, unit=PX, better="lower", bounds=(0.0, 1e4))
def edge_width_down(film: Film) -> float | None:
    """Width of the sharpest edges crossed when going down the film; breathing and sagging widen it."""
    return film.once(_width_down)


@tool(version=1, unit=PX, better="lower", bounds=(0.0, 1e4))
def edge_width_across(film: Film) -> float | None:
    """Width of the sharpest edges crossed when going across the film."""
    return film.once(_width_across)


@tool(version=1, unit="1", better="neither", bounds=(0.0, 1e4))
def anisotropy(film: Film) -> float | None:
    """Edge width down the film over edge width across it; motion along the body raises it, focal blur hardly."""
    down, across = film.once(_width_down), film.once(_width_across)
    return None if down is None or not across else down / across


def _edges(film: Film) -> Edges:
    smooth = np.asarray(cv2.GaussianBlur(film.view1024, (0, 0), 1.0), np.uint8)
    down = cv2.convertScaleAbs(cv2.Sobel(smooth, cv2.CV_16S, 0, 1), alpha=0.5)
    across = cv2.convertScaleAbs(cv2.Sobel(smooth, cv2.CV_16S, 1, 0), alpha=0.5)
    return Edges(smooth, np.asarray(down, np.uint8), np.asarray(across, np.uint8), _usable(film, smooth))


def _usable(film: Film, smooth: Grey) -> Grey:
    """Mask of middle densities, away from saturated pixels and from the edge of the field."""
    view = film.view1024
    field = _shrunk(film.inside(view.shape), REACH + 1)
    density = counts(smooth, field)
    if not density.any():
        return field
    unsaturated = _shrunk(_between(view, 5, 250), SATURATION_REACH)
    low, high = (int(quantile(density, rank)) for rank in DENSITIES)
    return field & unsaturated & _between(smooth, low, high)


def _width_down(film: Film) -> float | None:
    edges = film.once(_edges)
    return _width(
        film, edges.down, _axial(edges.down, edges.across, edges.usable), (1, 2 * REACH + 1), STEEPEST_ALONG_AXIS
    )


def _width_across(film: Film) -> float | None:
    edges = film.once(_edges)
    return _width(
        film, edges.across, _axial(edges.across, edges.down, edges.usable), (2 * REACH + 1, 1), STEEPEST_ALONG_AXIS
    )


def _axial(along: Grey, other: Grey, usable: Grey) -> Grey:
    """`usable` where the slope points along one axis: at least twice the other one's."""
    clear = cv2.compare(along, cv2.add(other, other), cv2.CMP_GT)
    return np.asarray(clear, np.uint8) & usable


def _width(film: Film, slope: Grey, usable: Grey, window: tuple[int, int], steepest: float) -> float | None:
    """Median of height over slope at the `steepest` share of the usable pixels; `window` is (width, height) in px."""
    found = counts(slope, usable)
    if found.sum() * steepest < MIN_EDGES:
        return None
    threshold = max(int(quantile(found, 1 - steepest) + 0.5), 1)
    chosen = np.flatnonzero(cv2.compare(slope, threshold, cv2.CMP_GT) & usable)  # pyright: ignore[reportArgumentType, reportCallIssue]
    if len(chosen) < MIN_EDGES:
        return None
    kernel = np.ones(window[::-1], np.uint8)
    smooth = film.once(_edges).smooth
    height = np.asarray(cv2.subtract(cv2.dilate(smooth, kernel), cv2.erode(smooth, kernel)), np.uint8)
    width = 4.0 * float(np.median(height.ravel()[chosen] / slope.ravel()[chosen].astype(np.float32)))
    return width * 1024 / max(slope.shape)


def _between(image: Grey, low: int, high: int) -> Grey:
    return np.asarray(cv2.inRange(image, low, high), np.uint8)  # pyright: ignore[reportArgumentType, reportCallIssue]


def _shrunk(mask: Grey, reach: int) -> Grey:
    """The mask without what lies within `reach` px of its outside, the film's border included."""
    side = 2 * reach + 1
    return np.asarray(
        cv2.erode(mask, np.ones((side, side), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0), np.uint8
    )
