"""Noise: grain of the detector and of too few photons, told from the finest diagonal detail of the film.

It is looked for where it is worst: in the brightest parts, behind which the fewest photons arrive.
"""

import cv2
import numpy as np

from .base import tool
from .exposure import local_contrast
from .film import Film, Grey
from .histogram import Counts, between, counts, quantile

MIN_SAMPLES = 256
SAMPLES = 1 << 15
"""2 x 2 blocks that are enough for a mean; larger films are read in every n-th pair of rows."""
BRIGHT = 0.7
"""Rank of grey value inside the field from which noise is looked at."""
KEPT = 0.75
"""Share of the magnitudes, the smallest, whose mean is taken: structures make the largest ones."""
KEPT_OF_NORMAL = 0.5149
"""Mean of the lower three quarters of |x| for a normal variable of deviation 1."""
LEAST_CONTRAST = 0.5
"""Grey levels of contrast below which a film is blank, and its noise is not divided any further."""

LEAST_DETAIL = 0.3
"""Grey levels of detail that rounding leaves on a film without any."""
MOST = 255 / KEPT_OF_NORMAL / 2
"""Grey levels of noise on a chequered film, which has the most."""


@tool(version=2, unit="grey levels", better="lower", bounds=(0.0, MOST))
def haar(film: Film) -> float | None:
    """Standard deviation of the noise in the brightest parts at a long side of 1024 px, as a reader sees it.

    Robust: mean of the lower three quarters of the diagonal Haar detail in the brightest 30 % of the field, saturated
    pixels left out. Blur of the anatomy under the same noise does not move it.

    Source:
        Donoho and Johnstone, Biometrika 81:425-455, 1994 (robust deviation of the finest wavelet detail).
    """
    return film.once(seen)


@tool(version=2, unit="grey levels", better="lower", bounds=(0.0, MOST))
def haar_native(film: Film) -> float | None:
    """Standard deviation of the noise in the brightest parts at the film's own resolution, as the detector made it."""
    return film.once(_haar_native)


@tool(version=2, unit="grey levels", better="lower", bounds=(0.0, MOST**2 / LEAST_DETAIL))
def grain(film: Film) -> float | None:
    """Noise at the film's own resolution, raised where it stands out of the next coarser octave.

    That is `haar_native` times its ratio to the same detail at half the resolution: averaging four pixels halves noise,
    whereas anatomy keeps its detail. A stretch of contrast, such as equalisation brings in differently at every grey
    level, leaves the ratio alone.
    """
    return film.once(_grain)


@tool(version=3, unit="1", better="lower", bounds=(0.0, MOST**2 / LEAST_DETAIL / LEAST_CONTRAST))
def relative(film: Film) -> float | None:
    """Grain as a fraction of the film's own local contrast; stays what it was when contrast is stretched."""
    noise, contrast = film.once(_grain), local_contrast(film)
    return None if noise is None or contrast is None else noise / max(contrast, LEAST_CONTRAST)


def seen(film: Film) -> float | None:
    """What `haar` measures, worked out once."""
    return _haar(film.view1024, film)


def _grain(film: Film) -> float | None:
    native, halved = film.once(_haar_native), _haar(film.halved, film)
    return None if native is None or halved is None else native**2 / (halved + LEAST_DETAIL)


def _haar_native(film: Film) -> float | None:
    return _haar(film.pixels, film)


def _haar(image: Grey, film: Film) -> float | None:
    """Noise deviation from 2 x 2 blocks `a b / c d`: |a - b - c + d| / 2 has the deviation of one pixel's noise."""
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    if not min(height, width):
        return None
    step = 2 * max(1, round(height * width / 4 / SAMPLES))
    upper, lower = image[:height:step, :width], image[1:height:step, :width]
    down = np.asarray(cv2.subtract(upper, lower, dtype=cv2.CV_16S))
    detail = np.asarray(cv2.convertScaleAbs(cv2.subtract(down[:, ::2], down[:, 1::2])), np.uint8)
    level = np.asarray(cv2.addWeighted(upper[:, ::2], 0.5, upper[:, 1::2], 0.5, 0), np.uint8)
    usable = between(level, 3, 252) & film.inside(level.shape)
    grey = counts(level, usable)
    if grey.sum() < MIN_SAMPLES:
        return None
    bright = usable & between(level, round(quantile(grey, BRIGHT)), 255)
    return _spread(counts(detail, bright)) / 2


def _spread(magnitudes: Counts) -> float:
    """Deviation of a normal variable whose magnitudes are counted in whole numbers, the largest left out."""
    cumulated = np.cumsum(magnitudes, dtype=np.float64)
    kept = KEPT * cumulated[-1]
    last = int(np.searchsorted(cumulated, kept))
    below = np.append(0.0, cumulated)[last]
    total = float((magnitudes[:last] * np.arange(last)).sum() + (kept - below) * last)
    return total / max(kept, 1.0) / KEPT_OF_NORMAL
