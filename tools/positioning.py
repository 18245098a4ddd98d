"""Positioning of frontal films against the mean chest: inversion, quarter turns, in-plane tilt, parts cut off."""

import numpy as np

from . import chest
from .base import tool
from .film import Film


@tool(version=1, unit="1", better="lower", bounds=(-2.0, 2.0))
def inversion(film: Film) -> float | None:
    """Evidence that the film is photometrically inverted; above 0 means inverted.

    How much better the negative than the film itself agrees with the mean chest, each at its best quarter turn.
    Absent on films that are not frontal.
    """
    if not is_frontal(film.view):
        return None
    agreement = film.once(_agreement)
    return float(-agreement.min() - agreement.max())


@tool(version=1, unit="1", better="lower", bounds=(-1.0, 1.0))
def rotation(film: Film) -> float | None:
    """Evidence that the film is turned by 90, 180 or 270°; above 0 means turned.

    How much better it agrees with the mean chest after its best turn than as it is, inverted or not.
    Absent on films that are not frontal.
    """
    if not is_frontal(film.view):
        return None
    agreement = np.abs(film.once(_agreement))
    return float(agreement[1:].max() - agreement[0])


@tool(version=1, unit="°", better="lower", bounds=(0.0, 90.0))
def tilt(film: Film) -> float | None:
    """Angle by which the patient leans in the plane of the film, whichever way.

    Read from the directions of the anatomy's edges, so it does not need the corners that a turn leaves. Of little
    meaning on films that `rotation` finds turned. Absent on films that are not frontal.
    """
    if not is_frontal(film.view):
        return None
    angle = float(chest.lean_features(film.once(chest.square)) @ chest.shipped().lean)
    return min(abs(angle), 90.0)


@tool(version=1, unit="fraction", better="lower", bounds=(0.0, 1.0))
def cutoff(film: Film) -> float | None:
    """Fraction of the chest that seems to lie beyond one side of the film.

    Guessed from where the anatomy's edges lie, so it is weak: a tenth of a side is seldom noticed, a quarter mostly
    is, and a large or a deformed chest looks like one cut off. Absent on films that are not frontal.
    """
    if not is_frontal(film.view):
        return None
    lost = chest.frame_features(chest.whole(film)) @ chest.shipped().frame
    return float(np.clip(lost.max(), 0, 1))


def is_frontal(view: str | None) -> bool:
    """Whether a view position is frontal or says nothing: the mean chest knows no laterals and obliques.

    >>> [is_frontal(view) for view in ("PA", "AP Supine", None, "LATERAL")]
    [True, True, True, False]
    """
    words = (view or "").upper().split()
    return not words or words[0] in ("AP", "PA", "FRONTAL")


def _agreement(film: Film) -> chest.Floats:
    """Correlation with the mean chest after 0, 1, 2 and 3 quarter turns, each in [-1, 1]."""
    pattern, template = chest.pattern(film.once(chest.square).pixels), chest.shipped().template
    return np.array([float((np.rot90(pattern, turns) * template).sum()) for turns in range(4)], np.float32)
