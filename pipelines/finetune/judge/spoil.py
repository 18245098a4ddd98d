"""Films spoiled on purpose, with the grades a judge should give them: the judge's teacher.

A grade 1, 2 or 3 is severity 2, 3 or 4 of LRRG-C, as in the tool benchmark; parameters are drawn around those steps.
Some labels are the judge's own, because a film cannot show what they are on the ladder. Exposure is graded by the part
of the film that newly saturates, and contrast by the range of grey values that is left, since one shift or factor does
little to one film and ruins another. Noise and blur of a film smaller than the working view are those that a film of
that size would show in a pixel: a small export has averaged them away. Quarter turns, half turns and inversion are
severe.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from ....agent.state import ASPECTS
from ....benchmark.degrade import apply
from ....benchmark.ladder import TOOL_SEVERITIES, read_ladder
from ....tools.film import Grey

UNKNOWN = -1
"""Grade of an aspect that must not teach: nobody knows it."""
NONE, SEVERE = 0, 3
SATURATED: Mapping[int, tuple[float, float]] = {1: (0.04, 0.09), 2: (0.12, 0.20), 3: (0.26, 0.40)}
"""Part of the central field that an exposure error newly saturates, by grade."""
RANGE: Mapping[int, tuple[float, float]] = {1: (68.0, 84.0), 2: (44.0, 60.0), 3: (18.0, 36.0)}
"""Grey levels between the 5th and 95th percentile of the central field that low contrast leaves, by grade."""
SATURATING = frozenset({"under_exposure", "over_exposure"})
"""Defects of exposure that survive equalisation."""
INVISIBLE = (0.6, 1.3)
"""Sigmas (pixels of a film of 3056) of a blur that nobody sees; it teaches that grain laid anew is no blur."""
INVISIBLE_SHARE = 0.5
SPREAD = 0.3
"""A parameter is drawn within this many ladder steps of its grade's."""
WORKING_SIDE = 1024
"""Long side of the working view."""
CLEAN_SHARE = 0.15
DEFECTS_SHARES = (0.4, 0.35, 0.25)
"""Of spoiled films, shares with one, two and three spoiled aspects."""

Grades = dict[str, int]
Kind = TypeVar("Kind", bound=np.generic)


class Spoiled(NamedTuple):
    """A film and what a judge should say of it."""

    grey: Grey
    grades: Grades
    """0 … 3, or `UNKNOWN`, by aspect."""
    defects: tuple[str, ...]


KINDS: Mapping[str, Sequence[tuple[str, float]]] = {
    "noise": (("quantum_noise", 1.0),),
    "blur": (("defocus", 0.5), ("motion", 0.5)),
    "exposure": (("under_exposure", 0.35), ("over_exposure", 0.35), ("low_contrast", 0.3)),
    "collimation": (("shutter", 1.0),),
    "positioning": (("tilt", 0.7), ("inversion", 0.1), ("rotation_90", 0.1), ("rotation_180", 0.1)),
    "artifact": (("overlay_text", 0.4), ("grid_lines", 0.3), ("jpeg", 0.3)),
}
"""Defects of each aspect and how often each is drawn. Not among them, so that it shows whether the judge goes beyond
what it was taught: read-out noise, scatter, low resolution. Nor cut-off anatomy: from so few films a small judge learns
which of them were cut instead of what is missing, and sees blades that are none on others."""
ORDER = ("tilt", "rotation_90", "rotation_180", "blur", "noise", "exposure", "grid_lines", "inversion",
         "shutter", "overlay_text", "jpeg")  # fmt: skip
"""Patient, beam, detector, console, file: aspects stand for all their defects."""


def draw(rng: np.random.Generator) -> dict[str, tuple[str, int]]:
    """Draw (defect, grade) for each aspect to spoil; empty for a clean film."""
    if rng.random() < CLEAN_SHARE:
        return {}
    number = 1 + int(rng.choice(3, p=DEFECTS_SHARES))
    chosen = (ASPECTS[index] for index in rng.choice(len(ASPECTS), size=number, replace=False))
    return {aspect: _defect(aspect, rng) for aspect in chosen}


def _defect(aspect: str, rng: np.random.Generator) -> tuple[str, int]:
    names, shares = zip(*KINDS[aspect], strict=True)
    defect = str(rng.choice(names, p=shares))
    return defect, int(rng.integers(1, 4)) if read_ladder()[defect].ordered else SEVERE


def spoil(
    clean: Grey, known: Grades, plan: Mapping[str, tuple[str, int]], rng: np.random.Generator, *, spread: float = SPREAD
) -> Spoiled:
    """Spoil a film by plan.

    Args:
        clean: uint8, shape (H, W), air dark; kept as it is.
        known: grades of the film as it is. An aspect that is `UNKNOWN` stays so when it is spoiled: a film that taught
            only the presence of a defect would teach that films like it have the defect.
        plan: (defect, grade) by aspect.
        rng: draws parameters, places and grain.
        spread: how far parameters may lie from their grade's, in ladder steps; with none, every defect is the
            ladder's own.
    """
    known = _turned_known(known, plan)
    grades = dict(known)
    grey = clean
    if "blur" not in plan and rng.random() < INVISIBLE_SHARE:
        grey = apply(grey, "defocus", shown(grey, "defocus", rng.uniform(*INVISIBLE)), key=_key(rng))
    for aspect, defect, grade in sorted(((a, *p) for a, p in plan.items()), key=lambda p: _turn(p[0], p[1])):
        grey = _apply(grey, defect, grade, rng, spread)
        grades[aspect] = UNKNOWN if known[aspect] == UNKNOWN else max(grade, known[aspect])
    return Spoiled(grey, grades, tuple(defect for defect, _ in plan.values()))


def _turned_known(known: Grades, plan: Mapping[str, tuple[str, int]]) -> Grades:
    """Grades of the film once it is turned: its own blades may have left the picture."""
    turned = plan.get("positioning", ("", NONE))[0] == "tilt" and known["collimation"] != NONE
    return {**known, "collimation": UNKNOWN} if turned else known


def _turn(aspect: str, defect: str) -> int:
    return ORDER.index(defect if defect in ORDER else aspect)


def _key(rng: np.random.Generator) -> str:
    return str(rng.integers(1 << 62))


def _apply(grey: Grey, defect: str, grade: int, rng: np.random.Generator, spread: float) -> Grey:
    if defect in SATURATING:
        return expose(grey, defect, rng.uniform(*SATURATED[grade]))
    if defect == "low_contrast":
        return flatten(grey, rng.uniform(*RANGE[grade]))
    if defect == "tilt" and rng.random() < 0.5:
        return _turned(grey, value(defect, grade, rng, spread) * (1 if rng.random() < 0.5 else -1))
    parameter = shown(grey, defect, value(defect, grade, rng, spread))
    made = apply(grey, defect, parameter, key=_key(rng))
    return _as_consoles_show(grey, made, rng) if defect == "shutter" and spread and rng.random() < 0.5 else made


def shown(grey: Grey, defect: str, parameter: float) -> float:
    """The parameter with which a small film shows in a pixel what one of the working view's size would show."""
    scale = min(1.0, max(grey.shape) / WORKING_SIDE)
    if defect == "quantum_noise":
        return parameter * scale**2
    return parameter / scale if defect in ("defocus", "motion") else parameter


def value(defect: str, grade: int, rng: np.random.Generator, spread: float) -> float:
    """A parameter within `spread` steps of a grade's on the ladder, geometrically; 0 for a defect without degrees."""
    row = read_ladder()[defect]
    if not row.ordered:
        return 0.0
    at = TOOL_SEVERITIES[grade] - 1 + rng.uniform(-spread, spread)
    return float(np.exp(np.interp(at, range(len(row.ladder)), np.log(row.ladder))))


def _as_consoles_show(open_: Grey, shut: Grey, rng: np.random.Generator) -> Grey:
    """Blades in another tone, with a soft edge, and with what scatter shows of the patient behind them."""
    behind = np.asarray(cv2.compare(open_, shut, cv2.CMP_NE), np.uint8)
    side = 2 * int(rng.integers(0, 4)) + 1
    share = cv2.blur(behind, (side, side)).astype(np.float32) / 255
    tone = rng.uniform(0, 50) if rng.random() < 0.6 else rng.uniform(205, 255)
    seen = rng.uniform(0, 0.2) if rng.random() < 0.5 else 0.0
    shade = tone + seen * (open_.astype(np.float32) - tone)
    return np.asarray(cv2.convertScaleAbs(open_ + share * (shade - open_)), np.uint8)


def central(grey: NDArray[Kind]) -> NDArray[Kind]:
    """The middle four fifths of a film each way, every third pixel: what exposure is graded on."""
    height, width = grey.shape
    return grey[height // 10 : -(height // 10) : 3, width // 10 : -(width // 10) : 3]


def grey_range(grey: Grey) -> float:
    """Grey levels between the 5th and 95th percentile of the central field."""
    low, high = np.percentile(central(grey), (5, 95))
    return float(high - low)


def expose(grey: Grey, defect: str, part: float) -> Grey:
    """Shift grey values until `part` more of the central field saturates: white if under-exposed, else black."""
    field = central(grey)
    if defect == "under_exposure":
        shift = 255 - float(np.quantile(field, max(0.0, 1 - part - float((field >= 254).mean()))))
    else:
        shift = float(np.quantile(field, min(1.0, part + float((field <= 1).mean()))))
    return apply(grey, defect, shift, key="")


def flatten(grey: Grey, left: float) -> Grey:
    """Draw grey values together until the central field's range is `left` grey levels; never apart."""
    return apply(grey, "low_contrast", min(1.0, left / max(grey_range(grey), 1.0)), key="")


def _turned(grey: Grey, angle: float) -> Grey:
    """Turn by `angle` degrees and cut to the largest part that has no black corners: the tilt alone must show."""
    height, width = grey.shape
    sine, cosine = abs(np.sin(np.radians(angle))), abs(np.cos(np.radians(angle)))
    zoom = max(cosine + sine * height / width, cosine + sine * width / height)
    turn = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), angle, 1.0)
    turned = cv2.warpAffine(grey, turn, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    top, left = (round(side * (1 - 1 / zoom) / 2) for side in (height, width))
    return np.ascontiguousarray(turned[top : height - top, left : width - left], np.uint8)
