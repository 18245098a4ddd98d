"""Histograms and levels of 8-bit images: every quantile comes from 256 counts, never from sorting pixels."""

import cv2
import numpy as np
from numpy.typing import NDArray

from .film import Grey

Counts = NDArray[np.float32]
MAD_OF_NORMAL = 0.6745
"""Median of |x| for a normal variable of deviation 1."""


def counts(image: Grey, mask: Grey | None = None) -> Counts:
    """How often each grey value occurs where `mask` is not 0: float32, shape (256,)."""
    return np.asarray(cv2.calcHist([image], [0], mask, [256], [0, 256]), np.float32).ravel()


def quantile(of: Counts, fraction: float) -> float:
    """Grey value below which `fraction` of the pixels lie, interpolated inside its bin; in [-0.5, 255.5].

    Args:
        of: shape (256,); must not be all zero.
        fraction: in [0, 1].
    """
    cumulated = np.cumsum(of, dtype=np.float64)
    target = fraction * cumulated[-1]
    level = int(np.searchsorted(cumulated, target))
    below = cumulated[level - 1] if level else 0.0
    return level - 0.5 + float((target - below) / max(of[level], 1.0))


def between(image: cv2.typing.MatLike, low: int, high: int) -> Grey:
    """Mask of the pixels in [low, high]: uint8, the image's shape, 255 there."""
    return np.asarray(cv2.inRange(image, low, high), np.uint8)  # pyright: ignore[reportArgumentType, reportCallIssue]


def deviations(view: Grey, side: int, steps: float) -> Grey:
    """Standard deviation in windows of `side` x `side` px, in `steps` a grey level: uint8, the view's shape."""
    values = view.astype(np.float32)
    mean = cv2.blur(values, (side, side))
    variance = cv2.subtract(cv2.sqrBoxFilter(values, cv2.CV_32F, (side, side)), cv2.multiply(mean, mean))
    return np.asarray(cv2.convertScaleAbs(cv2.sqrt(cv2.max(variance, 0.0)), alpha=steps), np.uint8)  # pyright: ignore[reportArgumentType, reportCallIssue]
