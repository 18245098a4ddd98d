"""What a policy is made of before any film is seen: measures, transforms and, from physics, which way is worse."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from ..agent.policy import Direction, Rule, Transform
from ..agent.state import Aspect

VIEWS: Mapping[str, str] = {
    **dict.fromkeys(("AP", "PA", "AP SUPINE", "AP AXIAL", "AP LLD", "AP RLD", "PA LLD", "PA RLD"), "frontal"),
    **dict.fromkeys(("LATERAL", "LL", "RL", "XTABLE LATERAL"), "lateral"),
}
LOW, HIGH = -2.0, 4.0
"""Clips of the directed z: how much a good measure can excuse and a bad one accuse."""

MODEL: Mapping[str, tuple[Transform, Direction]] = {
    "contrast.coarse": ("log", -1),
    "contrast.middle": ("log", -1),
    "contrast.fine": ("log", -1),
    "contrast.regional": ("log", -1),
    "contrast.lung": ("log1p", -1),
    "contrast.lung_detail": ("log", -1),
    "contrast.over_grain": ("log", -1),
    "contrast.outline": ("log", -1),
    "contrast.likeness": ("identity", -1),
    "contrast.median": ("identity", 1),
    "noise.haar": ("log", 1),
    "noise.relative": ("log", 1),
    "blur.edge_width": ("log", 1),
    "blur.edge_width_down": ("log", 1),
    "blur.anisotropy": ("log", 1),
    "exposure.clipped_high": ("log1p", 1),
    "exposure.plateau_high": ("log1p", 1),
    "exposure.plateau_low": ("log1p", 1),
    "collimation.area_lost": ("identity", 1),
    "positioning.inversion": ("identity", 1),
    "positioning.rotation": ("identity", 1),
    "positioning.tilt": ("log1p", 1),
}
"""Measures of the quality model. All may speak in every domain; the fit gives those that do not carry no weight."""

FIT_DEFECTS = ("quantum_noise", "defocus", "under_exposure", "low_contrast", "tilt")
"""Ladder defects that teach the model; the others of the ladder are left to check it on."""
FIT_SEVERITIES = (4, 5)
"""Severities (LRRG-C) at which a good film has become a low one."""


class Grade(NamedTuple):
    """How one measure grades one aspect; `defects` are the ladders its cut points come from."""

    aspect: Aspect
    measure: str
    on: Literal["z", "value"]
    direction: Direction
    defects: tuple[str, ...]


PRESENTATION = (
    Grade("noise", "noise.haar", "z", 1, ("quantum_noise",)),
    Grade("blur", "blur.edge_width", "z", 1, ("defocus", "motion")),
    Grade("exposure", "exposure.clipped_high", "value", 1, ("under_exposure",)),
    Grade("exposure", "exposure.clipped_low", "value", 1, ("over_exposure",)),
    Grade("exposure", "contrast.coarse", "z", -1, ("low_contrast",)),
)
EQUALISED = (
    Grade("noise", "noise.haar", "z", 1, ("quantum_noise",)),
    Grade("blur", "blur.edge_width", "z", 1, ("defocus", "motion")),
    Grade("exposure", "exposure.plateau_high", "value", 1, ("under_exposure",)),
    Grade("exposure", "exposure.plateau_low", "value", 1, ("over_exposure",)),
)
ANY_DOMAIN = (
    Grade("collimation", "collimation.margin_depth", "value", 1, ("shutter",)),
    Grade("positioning", "positioning.inversion", "value", 1, ("inversion",)),
    Grade("positioning", "positioning.rotation", "value", 1, ("rotation_90", "rotation_180")),
    Grade("positioning", "positioning.tilt", "value", 1, ("tilt",)),
    Grade("artifact", "artifact.text", "value", 1, ("overlay_text",)),
    Grade("artifact", "artifact.blocking", "value", 1, ("jpeg",)),
    Grade("artifact", "artifact.grid_lines", "value", 1, ("grid_lines",)),
    Grade("artifact", "artifact.upsampling", "value", 1, ("low_resolution",)),
)
GRADES: Mapping[str, tuple[Grade, ...]] = {
    "presentation": PRESENTATION + ANY_DOMAIN,
    "equalised": EQUALISED + ANY_DOMAIN,
}
Z_TRANSFORMS: Mapping[str, Transform] = {name: transform for name, (transform, _) in MODEL.items()}

RULES = (
    Rule(aspect="positioning", severity=3, regime="borderline"),
    Rule(aspect="noise", severity=3, regime="borderline"),
    Rule(aspect="blur", severity=3, regime="borderline"),
    Rule(aspect="exposure", severity=3, regime="borderline"),
)
