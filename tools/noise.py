"""Noise: grain of the detector and of too few photons, told from the finest diagonal detail of the film."""

import cv2
import numpy as np

from .base import tool
from .exposure import local_contrast
from .film import Film, Grey
from .histogram import MAD_OF_NORMAL, between, counts, quantile

MIN_SAMPLES = 256
LEAST_CONTRAST = 0.5
"""Grey levels of contrast below which a film is blank, and its noise is not divided any further."""
TILE = (512, 1024)


@tool(version=1, unit="grey levels", better="lower", bounds=(0.0, 190.0))
def haar(film: Film) -> float | None:
    """Standard deviation of the noise at a long side of 1024 px.

    Robust: median absolute diagonal Haar detail inside the field, saturated pixels left out. Blur of the anatomy
    under the same noise does not move it.

    Source:
        Donoho and Johnstone, Biometrika 81:425-455, 1994 (median absolute deviation of the finest wavelet detail).
    """
    return film.once(_haar_1024)


@tool(version=1, unit="grey levels", better="lower", bounds=(0.0, 190.0))
def haar_native(film: Film) -> float | None:
    """Standard deviation of the noise at the film's own resolution, in a central tile of 512 x 1024 px."""
    return film.once(_haar_native)


@tool(version=1, unit="1", better="lower", bounds=(0.0, 380.0))
def relative(film: Film) -> float | None:
    """Noise as a fraction of the film's own local contrast; stays what it was when contrast is stretched.

    Geometric mean of the noise at 1024 px and at the film's own resolution: the first is closer to what a reader sees,
    the second to the detector.
    """
    seen, native, contrast = film.once(_haar_1024), film.once(_haar_native), local_contrast(film)
    if seen is None or native is None or contrast is None:
        return None
    return (seen * native) ** 0.5 / max(contrast, LEAST_CONTRAST)


def _haar_1024(film: Film) -> float | None:
    return _haar(film.view1024, film.inside(film.view512.shape))


def _haar_native(film: Film) -> float | None:
    height, width = film.pixels.shape
    top, left = max(0, (height - TILE[0]) // 2), max(0, (width - TILE[1]) // 2)
    return _haar(film.pixels[top : top + TILE[0], left : left + TILE[1]], None)


def _haar(image: Grey, inside: Grey | None) -> float | None:
    """Noise deviation from 2 x 2 blocks `a b / c d`: |a - b - c + d| / 2 has the deviation of one pixel's noise.

    Every second row of blocks is enough for a median. `inside` has one entry a block.
    """
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    upper, lower = image[:height:4, :width], image[1:height:4, :width]
    down = np.asarray(cv2.subtract(upper, lower, dtype=cv2.CV_16S))
    detail = cv2.convertScaleAbs(cv2.subtract(down[:, ::2], down[:, 1::2]))
    usable = between(upper[:, ::2], 3, 252)
    if inside is not None:
        usable &= inside[::2]
    found = counts(np.asarray(detail, np.uint8), usable)
    if found.sum() < MIN_SAMPLES:
        return None
    return max(quantile(found, 0.5), 0.0) / 2 / MAD_OF_NORMAL
