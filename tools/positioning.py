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
    if not _frontal(film):
        return None
    agreement = film.once(_agreement)
    return float(-agreement.min() - agreement.max())


@tool(version=1, unit="1", better="lower", bounds=(-1.0, 1.0))
def rotation(film: Film) -> float | None:
    """Evidence that the film is turned by 90, 180 or 270°; above 0 means turned.

    How much better it agrees with the mean chest after its best turn than as it is, inverted or not.
    Absent on films that are not frontal.
    """
    if not _frontal(film):
        return None
    agreement = np.abs(film.once(_agreement))
    return float(agreement[1:].max() - agreement[0])


@tool(version=1, unit="°", better="lower", bounds=(0.0, 90.0))
def tilt(film: Film) -> float | None:
    """Angle by which the patient leans in the plane of the film, whichever way.

    Read from the directions of the anatomy's edges, so it does not need the corners that a turn leaves. Of little
    meaning on films that `rotation` finds turned. Absent on films that are not frontal.
    """
    if not _frontal(film):
        return None
    angle = float(chest.lean_features(film.once(chest.square)) @ chest.shipped().lean)
    return min(abs(angle), 90.0)


@tool(version=1, unit="fraction", better="lower", bounds=(0.0, 1.0))
def cutoff(film: Film) -> float | None:
    """Fraction of the chest that seems to lie beyond one side of the film.

    Guessed from where the anatomy's edges lie, so it is weak: a tenth of a side is seldom noticed, a quarter mostly
    is, and a large or a deformed chest looks like one cut off. Absent on films that are not frontal.
    """
    if not _frontal(film):
        return None
    lost = chest.frame_features(chest.whole(film)) @ chest.shipped().frame
    return float(np.clip(lost.max(), 0, 1))


def _frontal(film: Film) -> bool:
    """Whether nothing says otherwise: the mean chest knows no laterals and obliques."""
    return not film.view or film.view.upper().split()[0] in ("AP", "PA")


def _agreement(film: Film) -> chest.Floats:
    """Correlation with the mean chest after 0, 1, 2 and 3 quarter turns, each in [-1, 1]."""
    pattern, template = chest.pattern(film.once(chest.square).pixels), chest.shipped().template
    return np.array([float((np.rot90(pattern, turns) * template).sum()) for turns in range(4)], np.float32)
