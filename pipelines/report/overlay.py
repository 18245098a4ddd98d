"""What the tools saw on a film, as pictures to lay over it."""

import base64
from collections.abc import Collection, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from ...tools.blur import sharpest
from ...tools.exposure import flat
from ...tools.film import Film
from ...tools.looks import REGIONS

Grey = NDArray[np.uint8]
COLOURS: Mapping[str, tuple[int, int, int]] = {
    "field": (0x35, 0xC9, 0xF5),
    "saturated": (0xFF, 0x5A, 0xA0),
    "edges": (0xFF, 0xE1, 0x4D),
    "noise": (0x7D, 0xFF, 0x8A),
    "looked": (0xC9, 0x8B, 0xFF),
}
"""Red, green and blue of each layer; the page's style names the same."""
CLIPPED_LOW, CLIPPED_HIGH = 2, 253
BLOCK = 16
"""Haar details along a side of a block of the noise map."""
NOISIEST = 12.0
"""Grey levels of noise that are drawn in full."""
QUALITY = 72
SIXTH = 1 / 6
"""Half a ninth's side, as a fraction of the film's."""


def picture(film: Film, side: int, looked: Collection[str] = ()) -> dict[str, Any]:
    """A film and its layers as data URLs.

    Args:
        film: the film.
        side: longest side of the pictures, in px.
        looked: ninths of the film that a judge asked for, by their names in `REGIONS`.

    Returns:
        `film`, and by name the `layers` that have something to show; layers are transparent elsewhere.
    """
    height, width = film.pixels.shape
    scale = min(1.0, side / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    layers = {"field": _field(film, size), "saturated": _saturated(film), "noise": _noise(film)}
    edges = sharpest(film)
    if edges is not None:
        layers["edges"] = edges
    layers["looked"] = _looked(looked, size)
    small = cv2.resize(film.pixels, size, interpolation=cv2.INTER_AREA)
    return {
        "film": _jpeg(small),
        "layers": {name: _layer(mask, COLOURS[name], size) for name, mask in layers.items() if mask.any()},
    }


def _field(film: Film, size: tuple[int, int]) -> Grey:
    """The outline of the collimated field."""
    width, height = size
    mask = np.pad(film.inside((height - 2, width - 2)), 1) if min(size) > 2 else film.inside((height, width))
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    drawn = np.zeros((height, width), np.uint8)
    cv2.drawContours(drawn, outlines, -1, 255, max(1, round(max(size) / 250)))
    return drawn


def _looked(regions: Collection[str], size: tuple[int, int]) -> Grey:
    """The outlines of ninths of the film."""
    width, height = size
    drawn = np.zeros((height, width), np.uint8)
    for x, y in (REGIONS[name] for name in regions):
        upper_left = round((x - SIXTH) * (width - 1)), round((y - SIXTH) * (height - 1))
        lower_right = round((x + SIXTH) * (width - 1)), round((y + SIXTH) * (height - 1))
        cv2.rectangle(drawn, upper_left, lower_right, 255, max(1, round(max(size) / 250)))
    return drawn


def _saturated(film: Film) -> Grey:
    """Clipped or flat parts of the field."""
    view = film.view512
    clipped = np.where((view <= CLIPPED_LOW) | (view >= CLIPPED_HIGH), 255, 0).astype(np.uint8)
    return (clipped & film.inside(view.shape)) | flat(film)


def _noise(film: Film) -> Grey:
    """Noise deviation in blocks, 0 to `NOISIEST` grey levels as 0 to 255: mean absolute diagonal Haar detail."""
    height, width = (max(2, side // 2 * 2) for side in film.view1024.shape)
    view = film.view1024[:height, :width].astype(np.float32)
    detail = np.abs(view[::2, ::2] - view[::2, 1::2] - view[1::2, ::2] + view[1::2, 1::2]) / 2
    rows, columns = (max(1, side // BLOCK) for side in detail.shape)
    mean = cv2.resize(detail, (columns, rows), interpolation=cv2.INTER_AREA)
    deviation = mean * np.sqrt(np.pi / 2)  # of a normal variable's mean magnitude
    inside = film.inside((rows, columns))
    return np.where(inside > 0, np.clip(deviation / NOISIEST, 0, 1) * 255, 0).astype(np.uint8)


def _layer(strength: Grey, colour: tuple[int, int, int], size: tuple[int, int]) -> str:
    """One colour, as opaque as the layer is strong; a coarse map stays coarse and is smoothed by the browser."""
    if max(strength.shape) > max(size):
        strength = np.asarray(cv2.resize(strength, size, interpolation=cv2.INTER_AREA), np.uint8)
    levels = np.asarray(strength // 32 * 36, np.uint8)  # few levels compress well
    red, green, blue = (np.full(levels.shape, value, np.uint8) for value in colour)
    return _encoded(".png", cv2.merge([blue, green, red, levels]), "image/png", [cv2.IMWRITE_PNG_COMPRESSION, 9])


def _jpeg(image: Any) -> str:
    return _encoded(".jpg", image, "image/jpeg", [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def _encoded(suffix: str, image: Any, kind: str, options: list[int]) -> str:
    _, data = cv2.imencode(suffix, image, options)
    return f"data:{kind};base64,{base64.b64encode(data.tobytes()).decode()}"
