"""What an upright frontal chest looks like: a mean template and the way its edges turn when the patient leans.

Both are learned from many films by `learn`, so that no single film can be seen in them, and ship as one file. A film
is compared on a small centre square: what a turn about its centre cannot move out of sight.
"""

from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .film import Film, Grey

Floats = NDArray[np.float32]

SIDE = 40
CELLS = 4
BINS = 12
EDGE_FLOOR = 100.0
"""Summed gradient below which a cell's directions fade out instead of being amplified."""
SHIPPED = Path(__file__).parent / "reference" / "chest.npz"

STEEPEST = 30.0
TURNS = 24
"""Random turns, shifts and sizes each film is learned at."""
RIDGE = 3e-3


class Square(NamedTuple):
    """The centre square of a film and the part of it inside the collimated field: uint8 (SIDE, SIDE) each."""

    pixels: Grey
    inside: Grey


class Chest(NamedTuple):
    """What `learn` found.

    Attributes:
        template: float32 (SIDE, SIDE), zero mean and unit norm: the mean of equalised upright films.
        lean: float32 (CELLS * CELLS * BINS,): degrees of tilt per unit of `directions`.
    """

    template: Floats
    lean: Floats


def square(film: Film) -> Square:
    """The centre square of a film, what lies behind a shutter replaced by the mean of the rest."""
    view = film.view256
    found = Square(_centre(view), (_centre(film.inside(view.shape)) // 255) * np.uint8(255))
    if found.inside.any() and not found.inside.all():
        found.pixels[found.inside == 0] = round(float(found.pixels[found.inside > 0].mean()))
    return found


def _centre(view: Grey) -> Grey:
    height, width = view.shape
    size = min(height, width)
    top, left = (height - size) // 2, (width - size) // 2
    crop = view[top : top + size, left : left + size]
    return np.asarray(cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA), np.uint8)


def pattern(pixels: Grey) -> Floats:
    """Equalised pixels of a square with zero mean and unit norm, for correlation: float32 (SIDE, SIDE)."""
    equalised = cv2.equalizeHist(pixels).astype(np.float32)
    return _unit(equalised)


def _unit(values: Floats) -> Floats:
    centred = values - values.mean()
    norm = float(np.linalg.norm(centred))
    return centred / norm if norm else centred


@lru_cache
def _grid() -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    """The disc that stays in sight at every turn, and the cell of every pixel."""
    y, x = np.mgrid[:SIDE, :SIDE]
    middle = (SIDE - 1) / 2
    disc = np.hypot(x - middle, y - middle) < SIDE / 2 - 1.5
    return disc, (y * CELLS // SIDE) * CELLS + x * CELLS // SIDE


def directions(found: Square) -> Floats:
    """How the edges of each cell are directed, against the film's own mirror image.

    Histograms of gradient direction, weighted by gradient magnitude, over a disc and inside the field; minus the same
    of the mirrored film, which leaves what leans. Mirroring a film flips the sign.

    Returns:
        float32, shape (CELLS * CELLS * BINS,), each in [-1, 1].

    Source:
        Histograms of oriented gradients: Dalal and Triggs, CVPR 2005.
    """
    smooth = cv2.GaussianBlur(found.pixels, (0, 0), 1.0)
    across, down = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    disc, cells = _grid()
    used = disc & (cv2.erode(found.inside, np.ones((5, 5), np.uint8)) > 0)
    position = (np.arctan2(down[used], across[used]) % np.pi) * (BINS / np.pi)
    weight = np.hypot(across[used], down[used])
    lower = position.astype(np.intp)
    part = position - lower
    first = cells[used] * BINS
    bins = np.concatenate([first + lower % BINS, first + (lower + 1) % BINS])
    weights = np.concatenate([weight * (1 - part), weight * part])
    counts = np.bincount(bins, weights, CELLS * CELLS * BINS).reshape(CELLS, CELLS, BINS)
    share = counts / (counts.sum(axis=2, keepdims=True) + EDGE_FLOOR)
    mirrored = share[:, ::-1, -np.arange(BINS) % BINS]
    return (share - mirrored).ravel().astype(np.float32)


@lru_cache
def shipped() -> Chest:
    """The reference that ships with the package."""
    with np.load(SHIPPED) as stored:
        return Chest(stored["template"], stored["lean"])


def learn(films: Iterable[Film], *, seed: int = 0) -> Chest:
    """Learn the reference from upright frontal films.

    The template is the mean of their patterns. The lean is a ridge regression from `directions` to the angle by which
    each film was turned (up to 30°), shifted, resized and perhaps equalised at random; whether the corners that
    open are black, mirrored or stretched must not matter, so each happens.

    Args:
        films: a few dozen at least, of as many sources as there are.
        seed: of the random turns; equal films and seeds give equal references.
    """
    rng = np.random.default_rng(seed)
    patterns, rows, angles = [], [], []
    for film in films:
        patterns.append(pattern(square(film).pixels))
        for angle in rng.uniform(-STEEPEST, STEEPEST, TURNS):
            rows.append(directions(_turned(film.view512, angle, rng)))
            angles.append(angle)
    matrix, target = np.array(rows, np.float64), np.array(angles)
    normal = matrix.T @ matrix + RIDGE * len(rows) * np.eye(matrix.shape[1])
    lean = np.linalg.solve(normal, matrix.T @ target)
    return Chest(_unit(np.mean(patterns, axis=0)), lean.astype(np.float32))


def _turned(view: Grey, angle: float, rng: np.random.Generator) -> Square:
    height, width = view.shape
    corners = (cv2.BORDER_CONSTANT, cv2.BORDER_REFLECT_101, cv2.BORDER_REPLICATE)[rng.integers(3)]
    move = cv2.getRotationMatrix2D((width / 2, height / 2), angle, rng.uniform(0.85, 1.3))
    move[:, 2] += rng.uniform(-0.06, 0.06, 2) * (width, height)
    turned = np.asarray(cv2.warpAffine(view, move, (width, height), borderMode=corners), np.uint8)
    pixels = _centre(turned)
    if rng.random() < 0.5:
        pixels = np.asarray(cv2.equalizeHist(pixels), np.uint8)
    return Square(pixels, np.full_like(pixels, 255))
