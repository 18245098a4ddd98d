"""What a film's grey values mean, told from their histogram."""

import cv2
import numpy as np

from .film import Grey

FLAT = 0.006
"""Departure from a flat histogram up to which a film counts as equalised; chosen on half of the patients of 297 real
films (geometric middle between the 99th percentile of equalised and the 1st of other films), checked on the other
half by `tests/unit/test_domain.py`."""

_SAMPLES = 512  # grid points along the long side
_RIM = 4  # grey values at either end: shutters, burnt-in text and the clipped tails pile up there
_BLUR = 4  # grey values over which JPEG and resizing spread one level of an equalised film


def is_equalised(pixels: Grey) -> bool:
    """Whether the film was histogram-equalised over its whole area, as MIMIC-CXR-JPG is."""
    return flatness(pixels) <= FLAT


def flatness(pixels: Grey) -> float:
    """Departure of the grey values from an even spread: 0 equalised … about 0.25, dimensionless.

    The mean, over the pixels, of how far the cumulative histogram at a pixel's value lies from the straight line; a
    distance that moving the value by `_BLUR` levels would undo counts as none, because equalisation leaves a comb
    of full and empty levels that JPEG and resizing smear. Shutters that equalisation saw do not disturb it; margins
    blackened afterwards do, since what they take away was not evenly spread.
    """
    step = max(1, max(pixels.shape) // _SAMPLES)
    sample = np.ascontiguousarray(pixels[::step, ::step])
    counts = cv2.calcHist([sample], [0], None, [256], [0, 256]).ravel()[_RIM:-_RIM].astype(np.float64)
    if not counts.any():
        return 1.0
    share = counts / counts.sum()
    cumulative = np.cumsum(share)
    even = np.arange(1, share.size + 1) / share.size
    ahead = np.concatenate([cumulative[_BLUR:], np.ones(_BLUR)])
    behind = np.concatenate([np.zeros(_BLUR), cumulative[:-_BLUR]])
    distance = np.maximum(0, np.maximum(even - ahead, behind - even))
    return float(distance @ share)
