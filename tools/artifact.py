"""Artifacts: burned-in text, JPEG blocking, anti-scatter grid lines and enlarged low resolution."""

import cv2
import numpy as np
from numpy.typing import NDArray

from .base import tool
from .film import Film, Grey
from .histogram import between

STROKE = 5
"""Strokes of letters are narrower than this, in pixels of `view1024`."""
STROKE_CONTRAST = 40
EXTREMES = 0.005
"""Text is as bright or as dark as this fraction of the film, at least."""
WHITE, BLACK = (215, 250), (5, 30)
"""Where the film itself may move the limits of white and black text."""
GLYPH_HEIGHT = (5, 40)
MOST_GLYPHS = 600
"""More than any film carries, so that grain taken for glyphs stays cheap."""

TILE = (512, 1024)
"""Native pixels (rows, columns) of the centre that the fine measures look at."""
BLOCK = 8
USUAL_STEPS = 1.25
"""Step ratio up to which nothing is seen: what quality 95 leaves on nearly every film."""
COMPRESSED = 1.5
"""Step ratio from which missing detail is the compression's doing."""
BAND = 32
"""Rows averaged before a spectrum: few enough for lines that lean by a degree."""
COARSEST_LINES = 10.0
"""Longest period of grid lines, in pixels."""
CHANCE_LINES = 2.0
"""Prominence that the spectrum of a film without a grid reaches by chance."""
USUAL_LOSS = 1.5
"""Octaves of diagonal detail that a film at its own resolution may lack."""


@tool(version=1, unit="glyphs", better="lower", bounds=(0.0, MOST_GLYPHS))
def text(film: Film) -> float:
    """Number of letters and digits written in white or black.

    Small, strong strokes at the end of the grey scale count when another of the same height stands beside them on
    the same line, so specks, clips and crossing ribs do not. Single letters are missed.
    """
    view = film.view1024
    low, high = np.quantile(film.view128, (EXTREMES, 1 - EXTREMES))
    kernel = np.ones((STROKE, STROKE), np.uint8)
    white = between(view, int(np.clip(high, *WHITE)), 255)
    white &= between(cv2.morphologyEx(view, cv2.MORPH_TOPHAT, kernel), STROKE_CONTRAST + 1, 255)
    black = between(view, 0, int(np.clip(low, *BLACK)))
    black &= between(cv2.morphologyEx(view, cv2.MORPH_BLACKHAT, kernel), STROKE_CONTRAST + 1, 255)
    return float(_in_line(_boxes(white | black)))


def _boxes(strokes: Grey) -> NDArray[np.float32]:
    """Bounding boxes (x, y, width, height) of the strokes that have a letter's size: float32 (n, 4)."""
    outlines = cv2.findContours(strokes, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]
    boxes = np.array([cv2.boundingRect(each) for each in outlines], np.float32).reshape(-1, 4)
    width, height = boxes[:, 2], boxes[:, 3]
    sized = (height >= GLYPH_HEIGHT[0]) & (height <= GLYPH_HEIGHT[1]) & (width >= 2) & (width <= 6 * height)
    return boxes[sized][:MOST_GLYPHS]


def _in_line(boxes: NDArray[np.float32]) -> int:
    """Number of boxes with a neighbour of like height on the same line."""
    x, y, width, height = boxes.T
    middle, right = y + height / 2, x + width
    taller = np.maximum(height[:, None], height)
    gap = np.maximum(x - right[:, None], x[:, None] - right)
    beside = (gap < 0.8 * taller) & (gap > -0.3 * taller)
    alike = (np.abs(middle - middle[:, None]) < 0.2 * taller) & (taller < 1.3 * np.minimum(height[:, None], height))
    neighbours = beside & alike
    np.fill_diagonal(neighbours, False)
    return int(neighbours.any(axis=1).sum())


@tool(version=2, unit="1", better="lower", bounds=(0.0, 1e6))
def blocking(film: Film) -> float | None:
    """How much larger the grey steps across JPEG's 8 px block edges are than the steps inside blocks, beyond the usual.

    Their ratio, less what compression of good quality leaves and noise and lines can hide; 0 where it is no more than
    that, about 1 and more from quality 40 down. Seen only where the film was not resized after the compression.
    Absent on films smaller than four blocks.
    """
    steps = film.once(_blocking)
    return None if steps is None else max(0.0, steps - USUAL_STEPS)


def _blocking(film: Film) -> float | None:
    tile = _tile(film)
    if min(tile.shape) < 4 * BLOCK:
        return None
    across = cv2.reduce(cv2.absdiff(tile[:, 1:], tile[:, :-1]), 0, cv2.REDUCE_AVG, dtype=cv2.CV_32F)
    down = cv2.reduce(cv2.absdiff(tile[1:], tile[:-1]), 1, cv2.REDUCE_AVG, dtype=cv2.CV_32F)
    return (_edge_ratio(across) + _edge_ratio(down)) / 2


def _edge_ratio(profile: NDArray[np.integer | np.floating]) -> float:
    """Step at the block edge over those at like phases of 2 and 4 px, which enlargement favours as well."""
    steps = profile.ravel()
    by_phase = steps[: len(steps) // BLOCK * BLOCK].reshape(-1, BLOCK).mean(axis=0)
    inside = max(by_phase[3], by_phase[1:7:2].mean())
    return float(by_phase[-1] / (inside + 1e-3))


@tool(version=1, unit="1", better="lower", bounds=(0.0, 100.0))
def grid_lines(film: Film) -> float | None:
    """Prominence of the strongest periodic line pattern (anti-scatter grid) along rows or columns.

    Log power of the peak over the neighbouring frequencies, less what films without a grid reach; harmonics of 8 px
    blocks are left out. Absent on films shorter than 128 px.
    """
    tile = _tile(film)
    if min(tile.shape) < 128:
        return None
    peak = max(_prominence(tile), _prominence(np.asarray(cv2.transpose(tile), np.uint8)))
    return max(0.0, peak - CHANCE_LINES)


def _prominence(tile: Grey) -> float:
    rows, length = len(tile) // BAND * BAND, tile.shape[1] // BLOCK * BLOCK
    bands = tile[:rows, :length].reshape(-1, BAND, length).sum(axis=1, dtype=np.uint16).astype(np.float32) / BAND
    windowed = (bands - cv2.blur(bands, (15, 1))) * np.hanning(length)
    power = (np.abs(np.fft.rfft(windowed, axis=1)) ** 2).mean(axis=0) + 1e-3
    around = (31 * cv2.blur(power[None], (31, 1)) - 5 * cv2.blur(power[None], (5, 1)))[0] / 26
    frequency = np.arange(len(power)) / length
    blocks = np.abs(frequency * BLOCK - np.rint(frequency * BLOCK)) < 1.5 * BLOCK / length
    return float(np.log(power / around)[(frequency > 1 / COARSEST_LINES) & ~blocks].max())


@tool(version=1, unit="octaves", better="lower", bounds=(0.0, 10.0))
def upsampling(film: Film) -> float | None:
    """Diagonal detail missing at the native resolution against an eighth of it, beyond the usual: an enlarged film.

    Absent where block edges say that compression removed the detail, and on films smaller than 128 px.
    """
    tile = _tile(film)
    if min(tile.shape) < 128 or (film.once(_blocking) or 0.0) > COMPRESSED:
        return None
    rows, columns = tile.shape
    coarse = np.asarray(cv2.resize(tile, (columns // 8, rows // 8), interpolation=cv2.INTER_AREA), np.uint8)
    loss = np.log2((_diagonal(coarse) + 0.05) / (_diagonal(tile) + 0.05))
    return max(0.0, float(loss) - USUAL_LOSS)


def _diagonal(tile: Grey) -> float:
    """Mean of the 2 × 2 Haar diagonal detail's magnitude."""
    height, width = (side // 2 * 2 for side in tile.shape)
    down = np.asarray(cv2.subtract(tile[:height:2, :width], tile[1:height:2, :width], dtype=cv2.CV_16S))
    return cv2.norm(down[:, ::2], down[:, 1::2], cv2.NORM_L1) / (down.size / 2)


def _tile(film: Film) -> Grey:
    """The centre of the native film, aligned to the compression's blocks."""
    rows, columns = film.pixels.shape
    top = max(0, (rows - TILE[0]) // 2) // BLOCK * BLOCK
    left = max(0, (columns - TILE[1]) // 2) // BLOCK * BLOCK
    return film.pixels[top : top + TILE[0], left : left + TILE[1]]
