"""The film that a case of the benchmark shows, as its score presumes it was shown."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..benchmark.degrade import degrade
from ..tools.image import ImageError, decode
from .errors import SettingsError
from .settings import ReadSettings
from .storage import read_bytes

Grey = NDArray[np.uint8]


def decoded(path: str, limits: ReadSettings) -> Grey:
    """A film's pixels, uint8 (H, W), air dark, by the reader that the agent judged it with.

    Raises:
        SettingsError: the file cannot be read; the message names it.
        OSError: the storage failed.
    """
    try:
        return decode(read_bytes(path, limits), max_pixels=limits.max_pixels).pixels
    except ImageError as error:
        raise SettingsError(f"{path}: {error}; put it back, or run lrrg annotate and lrrg splits again") from error


def spoilt(grey: Grey, row: Mapping[str, Any]) -> Grey:
    """What a row of `cases.parquet` shows of its film at full resolution, uint8 (H, W): the film, or a spoilt copy."""
    return degrade(grey, row["defect"], row["severity"], key=row["image_id"]) if row["defect"] else grey
