"""Collimation: is a shutter edge visible, and how much of the film does it take."""

from .base import tool
from .film import Film


@tool(version=2, unit="probability", better="lower", bounds=(0.0, 1.0))
def probability(film: Film) -> float:
    """Probability that a shutter edge is visible.

    Says whether, not how much: it saturates with the shallowest shutter. Black air around the patient and black
    rectangles that cover only a part of a side (de-identification) do not count.
    """
    return film.field.probability


@tool(version=2, unit="fraction", better="lower", bounds=(0.0, 1.0))
def margin_depth(film: Film) -> float:
    """Depth of the deepest shutter, as a fraction of the side it cuts; 0 where no edge is visible."""
    return max(film.field.depths)


@tool(version=2, unit="fraction", better="lower", bounds=(0.0, 1.0))
def area_lost(film: Film) -> float:
    """Fraction of the film outside the collimated field, black corners of a turned export included."""
    return 1.0 - float(film.field.mask.mean()) / 255.0
