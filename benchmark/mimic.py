"""The transform that made MIMIC-CXR-JPG from detector images: 8 bits by minimum and maximum, equalisation, JPEG."""

import cv2
import numpy as np
from numpy.typing import NDArray

QUALITY = 95


def equalise(values: NDArray[np.uint8 | np.uint16]) -> NDArray[np.uint8]:
    """Histogram-equalised 8-bit image of stored values, shape (H, W), air dark; a constant image becomes black.

    Source:
        Johnson et al., MIMIC-CXR-JPG, arXiv:1901.07042, 2019.
    """
    low, high = int(values.min()), int(values.max())
    table = np.clip(np.round((np.arange(high - low + 1)) * (255.0 / max(high - low, 1))), 0, 255).astype(np.uint8)
    eight_bit = values if values.dtype == np.uint8 and (low, high) == (0, 255) else np.take(table, values - low)
    return np.asarray(cv2.equalizeHist(eight_bit), np.uint8)


def mimic_jpeg(values: NDArray[np.uint8 | np.uint16]) -> bytes:
    """The file MIMIC-CXR-JPG would hold of these stored values: equalised, JPEG of quality 95."""
    stream = cv2.imencode(".jpg", equalise(values), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return stream.tobytes()


def as_mimic(values: NDArray[np.uint8 | np.uint16]) -> NDArray[np.uint8]:
    """The grey values a reader of that file sees: uint8, shape (H, W)."""
    return np.asarray(cv2.imdecode(np.frombuffer(mimic_jpeg(values), np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)
