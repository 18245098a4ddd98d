"""What a policy is made of before its fit: measures, transforms and, from physics, which way is worse.

The measures were chosen by what carried from one source of films to another, on the films that the shipped policy is
fitted on: figures on those films are honest about the fit, not about this choice.
"""

from collections.abc import Mapping
from math import inf
from typing import Literal, NamedTuple

from ...agent.rows import Direction, Rule, Transform
from ...agent.state import Aspect

VIEWS: Mapping[str, str] = {
    **dict.fromkeys(
        ("AP", "PA", "FRONTAL", "AP SUPINE", "AP AXIAL", "AP LLD", "AP RLD", "PA LLD", "PA RLD"), "frontal"
    ),
    **dict.fromkeys(("LATERAL", "LL", "RL", "XTABLE LATERAL"), "lateral"),
}


class Feature(NamedTuple):
    """How a measure enters the quality model: weight * clip(direction * z, low, high), the weight from the fit."""

    transform: Transform
    direction: Direction
    low: float
    high: float


def _graded(transform: Transform, direction: Direction) -> Feature:
    """A measure of the film against itself: a good value excuses a little, a bad one accuses more."""
    return Feature(transform, direction, -2.0, 4.0)


def _defect(transform: Transform) -> Feature:
    """A measure of one defect: within what good films have it says nothing, beyond it accuses."""
    return Feature(transform, 1, 1.0, 6.0)


MODEL: Mapping[str, Feature] = {
    "contrast.coarse": _graded("log", -1),
    "contrast.middle": _graded("log", -1),
    "contrast.fine": _graded("log", -1),
    "contrast.regional": _graded("log", -1),
    "contrast.lung": _graded("log1p", -1),
    "contrast.lung_detail": _graded("log", -1),
    "contrast.over_grain": _graded("log", -1),
    "contrast.outline": _graded("log", -1),
    "contrast.likeness": _graded("identity", -1),
    "contrast.median": _graded("identity", 1),
    "noise.relative": _defect("log"),
    "blur.edge_width": _defect("log"),
    "exposure.plateau_high": _defect("log1p"),
    "exposure.plateau_low": _defect("log1p"),
    "positioning.inversion": _defect("identity"),
    "positioning.rotation": _defect("identity"),
    "positioning.tilt": _defect("log1p"),
}
"""Measures of the quality model. All may speak in every domain; the fit gives those that do not carry no weight."""

FIT_DEFECTS = ("quantum_noise", "defocus", "under_exposure", "low_contrast", "tilt")
"""Ladder defects that teach the model; the others of the ladder are left to check it on."""
FIT_SEVERITIES = (4, 5)
"""Severities (LRRG-C) at which a good film has become a low one."""


class Grade(NamedTuple):
    """How one measure grades one aspect.

    Attributes:
        defects: the ladders its cut points come from.
        least: what a cut point must be at least, larger worse.
    """

    aspect: Aspect
    measure: str
    on: Literal["z", "value"]
    direction: Direction
    defects: tuple[str, ...]
    least: float = -inf


FAR = 2.0
"""Robust z from which contrast is called poor: patients and sources differ in it more than a few dozen films show."""
LOST = 0.11
"""Part of a chest that has to seem cut off: whole films of sources the mean chest was not learned from seem to lack up
to .104, those it was learned from less, so that no cut point may come from them alone."""

ALIKE = (
    Grade("noise", "noise.relative", "z", 1, ("quantum_noise",)),
    Grade("blur", "blur.reblur", "z", 1, ("defocus",)),
    Grade("blur", "blur.anisotropy", "z", 1, ("motion",)),
)
PRESENTATION = (
    Grade("exposure", "exposure.midpoint", "value", 1, ("under_exposure",)),
    Grade("exposure", "exposure.p01", "value", -1, ("over_exposure",)),
    Grade("exposure", "exposure.grey_range", "value", -1, ("low_contrast",)),
    Grade("exposure", "contrast.regional", "z", -1, ("scatter",), FAR),
)
EQUALISED = (
    Grade("exposure", "exposure.clipped_high", "value", 1, ("under_exposure",)),
    Grade("exposure", "exposure.black_pile", "value", 1, ("over_exposure",)),
    Grade("exposure", "contrast.middle", "z", -1, ("scatter",), FAR),
)
ANY_DOMAIN = (
    Grade("collimation", "collimation.area_lost", "value", 1, ("shutter",)),
    Grade("collimation", "positioning.cutoff", "value", 1, ("cut_off",), LOST),
    Grade("positioning", "positioning.inversion", "value", 1, ("inversion",)),
    Grade("positioning", "positioning.rotation", "value", 1, ("rotation_90", "rotation_180")),
    Grade("positioning", "positioning.tilt", "value", 1, ("tilt",)),
    Grade("artifact", "artifact.text", "value", 1, ("overlay_text",)),
    Grade("artifact", "artifact.blocking", "value", 1, ("jpeg",)),
    Grade("artifact", "artifact.grid_lines", "value", 1, ("grid_lines",)),
    Grade("artifact", "artifact.upsampling", "value", 1, ("low_resolution",)),
)
GRADES: Mapping[str, tuple[Grade, ...]] = {
    "presentation": ALIKE + PRESENTATION + ANY_DOMAIN,
    "equalised": ALIKE + EQUALISED + ANY_DOMAIN,
}
TRANSFORM: Mapping[str, Transform] = {
    **{name: each.transform for name, each in MODEL.items()},
    "blur.anisotropy": "log",
    "blur.reblur": "log",
}
"""By measure; only these have reference quantiles."""

RULES = (
    Rule(aspect="positioning", severity=3, regime="low"),
    Rule(aspect="noise", severity=2, regime="borderline"),
    Rule(aspect="blur", severity=2, regime="borderline"),
    Rule(aspect="exposure", severity=2, regime="borderline"),
)
