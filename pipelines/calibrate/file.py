"""The file beside a judge's weights that says what makes its scores true: temperature and shift of each aspect."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...agent.scores import Calibration
from ...agent.state import ASPECTS, Aspect
from ..errors import SettingsError

FILE = "calibration.json"

Calibrations = Mapping[Aspect, Calibration]
"""By aspect; an absent one is heard as it came."""


def read_calibration(path: Path) -> Calibrations:
    """Read such a file.

    Raises:
        SettingsError: not one; the message says why.
    """
    try:
        given = dict(json.loads(path.read_text(encoding="utf-8")))
        found: dict[Aspect, Calibration] = {each: _one(given[each]) for each in ASPECTS if each in given}
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise SettingsError(f"{path}: no calibration: {error}") from error
    if not all(each.temperature > 0 for each in found.values()):
        raise SettingsError(f"{path}: a temperature is not positive")
    return found


def _one(given: Mapping[str, Any]) -> Calibration:
    return Calibration(**{name: float(value) for name, value in given.items()})


def write_calibration(path: Path, found: Calibrations) -> None:
    """Write such a file."""
    text = json.dumps({aspect: each._asdict() for aspect, each in found.items()}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")
