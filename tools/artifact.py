"""Artifacts: burned-in text, JPEG blocking, anti-scatter grid lines and enlarged low resolution."""

import cv2
import numpy as np
from numpy.typing import NDArray

from .base import tool
from .film import Film, Grey

BLOCK = 8
TILE = (512, 1024)
"""Native pixels (rows, columns) of the centre that the fine measures look at."""
BAND = 32
"""Rows averaged before a spectrum: few enough for lines that lean by a degree."""
COARSEST_LINES = 10.0
"""Longest period of grid lines, in pixels."""

STROKE = 7
"""Widest stroke of a letter, in pixels of `view512`."""
STROKE_CONTRAST = 60
"""Grey levels by which a stroke stands out."""
GLYPH_AREA = (6, 400)
GLYPH_SIDE = 40


@tool(version=1, unit="glyphs", better="lower", bounds=(0.0, 20000.0))
def text(film: Film) -> float:
    """Number of small, strong strokes that stand alone, as letters and digits do.

    Lead markers and dense clips count too; wires and ribs are too long.
    """
    kernel = np.ones((STROKE, STROKE), np.uint8)
    raised = cv2.morphologyEx(film.view512, cv2.MORPH_TOPHAT, kernel)
    sunken = cv2.morphologyEx(film.view512, cv2.MORPH_BLACKHAT, kernel)
    return float(_glyphs(raised) + _glyphs(sunken))


def _glyphs(relief: NDArray[np.integer | np.floating]) -> int:
    strokes = np.asarray(relief > STROKE_CONTRAST, np.uint8)
    _, _, boxes, _ = cv2.connectedComponentsWithStats(strokes, connectivity=8)
    _, _, width, height, area = boxes[1:].T
    small = (area >= GLYPH_AREA[0]) & (area < GLYPH_AREA[1]) & (width < GLYPH_SIDE) & (height < GLYPH_SIDE)
    return int(small.sum())


@tool(version=1, unit="ratio", better="lower", bounds=(0.0, 1e6))
def blocking(film: Film) -> float | None:
    """How much larger the grey steps across JPEG's 8 px block edges are than the steps inside blocks.

    About 1.2 for quality 95 and 4 and more from quality 40 down. Seen only where the film was not resized after
    the compression. Absent on films smaller than four blocks.
    """
    tile = _tile(film)
    if min(tile.shape) < 4 * BLOCK:
        return None
    across = cv2.absdiff(tile[:, 1:], tile[:, :-1]).mean(axis=0)
    down = cv2.absdiff(tile[1:], tile[:-1]).mean(axis=1)
    return float((_edge_ratio(across) + _edge_ratio(down)) / 2)


def _edge_ratio(steps: NDArray[np.floating]) -> float:
    by_phase = steps[: len(steps) // BLOCK * BLOCK].reshape(-1, BLOCK).mean(axis=0)
    return float(by_phase[-1] / (np.median(by_phase[:-1]) + 1e-3))


@tool(version=1, unit="1", better="lower", bounds=(0.0, 100.0))
def grid_lines(film: Film) -> float | None:
    """Prominence of the strongest periodic line pattern (anti-scatter grid) along rows or columns.

    Height of the peak above the neighbouring log spectrum. The harmonics of 8 px blocks are left out.
    Absent on films shorter than 128 px.
    """
    tile = _tile(film)
    if min(tile.shape) < 128:
        return None
    return max(_prominence(tile), _prominence(np.ascontiguousarray(tile.T)))


def _prominence(tile: Grey) -> float:
    bands = tile[: len(tile) // BAND * BAND].reshape(-1, BAND, tile.shape[1]).mean(axis=1, dtype=np.float32)
    bands -= cv2.blur(bands, (15, 1))
    length = bands.shape[1]
    power = (np.abs(np.fft.rfft(bands * np.hanning(length), axis=1)) ** 2).mean(axis=0)
    height = np.log(power + 1e-3)
    relief = height - cv2.blur(height[None].astype(np.float32), (31, 1))[0]
    frequency = np.arange(len(relief)) / length
    harmonic = np.abs(frequency * BLOCK - np.rint(frequency * BLOCK)) < 3 * BLOCK / length
    return float(np.max(relief[(frequency > 1 / COARSEST_LINES) & ~harmonic], initial=0.0))


@tool(version=1, unit="ratio", better="lower", bounds=(0.0, 1e3))
def upsampling(film: Film) -> float | None:
    """How much diagonal detail is missing at the native resolution, against half of it; enlarged films lack it.

    Heavy lossy compression removes fine detail as well. Absent on films smaller than 64 px.
    """
    tile = _tile(film)
    if min(tile.shape) < 64:
        return None
    half = cv2.resize(tile, (tile.shape[1] // 2, tile.shape[0] // 2), interpolation=cv2.INTER_AREA)
    return (_diagonal(np.asarray(half, np.uint8)) + 0.05) / (_diagonal(tile) + 0.05)


def _diagonal(tile: Grey) -> float:
    rows, columns = tile.shape[0] // 2 * 2, tile.shape[1] // 2 * 2
    even, odd = tile[:rows:2, :columns].astype(np.int16), tile[1:rows:2, :columns]
    detail = (even[:, ::2] - odd[:, ::2]) - (even[:, 1::2] - odd[:, 1::2])
    return float(np.abs(detail).mean())


def _tile(film: Film) -> Grey:
    """The centre of the native film, aligned to the compression's blocks."""
    rows, columns = film.pixels.shape
    top = max(0, (rows - TILE[0]) // 2) // BLOCK * BLOCK
    left = max(0, (columns - TILE[1]) // 2) // BLOCK * BLOCK
    return film.pixels[top : top + TILE[0], left : left + TILE[1]]
