"""How a film is cut for a judge that sees a few small pictures: the whole of it, and details at native resolution.

A vision-language model that is sent a whole film sees it reduced, and with the fine detail goes every trace of noise
and blur; sent at full size, a film costs thousands of tokens. So a judge gets the film as a small overview (exposure,
collimation, positioning) and square details that were never resized below the working view (noise, blur, compression).
Training and serving cut films here and nowhere else.

The working view has its long side at 1024 px at most; smaller films keep their own pixels, because enlarging would blur
them. Grey values stay as they are: what the film's domain did to them is part of what is judged. Only detector values
(`linear`) are equalised first, as MIMIC-CXR-JPG does, since they were never meant to be looked at.
"""

from collections.abc import Mapping
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .film import Film, Grey

RULE_SIDE = 256
"""Long side of the reduced film on which details are chosen: small enough that noise has averaged out."""
SMOOTHING = 1.0
CROWD = 92.0
"""Percentile of the gradient at which it is cut, so that one wire or letter does not outweigh a field of ribs."""
DARK, BRIGHT = 6, 249
"""Grey values at and beyond which a pixel is saturated and its edges are none of the patient's."""
CENTRAL = (0.12, 0.80, 0.08, 0.92)
"""Top, bottom, left and right of the part of a film, as fractions, in which the patient's detail lies."""

_THIRDS = {"left": 1 / 6, "centre": 1 / 2, "right": 5 / 6}
_ROWS = {"upper": 1 / 6, "middle": 1 / 2, "lower": 5 / 6}
REGIONS: Mapping[str, tuple[float, float]] = {
    f"{row} {column}": (x, y) for row, y in _ROWS.items() for column, x in _THIRDS.items()
}
"""Centre (x, y) of each ninth of a film, as fractions; left and right are those of the picture."""


class Look(NamedTuple):
    """One picture for a judge."""

    name: str
    """`overview`, `detail A`, `detail B`, or a name of `REGIONS`."""
    pixels: Grey
    """uint8, square, air dark."""


def looks(film: Film, overview: int, crop: int) -> tuple[Look, ...]:
    """The overview and the two details that every judge sees.

    Args:
        film: of any size and domain.
        overview: side of the overview in pixels; the film is stretched to a square, never padded, because black bars
            look like a shutter.
        crop: side of a detail in pixels of the working view. A film smaller than that is continued by its mirror
            image, which keeps its noise and sharpness.

    Returns:
        `overview`, `detail A` where the film has most edges, `detail B` where it has most outside of A.
    """
    view = working_view(film)
    whole = np.asarray(cv2.resize(view, (overview, overview), interpolation=cv2.INTER_AREA), np.uint8)
    first, second = details(view, crop)
    return (
        Look("overview", whole),
        Look("detail A", _cut(view, first, crop)),
        Look("detail B", _cut(view, second, crop)),
    )


def region(film: Film, name: str, crop: int) -> Look:
    """A native detail in the middle of one ninth of the film; `name` is a key of `REGIONS`.

    Raises:
        KeyError: there is no such region.
    """
    view = working_view(film)
    x, y = REGIONS[name]
    return Look(name, _cut(view, (x * view.shape[1], y * view.shape[0]), crop))


def working_view(film: Film) -> Grey:
    """The film as a judge may see it: uint8, long side at most 1024 px, detector values equalised."""
    return np.asarray(cv2.equalizeHist(film.view1024), np.uint8) if film.domain == "linear" else film.view1024


def details(view: Grey, crop: int) -> tuple[tuple[float, float], tuple[float, float]]:
    """Centres (x, y), in pixels of `view`, of the two squares of side `crop` that hold most of the patient's edges.

    Only the film reduced to `RULE_SIDE` decides, smoothed, so that neither noise nor grain moves the squares. They lie
    at least a side apart where the film is large enough for that.
    """
    scale = max(view.shape) / RULE_SIDE
    side = max(3, round(crop / scale))
    edges = _edges(view, scale)
    density = np.asarray(cv2.boxFilter(edges, cv2.CV_32F, (side, side), borderType=cv2.BORDER_CONSTANT), np.float32)
    allowed = _central(density.shape, side)
    first = _strongest(density, allowed)
    y, x = np.ogrid[: density.shape[0], : density.shape[1]]
    apart = allowed & ((np.abs(x - first[0]) > side) | (np.abs(y - first[1]) > side))
    second = _strongest(density, apart if apart.any() else allowed)
    return (first[0] * scale, first[1] * scale), (second[0] * scale, second[1] * scale)


def _edges(view: Grey, scale: float) -> NDArray[np.float32]:
    height, width = (max(8, round(side / scale)) for side in view.shape)
    small = cv2.resize(view, (width, height), interpolation=cv2.INTER_AREA)
    smooth = cv2.GaussianBlur(small, (0, 0), SMOOTHING).astype(np.float32)
    gradient = cv2.magnitude(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    top, bottom, left, right = _field(gradient.shape)
    cut = np.minimum(gradient, np.percentile(gradient[top:bottom, left:right], CROWD))
    return np.where((small > DARK) & (small < BRIGHT), cut, 0).astype(np.float32)


def _field(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    top, bottom, left, right = CENTRAL
    height, width = shape
    return int(top * height), int(bottom * height), int(left * width), int(right * width)


def _central(shape: tuple[int, ...], side: int) -> NDArray[np.bool_]:
    """Where a square's centre may be: in the central field, and the square inside the film where it fits at all."""
    height, width = shape
    top, bottom, left, right = _field(shape)
    margin_y, margin_x = min(side // 2 + 1, (height - 1) // 2), min(side // 2 + 1, (width - 1) // 2)
    allowed = np.zeros(shape, np.bool_)
    allowed[max(top, margin_y) : min(bottom, height - margin_y), max(left, margin_x) : min(right, width - margin_x)] = 1
    if not allowed.any():
        allowed[height // 2, width // 2] = 1
    return allowed


def _strongest(density: NDArray[np.float32], allowed: NDArray[np.bool_]) -> tuple[int, int]:
    index = int(np.where(allowed, density, -1).argmax())
    return index % density.shape[1], index // density.shape[1]


def _cut(view: Grey, centre: tuple[float, float], crop: int) -> Grey:
    missing = [max(0, crop - side) for side in view.shape]
    if any(missing):
        (up, left), (down, right) = ([m // 2 for m in missing], [m - m // 2 for m in missing])
        view = np.asarray(cv2.copyMakeBorder(view, up, down, left, right, cv2.BORDER_REFLECT_101), np.uint8)
        centre = (centre[0] + left, centre[1] + up)
    height, width = view.shape
    x = min(max(round(centre[0] - crop / 2), 0), width - crop)
    y = min(max(round(centre[1] - crop / 2), 0), height - crop)
    return np.ascontiguousarray(view[y : y + crop, x : x + crop])
