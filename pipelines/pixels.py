"""A film as Qwen2.5-VL sees it: resized to whole patches, normalised, cut into them. No torch: clients use it too."""

from functools import cache
from math import ceil, floor, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Grey = NDArray[np.uint8]
PATCH, MERGE, FRAMES = 14, 2, 2
"""Pixels along the side of a patch, patches along the side of what becomes one token, and equal frames of a film."""
FACTOR = PATCH * MERGE
"""Pixels along the side of what becomes one token."""
MEAN = (0.48145466, 0.4578275, 0.40821073)
DEVIATION = (0.26862954, 0.26130258, 0.27577711)


class Patches(NamedTuple):
    """One film's patches.

    Attributes:
        values: float32, shape (rows * columns, 3 * FRAMES * PATCH * PATCH), in the order the vision tower expects.
        grid: frames, rows and columns of patches.
    """

    values: NDArray[np.float32]
    grid: tuple[int, int, int]

    @property
    def tokens(self) -> int:
        """Tokens the language model sees."""
        return self.grid[1] * self.grid[2] // MERGE**2


def fitted(height: int, width: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """Height and width, multiples of `FACTOR`, that keep the proportions and hold a number of pixels within the limits.

    A film of a fitted size is left as it is.

    >>> fitted(3056, 2544, 3136, 802816)
    (980, 812)

    Source:
        Bai et al., Qwen2.5-VL Technical Report, 2025 (native resolution); the rounding is transformers' `smart_resize`.
    """
    rows, columns = round(height / FACTOR) * FACTOR, round(width / FACTOR) * FACTOR
    if rows * columns > max_pixels:
        shrink = sqrt(height * width / max_pixels)
        rows = max(FACTOR, floor(height / shrink / FACTOR) * FACTOR)
        columns = max(FACTOR, floor(width / shrink / FACTOR) * FACTOR)
    elif rows * columns < min_pixels:
        grow = sqrt(min_pixels / (height * width))
        rows = ceil(height * grow / FACTOR) * FACTOR
        columns = ceil(width * grow / FACTOR) * FACTOR
    return rows, columns


def resized(grey: Grey, min_pixels: int, max_pixels: int) -> Grey:
    """The film, uint8 (H, W), at its fitted size."""
    height, width = grey.shape
    return _scale(grey, *fitted(height, width, min_pixels, max_pixels))


def reduced(grey: Grey, side: int) -> Grey:
    """The film with its long side at most `side` pixels."""
    scale = side / max(grey.shape)
    if scale >= 1:
        return grey
    height, width = grey.shape
    return _scale(grey, max(1, round(height * scale)), max(1, round(width * scale)))


def _scale(grey: Grey, height: int, width: int) -> Grey:
    if grey.shape == (height, width):
        return grey
    return np.asarray(Image.fromarray(grey).resize((width, height), Image.Resampling.BICUBIC))


def patches(grey: Grey) -> Patches:
    """Cut a film of a fitted size, uint8 (H, W), into patches; its grey is all three colours."""
    rows, columns = grey.shape[0] // PATCH, grey.shape[1] // PATCH
    blocks = grey.reshape(rows // MERGE, MERGE, PATCH, columns // MERGE, MERGE, PATCH)
    cut = blocks.transpose(0, 3, 1, 4, 2, 5).reshape(rows * columns, 1, 1, PATCH * PATCH)
    colours = _levels()[np.arange(3)[None, :, None, None], cut]
    values = np.broadcast_to(colours, (rows * columns, 3, FRAMES, PATCH * PATCH)).reshape(rows * columns, -1)
    return Patches(values, (1, rows, columns))


@cache
def _levels() -> NDArray[np.float32]:
    """Normalised value of each grey level by colour, float32 (3, 256), rounded as transformers rounds it."""
    levels = (np.arange(256, dtype=np.float64) * (1 / 255)).astype(np.float32)
    mean, deviation = np.array(MEAN, np.float32), np.array(DEVIATION, np.float32)
    return ((levels[:, None] - mean) / deviation).T.copy()
