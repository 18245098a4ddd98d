"""Contrast: how clearly the chest stands out, at several sizes of structure, against its own grain and at its outlines.

These measures do not name a defect; haze, scatter, under-exposure, a flat export and blur all lower them. Each compares
the film with itself, so that they mean much the same on films of different origin. They are taken on small canvases of
fixed size, because a structure's size counts in parts of the chest, not in pixels.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from . import chest
from .base import tool
from .film import Film, Grey
from .histogram import MAD_OF_NORMAL, Counts, counts, deviations, quantile

Floats = NDArray[np.float32]

STEPS = 4.0
"""Histogram bins a grey level."""
FLOOR = 0.1
"""Grey levels of grain below which 8 bits cannot tell films apart."""
MIN_SHARE = 0.1
"""Share of the canvas the centre of the field must keep; with less, the whole centre is measured."""
CELLS = 32
LUNGS = (slice(8, 19), (slice(5, 12), slice(20, 27)))
MEDIASTINUM = (slice(8, 22), slice(14, 18))
ANGLES = np.arange(-6.0, 6.1, 1.0)
STRIPS = 16
LAG = 1
FULL_STEP = 25.0
"""Grey levels of a step that counts in full: one burnt-out edge is not worth many clear ones."""
OUTER = 0.33
GREY_LEVELS = (0.0, 255.0)


@tool(version=1, unit="grey levels", better="higher", bounds=GREY_LEVELS)
def coarse(film: Film) -> float:
    """Deviation of structures of about a quarter of the chest: lungs against heart and chest wall."""
    return _band(film, 3)


@tool(version=1, unit="grey levels", better="higher", bounds=GREY_LEVELS)
def middle(film: Film) -> float:
    """Deviation of structures of about an eighth of the chest: hila, diaphragm, heart border."""
    return _band(film, 2)


@tool(version=1, unit="grey levels", better="higher", bounds=GREY_LEVELS)
def fine(film: Film) -> float:
    """Deviation of structures of about a sixteenth of the chest: ribs and large vessels."""
    return _band(film, 1)


@tool(version=1, unit="grey levels", better="higher", bounds=GREY_LEVELS)
def regional(film: Film) -> float:
    """Median standard deviation in windows of an eighth of the long side."""
    return quantile(_deviations(film, 15), 0.5) / STEPS


@tool(version=1, unit="grey levels", better="higher", bounds=(-255.0, 255.0))
def lung(film: Film) -> float:
    """Mediastinum minus lungs, at the places they have on a frontal film."""
    cells, lungs = film.once(_cells)
    return float(np.median(cells[MEDIASTINUM]) - np.percentile(lungs, 30))


@tool(version=1, unit="grey levels", better="higher", bounds=GREY_LEVELS)
def lung_detail(film: Film) -> float:
    """Standard deviation over the places the lungs have on a frontal film."""
    return float(film.once(_cells)[1].std())


@tool(version=1, unit="1", better="higher", bounds=(0.0, 2550.0))
def over_grain(film: Film) -> float | None:
    """Structures of a twentieth of the chest over the finest grain: what equalisation amplifies cancels out.

    Absent on strips more than about 170 times as long as wide: at 256 px nothing of their grain is left.
    """
    view = _canvas(film, 256)
    if min(view.shape) < 2:
        return None
    return quantile(_deviations(film, 7), 0.5) / STEPS / (_grain(view) + FLOOR)


@tool(version=1, unit="grey levels", better="higher", bounds=(0.0, FULL_STEP))
def outline(film: Film) -> float:
    """Mean step across the clearest nearly straight line along a side of the film: a shutter or the body's edge."""
    view = _canvas(film, 128).astype(np.float32)
    return max(_steps(view), _steps(np.ascontiguousarray(view.T)))


@tool(version=1, unit="1", better="higher", bounds=(-1.0, 1.0))
def likeness(film: Film) -> float:
    """Correlation with the mean frontal chest: falls where the film is turned, inverted, cut off or opaque."""
    return float((chest.pattern(film.once(chest.square).pixels) * chest.shipped().template).sum())


@tool(version=1, unit="grey level", better="neither", bounds=(-0.5, 255.5))
def median(film: Film) -> float:
    """Median grey value of the whole film; after equalisation it falls below 127 by what is plainly black around it."""
    return quantile(counts(film.view256), 0.5)


def _canvas(film: Film, side: int) -> Grey:
    """The film with its long side at `side` px; smaller films keep their size."""
    view = next((each for each in (film.view128, film.view256, film.view512) if max(each.shape) >= side), film.view1024)
    scale = side / max(view.shape)
    if scale >= 1:
        return view
    height, width = (max(1, round(length * scale)) for length in view.shape)
    return np.asarray(cv2.resize(view, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _centre(film: Film, shape: tuple[int, ...]) -> Grey:
    """Mask of the middle three quarters of the film inside the field."""
    height, width = shape
    middle_part = np.zeros((height, width), np.uint8)
    middle_part[height // 8 : height - height // 8, width // 8 : width - width // 8] = 255
    inside = middle_part & film.inside(shape)
    return inside if np.count_nonzero(inside) >= MIN_SHARE * inside.size else middle_part


def _spread(values: Floats, mask: Grey | None) -> float:
    """Robust standard deviation of values about 0."""
    found = counts(np.asarray(cv2.convertScaleAbs(values, alpha=STEPS), np.uint8), mask)
    return max(quantile(found, 0.5), 0.0) / STEPS / MAD_OF_NORMAL


def _band(film: Film, octave: int) -> float:
    return film.once(_bands)[octave]


def _bands(film: Film) -> tuple[float, ...]:
    """Deviations in four octaves of structure size, the finest first.

    Source:
        Burt and Adelson, IEEE Transactions on Communications 31:532-540, 1983 (Laplacian pyramid).
    """
    level = _canvas(film, 128).astype(np.float32)
    spreads = []
    for _ in range(4):
        coarser = cv2.pyrDown(level)
        band = level - cv2.pyrUp(coarser, dstsize=level.shape[::-1])
        spreads.append(_spread(np.asarray(band, np.float32), _centre(film, level.shape)))
        level = np.asarray(coarser, np.float32)
    return tuple(spreads)


def _deviations(film: Film, side: int) -> Counts:
    """Histogram of local standard deviations in windows of `side` px on a canvas of 128 px, in `STEPS` a grey level."""
    view = _canvas(film, 128)
    return counts(deviations(view, side, STEPS), _centre(film, view.shape))


def _cells(film: Film) -> tuple[Floats, Floats]:
    """The film as CELLS x CELLS mean grey values, and those of both lungs."""
    cells = np.asarray(cv2.resize(film.view128, (CELLS, CELLS), interpolation=cv2.INTER_AREA), np.float32)
    rows, sides = LUNGS
    return cells, np.concatenate([cells[rows, columns].ravel() for columns in sides])


def _grain(view: Grey) -> float:
    """Robust deviation of the diagonal detail of 2 x 2 pixels."""
    height, width = (length // 2 * 2 for length in view.shape)
    pixels = view[:height, :width].astype(np.float32)
    diagonal = pixels[::2, ::2] - pixels[::2, 1::2] - pixels[1::2, ::2] + pixels[1::2, 1::2]
    return _spread(diagonal * np.float32(0.5), None)


def _steps(view: Floats) -> float:
    """The clearest mean step across a line that runs along the rows within `ANGLES`, in the outer third."""
    height, width = view.shape
    if height < 6 * LAG + 6:
        return 0.0
    difference = np.zeros_like(view)
    difference[LAG:-LAG] = np.clip(view[2 * LAG :] - view[: -2 * LAG], -FULL_STEP, FULL_STEP)
    margin = width // 20
    strips = cv2.resize(difference[:, margin : width - margin], (STRIPS, height), interpolation=cv2.INTER_AREA)
    offsets = (np.arange(STRIPS) - (STRIPS - 1) / 2) * ((width - 2 * margin) / STRIPS)
    shifts = np.round(np.tan(np.radians(ANGLES))[:, None] * offsets).astype(np.intp)
    outer = int(OUTER * height)
    looked_at = np.append(np.arange(LAG + 1, outer), np.arange(height - outer, height - LAG - 1))
    rows = looked_at[None, :, None] + shifts[:, None, :]
    sheared = strips[np.clip(rows, 0, height - 1), np.arange(STRIPS)].mean(axis=2)
    return float(np.abs(sheared).max())
