"""Defects that films bring along: graded by measure, on the steps of those that are added.

A reader who calls a film good need not have seen its grain or a narrow blade at its edge, and to the judge both look
like the ones that spoiling adds. So a film's own noise, flat contrast and blades count. What a measure cannot decide is
unknown. The bounds were set on the half of the patients that parameters come from.
"""

from bisect import bisect
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from ....tools.exposure import local_contrast
from ....tools.film import Film, Grey
from .spoil import NONE, UNKNOWN, grey_range

OF_NORMAL = 0.6745
"""Median of |x| for a normal variable of deviation 1."""
NOISE = (0.11, 0.135, 0.172, 0.225)
"""Noise relative to contrast below which it is absent, unknown, and of grade 1 and 2; between the medians of spoiled
films, which differ little between the intensity domains."""
FLAT = (40.0, 64.0, 84.0, 92.0)
"""Grey levels of contrast below which it is of grade 3, 2 and 1, and unknown; 98 of 100 good films have more."""
BLADE = (0.028, 0.057, 0.106)
"""Depth of a blade, as a fraction of its side, from which it is of grade 1, 2 and 3; a shallower one is unknown."""
BARE = 0.012
"""Depth of a uniform margin below which there is none."""
TONE = 10
"""Grey levels within which a strip is uniform."""
UNIFORM, STRAIGHT, LIKELY, BRIGHT_LIKELY = 0.95, 0.75, 0.75, 0.6
BRIGHT = 190
"""Grey value of a strip from which it is no air."""


def noise_grade(film: Film) -> int:
    """Grade of the noise that a film shows, whatever it comes from."""
    return (NONE, UNKNOWN, 1, 2, 3)[bisect(NOISE, relative_noise(film))]


def relative_noise(film: Film) -> float:
    """Noise over local contrast; the noise is the geometric mean of those in the working view and at full resolution.

    The judge's own, because its labels must stay what they were when a tool learns to see better.
    """
    height, width = (side // 2 for side in film.pixels.shape)
    middle = film.pixels[max(0, height - 256) : height + 256, max(0, width - 512) : width + 512]
    deviations = _deviation(film.view1024) * _deviation(middle)
    return deviations**0.5 / max(local_contrast(film) or 0.0, 0.5)


def _deviation(film: Grey) -> float:
    """Robust deviation of a pixel's noise, from the median magnitude of the finest diagonal detail."""
    a, b, c, d = (film[row : film.shape[0] // 2 * 2 : 4, column : film.shape[1] // 2 * 2 : 2].astype(np.int16)
                  for row in (0, 1) for column in (0, 1))  # fmt: skip
    detail = np.abs(a - b - c + d)[(a >= 3) & (a <= 252)]
    if not detail.size:
        return 0.0
    half = np.bincount(detail).cumsum()
    level = int(np.searchsorted(half, half[-1] / 2))
    below = half[level - 1] if level else 0
    return max(level - 0.5 + (half[-1] / 2 - below) / (half[level] - below), 0.0) / 2 / OF_NORMAL


def contrast_grade(grey: Grey) -> int:
    """Grade of flat contrast in the presentation domain."""
    return (3, 2, 1, UNKNOWN, NONE)[bisect(FLAT, grey_range(grey))]


class Cut(NamedTuple):
    """Parts of a film's height or width that are cut off its sides."""

    top: float
    right: float
    bottom: float
    left: float


class Outside(NamedTuple):
    """What lies outside the field along one side of a film, as depths in fractions of that side."""

    blade: float
    """Of a shutter blade; none where it is not above 0."""
    doubt: float
    """Of what may be one."""


def outsides(film: Film) -> list[Outside]:
    """What lies outside the field at the top, right, bottom and left of a film.

    A blade is an edge that the field finder sees and whose outside is one tone, all the way to the edge of the film.
    An edge with something else outside is the patient's, and the air beside a child is the usual one; nearly uniform
    outsides and uniform margins without an edge leave it open.
    """
    return [_outside(np.rot90(film.view256, side), depth) for side, depth in enumerate(film.field.depths)]


def _outside(turned: Grey, depth: float) -> Outside:
    """What lies outside at the top, where the field begins at `depth`."""
    margin = _margin(turned)
    strip = turned[: max(2, round(0.8 * depth * len(turned)))]
    tone = float(np.median(strip))
    uniform = float((cv2.absdiff(np.ascontiguousarray(strip), np.full(strip.shape, tone, np.uint8)) <= TONE).mean())
    blade = depth > 0 and (margin >= STRAIGHT * depth or (tone >= BRIGHT and uniform >= BRIGHT_LIKELY))
    return Outside(depth if blade else 0.0, max(margin, depth if uniform >= LIKELY else 0.0))


def cut_outsides(sides: Sequence[Outside], cut: Cut) -> list[Outside]:
    """What still lies outside the field once `cut` of each side is gone."""
    left = (1 - cut.top - cut.bottom, 1 - cut.left - cut.right) * 2
    return [
        Outside(*((depth - part) / rest for depth in side)) for side, part, rest in zip(sides, cut, left, strict=True)
    ]


def shutter_grade(sides: Sequence[Outside]) -> int:
    """Grade of the deepest blade; unknown where it is shallow, or where something else may be a blade."""
    deepest = max(side.blade for side in sides)
    if deepest >= BLADE[0]:
        return bisect(BLADE, deepest)
    return UNKNOWN if max(deepest, *(side.doubt for side in sides)) >= BARE else NONE


def _margin(turned: Grey) -> float:
    """Depth of the rows at the top that are uniform each, as a fraction of the height."""
    rows = turned[: len(turned) // 3].astype(np.int16)
    alike = np.abs(rows - np.median(rows, axis=1, keepdims=True)) <= TONE
    other = np.flatnonzero(alike.mean(1) < UNIFORM)
    return float(other[0] if len(other) else len(rows)) / len(turned)
