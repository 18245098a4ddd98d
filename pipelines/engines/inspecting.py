"""What worker processes do for a judge: cut pictures, measure a part of a film or all of it again, tell its field."""

import time
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np

from ...agent.forms import Detail, Histogram, Measures, Request, Seen
from ...agent.state import Reading
from ...tools import TOOLS, measure
from ...tools.film import Film, Grey
from ...tools.looks import REGIONS, Look, looks, region
from ..settings import ReadSettings
from .worker import opened, reading

CUT_VERSION = 1
"""Raised whenever a judge would see or be told something else of the same film, or its second measurement differ."""
PNG = (
    cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_AVG,
    cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_HUFFMAN_ONLY,
)  # fmt: skip
"""Radiographs are grain, in which nothing repeats: the search for repeats doubles the CPU and saves no byte."""
TOLD = ("noise.haar", "noise.relative", "blur.edge_width", "exposure.clipped_high", "exposure.clipped_low")
"""Measures that mean something in a part of a film."""
BINS = 8
SMALLER = 0.75
"""Scale at which a film is measured again, and the share of each side that counts as the patient's."""
OF_THE_PATIENT = frozenset({"noise", "blur", "exposure"})
OF_THE_FRAME = frozenset({"collimation", "positioning", "contrast"})


class Cut(NamedTuple):
    """How pictures are cut for a judge, in pixels."""

    overview: int
    crop: int


def read_and_look(path: str, limits: ReadSettings, cut: Cut) -> tuple[Reading, Seen]:
    """Measure a film and cut the first look from it, which spares opening it twice; errors are those of `read`."""
    started = time.perf_counter()
    data, film = opened(path, limits)
    return reading(data, film, started), _first(film, cut)


def look(path: str, limits: ReadSettings, cut: Cut, request: Request | None) -> Seen:
    """Have one look at a film, the first one for None; errors are those of `read`."""
    _, film = opened(path, limits)
    if request is None:
        return _first(film, cut)
    if isinstance(request, Detail):
        text = f"The {request.region} ninth at full sharpness."
        return Seen(text, (_png(region(film, request.region, cut.crop)),))
    if isinstance(request, Measures):
        return Seen(_measured(film, request.region))
    return Seen(_histogram(film) if isinstance(request, Histogram) else _edges(film))


def remeasure(path: str, limits: ReadSettings) -> dict[str, float]:
    """Measure a film again in another way; errors are those of `read`.

    Noise, blur and exposure on the middle of the working view, without margins, markers and air; collimation,
    positioning and contrast on the whole film at three quarters of its size. Artifacts are bound to one scale and have
    no second measurement.
    """
    _, film = opened(path, limits)
    view = film.view1024
    height, width = view.shape
    top, left = round(height * (1 - SMALLER) / 2), round(width * (1 - SMALLER) / 2)
    middle = view[top : height - top, left : width - left]
    smaller = cv2.resize(film.pixels, None, fx=SMALLER, fy=SMALLER, interpolation=cv2.INTER_AREA)
    return _measures(film, middle, OF_THE_PATIENT) | _measures(film, np.asarray(smaller, np.uint8), OF_THE_FRAME)


def _measures(film: Film, pixels: Grey, families: frozenset[str]) -> dict[str, float]:
    tools = [each for each in TOOLS if each.family in families]
    part = replace(film, pixels=np.ascontiguousarray(pixels), stored=None)
    return {f"{each.tool}.{each.metric}": each.value for each in measure(part, tools)}


def _first(film: Film, cut: Cut) -> Seen:
    return Seen(pictures=tuple(map(_png, looks(film, cut.overview, cut.crop))))


def _png(seen: Look) -> bytes:
    _, data = cv2.imencode(".png", seen.pixels, PNG)
    return data.tobytes()


def _measured(film: Film, name: str) -> str:
    view = film.view1024
    (x, y), (height, width) = REGIONS[name], view.shape
    top, left = round((y - 1 / 6) * height), round((x - 1 / 6) * width)
    ninth = view[top : top + height // 3, left : left + width // 3]
    units = {each.name: each.unit for each in TOOLS if each.name in TOLD}
    here, whole = _measures(film, ninth, OF_THE_PATIENT), _measures(film, view, OF_THE_PATIENT)
    said = [f"{key} {here[key]:.3g} {units[key]} ({whole[key]:.3g})" for key in TOLD if key in here and key in whole]
    return f"Measured in the {name} ninth, in brackets on the whole film: {'; '.join(said) or 'nothing'}."


def _histogram(film: Film) -> str:
    view = film.view256
    counts, _ = np.histogram(view[film.inside(view.shape) > 0], BINS, (0, 256))
    shares = ", ".join(f"{100 * count / max(1, counts.sum()):.0f} %" for count in counts)
    return f"Share of the exposed field in each eighth of the grey scale, from black to white: {shares}."


def _edges(film: Film) -> str:
    sides = zip(("top", "right", "bottom", "left"), film.field.depths, strict=True)
    depths = ", ".join(f"{side} {100 * depth:.0f} %" for side, depth in sides)
    return (
        f"Depth of the shutter from each side: {depths}. Probability that one is visible: {film.field.probability:.2f}."
    )
