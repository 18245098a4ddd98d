"""What an upright, whole frontal chest looks like: a mean template, and how edges turn and move when it is not so.

All of it is learned from many films by `chest_fit.learn`, so that no single film can be seen in it, and ships as one
file.
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .film import Film, Grey

Floats = NDArray[np.float32]

SIDE = 40
LEAN_CELLS, LEAN_BINS = 4, 12
FRAME_CELLS, FRAME_BINS = 5, 8
EDGE_FLOOR = 100.0
"""Summed gradient below which a cell's directions fade out instead of being amplified."""
SHIPPED = Path(__file__).parent / "reference" / "chest.npz"


class Thumbnail(NamedTuple):
    """A film, or its centre square, at uint8 (SIDE, SIDE), and the part inside the collimated field (255 inside)."""

    pixels: Grey
    inside: Grey

    def hidden(self) -> "Thumbnail":
        """The same with everything outside the field replaced by the mean of the inside."""
        seen = self.inside == 255
        if seen.all() or not seen.any():
            return Thumbnail(self.pixels, np.full_like(self.inside, 255))
        pixels = np.where(seen, self.pixels, round(float(self.pixels[seen].mean())))
        return Thumbnail(pixels.astype(np.uint8), seen.astype(np.uint8) * np.uint8(255))


class Chest(NamedTuple):
    """What was learned.

    Attributes:
        template: float32 (SIDE, SIDE), zero mean and unit norm: the mean of equalised upright films.
        lean: float32 (LEAN_CELLS² · LEAN_BINS,): degrees of tilt per unit of `lean_features`.
        frame: float32 (FRAME_CELLS² · FRAME_BINS + 1, 4): fraction cut off at the top, bottom, left and right per unit
            of `frame_features`; the last row is the constant.
    """

    template: Floats
    lean: Floats
    frame: Floats


@lru_cache
def shipped() -> Chest:
    """The reference that ships with the package."""
    with np.load(SHIPPED) as stored:
        return Chest(stored["template"], stored["lean"], stored["frame"])


def square(film: Film) -> Thumbnail:
    """The centre square of a film: a turn about the centre moves nothing in its inscribed disc out of sight."""
    view, inside = film.view256, film.inside(film.view256.shape)
    return Thumbnail(centre(view), centre(inside)).hidden()


def whole(film: Film) -> Thumbnail:
    """All of a film, stretched to a square."""
    view, inside = film.view256, film.inside(film.view256.shape)
    return Thumbnail(shrink(view), shrink(inside)).hidden()


def centre(view: Grey) -> Grey:
    """The centre square of a view at (SIDE, SIDE)."""
    size = min(view.shape)
    top, left = ((length - size) // 2 for length in view.shape)
    return shrink(view[top : top + size, left : left + size])


def shrink(view: Grey) -> Grey:
    """A view at (SIDE, SIDE), whatever its shape."""
    return np.asarray(cv2.resize(view, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def pattern(pixels: Grey) -> Floats:
    """Equalised pixels of a thumbnail with zero mean and unit norm, for correlation: float32 (SIDE, SIDE)."""
    return unit(cv2.equalizeHist(pixels).astype(np.float32))


def unit(values: Floats) -> Floats:
    """`values` with zero mean and unit norm; all zero where they are constant."""
    centred = values - values.mean()
    norm = float(np.linalg.norm(centred))
    return centred / norm if norm else centred


def lean_features(found: Thumbnail) -> Floats:
    """What leans in a centre square: directions of its edges in its disc, less those of its mirror image.

    Mirroring a film flips the sign. float32, shape (LEAN_CELLS² · LEAN_BINS,), each in [-1, 1].
    """
    share = _directions(found, _disc(), LEAN_CELLS, LEAN_BINS)
    mirrored = share[:, ::-1, -np.arange(LEAN_BINS) % LEAN_BINS]
    return (share - mirrored).ravel()


def frame_features(found: Thumbnail) -> Floats:
    """Where which edges lie in a whole film: float32, shape (FRAME_CELLS² · FRAME_BINS + 1,), in [0, 1]; last 1."""
    share = _directions(found, np.ones((SIDE, SIDE), np.bool_), FRAME_CELLS, FRAME_BINS)
    return np.append(share.ravel(), np.float32(1))


def _directions(found: Thumbnail, region: NDArray[np.bool_], cells: int, bins: int) -> Floats:
    """Histograms of gradient direction by cell, weighted by gradient, inside the field: float32 (cells, cells, bins).

    Direction 0 is a gradient along the rows; each histogram sums to 1 or, where a cell has few edges, to less.

    Source:
        Histograms of oriented gradients: Dalal and Triggs, CVPR 2005.
    """
    smooth = cv2.GaussianBlur(found.pixels, (0, 0), 1.0)
    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    used = region & (cv2.erode(found.inside, np.ones((5, 5), np.uint8)) > 0)
    position = (np.arctan2(down[used], across[used]) % np.pi) * (bins / np.pi)
    weight = np.hypot(across[used], down[used])
    lower = position.astype(np.intp)
    upper_part = position - lower
    first = _cells(cells)[used] * bins
    where = np.concatenate([first + lower % bins, first + (lower + 1) % bins])
    weights = np.concatenate([weight * (1 - upper_part), weight * upper_part])
    counts = np.bincount(where, weights, cells * cells * bins).reshape(cells, cells, bins)
    return (counts / (counts.sum(axis=2, keepdims=True) + EDGE_FLOOR)).astype(np.float32)


@lru_cache
def _cells(cells: int) -> NDArray[np.intp]:
    """Cell of every pixel: (SIDE, SIDE)."""
    y, x = np.mgrid[:SIDE, :SIDE]
    return (y * cells // SIDE) * cells + x * cells // SIDE


@lru_cache
def _disc() -> NDArray[np.bool_]:
    """What stays in sight at every turn: (SIDE, SIDE)."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    return np.hypot(x, y) < SIDE / 2 - 1.5
