"""What a film's grey values mean, told from their histogram."""

import cv2
import numpy as np

from .film import Grey

FLAT = 0.006
"""Departure from an equalised film's grey values up to which a film counts as equalised: the largest that any equalised
film reached on half of the patients of 297 real films; checked on the other half by `tests/unit/test_domain.py`."""

_SAMPLES = 512  # grid points along the long side
_RIM = 4  # grey values at either end: shutters and clipped tails pile up there; black has no place on the line
_BLUR = 4  # grey values over which JPEG and resizing spread one level of an equalised film


def is_equalised(pixels: Grey) -> bool:
    """Whether the film was histogram-equalised over its whole area, as MIMIC-CXR-JPG is."""
    return flatness(pixels) <= FLAT


def flatness(pixels: Grey) -> float:
    """Departure of the grey values from those of an equalised film: 0 equalised … about 0.5, dimensionless.

    Equalisation gives every pixel the value 255 * (share of pixels up to its own level), black left out. This is the
    mean, over the pixels, of how far the cumulative histogram at a pixel's value lies from that line; a distance
    that moving the value by `_BLUR` levels would undo counts as none, because equalisation leaves a comb of full and
    empty levels that JPEG and resizing smear. Shutters and saturation that equalisation saw do not disturb it;
    margins blackened afterwards do, since what they take away was not evenly spread.
    """
    step = max(1, max(pixels.shape) // _SAMPLES)
    sample = np.ascontiguousarray(pixels[::step, ::step])
    counts = cv2.calcHist([sample], [0], None, [256], [0, 256]).ravel().astype(np.float64)
    counts[:_RIM] = 0
    inner = counts[: 256 - _RIM]
    if not inner.any():
        return 1.0
    cumulative = np.cumsum(counts) / counts.sum()
    even = np.arange(256) / 255
    ahead = np.concatenate([cumulative[_BLUR:], np.ones(_BLUR)])
    behind = np.concatenate([np.zeros(_BLUR), cumulative[:-_BLUR]])
    distance = np.maximum(0, np.maximum(even - ahead, behind - even))
    return float(distance[: inner.size] @ inner / inner.sum())
