"""The film that a case of the benchmark shows, as its score presumes it was shown."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..benchmark.degrade import degrade
from .errors import SettingsError
from .films import read_film
from .settings import ReadSettings

Grey = NDArray[np.uint8]


def decoded(path: str, limits: ReadSettings) -> Grey:
    """A film's pixels, uint8 (H, W), air dark, by the reader that the agent judged it with.

    Raises:
        SettingsError: the file cannot be read; the message names it.
        OSError: the storage failed.
    """
    try:
        return read_film(path, limits).pixels
    except SettingsError as error:
        raise SettingsError(f"{error}; put it back, or run lrrg annotate and lrrg splits again") from error


def spoilt(grey: Grey, row: Mapping[str, Any]) -> Grey:
    """What a row of `cases.parquet` shows of its film at full resolution, uint8 (H, W): the film, or a spoilt copy."""
    return degrade(grey, row["defect"], row["severity"], key=row["image_id"]) if row["defect"] else grey
