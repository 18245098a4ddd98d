"""Measures the literature offers for these defects and that fail on radiographs; here to show it, never in a tool."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.measure import blur_effect

Grey = NDArray[np.uint8]


def variance_of_laplacian(view: Grey) -> float:
    """Sharpness after Pech-Pacheco et al., ICPR 2000."""
    return float(cv2.meanStdDev(cv2.Laplacian(view, cv2.CV_16S))[1].item() ** 2)


def tenengrad(view: Grey) -> float:
    """Sharpness as the mean squared Sobel gradient."""
    slopes = (cv2.Sobel(view, cv2.CV_16S, 1, 0), cv2.Sobel(view, cv2.CV_16S, 0, 1))
    return sum(cv2.norm(slope, cv2.NORM_L2SQR) for slope in slopes) / view.size


def crete_blur_effect(view: Grey) -> float:
    """Blur by blurring again (Crete et al., SPIE 6492, 2007), scikit-image's version."""
    return float(np.max(blur_effect(view)))


def immerkaer_sigma(view: Grey) -> float:
    """Noise from the mean response to a difference of two Laplacians (Immerkaer, CVIU 64, 1996)."""
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    response = cv2.filter2D(view, cv2.CV_16S, kernel)
    return float(np.sqrt(np.pi / 2) / 6 * cv2.norm(response, cv2.NORM_L1) / view.size)


def mean_brightness(view: Grey) -> float:
    """Exposure as the mean grey value."""
    return float(cv2.mean(view)[0])


def mean_over_deviation(view: Grey) -> float:
    """Signal-to-noise ratio as mean over standard deviation of the whole film."""
    mean, deviation = cv2.meanStdDev(view)
    return float(mean.item() / max(deviation.item(), 1e-6))


def hough_line_length(view: Grey) -> float:
    """Collimation as the summed length of near-axial lines (Canny, probabilistic Hough transform), in film widths."""
    half = cv2.resize(view, (view.shape[1] // 2, view.shape[0] // 2), interpolation=cv2.INTER_AREA)
    edges = cv2.Canny(cv2.GaussianBlur(half, (0, 0), 1.5), 20, 60)
    shortest = 0.3 * min(half.shape)
    lines = cv2.HoughLinesP(edges, 1, np.pi / 360, 60, minLineLength=shortest, maxLineGap=8)
    if lines is None:
        return 0.0
    x0, y0, x1, y1 = np.asarray(lines, float).reshape(-1, 4).T
    angle = np.degrees(np.arctan2(abs(y1 - y0), abs(x1 - x0)))
    axial = (angle < 8) | (angle > 82)
    return float(np.hypot(x1 - x0, y1 - y0)[axial].sum() / half.shape[1])


MEASURES: dict[str, Callable[[Grey], float]] = {
    each.__name__: each
    for each in (
        variance_of_laplacian,
        tenengrad,
        crete_blur_effect,
        immerkaer_sigma,
        mean_brightness,
        mean_over_deviation,
        hough_line_length,
    )
}
