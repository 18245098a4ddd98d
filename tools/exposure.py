"""Exposure: what too few or too many photons, and a poor choice of window, leave in the grey values.

Histogram equalisation spreads grey values evenly whatever they were, so percentiles, range and their kin exist for
linear and presentation films only; what survives is saturation, which shows as clipped and flat areas.
"""

import math

import cv2
import numpy as np

from .base import tool
from .film import Domain, Film, Grey
from .histogram import Counts, between, counts, deviations, quantile

UNEQUALISED: tuple[Domain, ...] = ("linear", "presentation")
EQUALISED: tuple[Domain, ...] = ("equalised",)
MIN_PIXELS = 256
GREY = (-0.5, 255.5)
DECIBELS = (-100.0, 100.0)
INDEX = (0.0, 1e6)
SAMPLES = 256
"""Pixels along the long side in which black is counted; averaging would hide it."""
BLACK = 2
LEVEL = 3
"""Grey levels over which compression spreads what was one."""
NEAR_BLACK = 60
STRIP = 0.9
"""Share of black from which a whole row or column is a shutter or a margin."""
LEAST = 1e-3
"""Share of the film that is too little to tell."""
IN_THE_MIDDLE = 0.4
"""Weight of black in the middle of the film, where the body is, against black anywhere."""
DARKEST = 0.05
"""Share of what is not black, the darkest, whose texture is looked at."""
TEXTURE = 9
"""Pixels of `view512` across which texture is told from shading."""
HALVES = 2
"""Histogram bins a grey level of deviation."""
SMOOTH = 0.5
"""Grey levels of texture that rounding leaves on a smooth area."""


@tool(version=1, unit="fraction", better="lower", bounds=(0.0, 1.0))
def clipped_high(film: Film) -> float | None:
    """Share of the field at the white end (grey 253 and above): under-exposure."""
    return _share(film, slice(253, 256))


@tool(version=1, unit="fraction", better="lower", bounds=(0.0, 1.0))
def clipped_low(film: Film) -> float | None:
    """Share of the field at the black end (grey 2 and below): over-exposure."""
    return _share(film, slice(0, 3))


@tool(version=3, unit="1", better="lower", bounds=(-20.0, 20.0), domains=EQUALISED)
def black_pile(film: Film) -> float | None:
    """Logarithm of how far black stands out of an equalised film's grey values: over-exposure.

    Over-exposure merges many grey levels into one black, and equalisation cannot part them again: the pile at black is
    then far heavier than any other level near it, whereas air that was merely dark has heavy levels beside it. Smooth
    air that is left as the darkest of what is not black excuses the pile: over-exposure would have taken it. Black in
    the middle of the film counts more. Rows and columns that are black from end to end are left out. Films without
    dark parts lose nothing by moderate over-exposure, and films exported with a clipped black have a pile already.
    """
    step = max(1, max(film.pixels.shape) // SAMPLES)
    sample = _without_black_strips(np.ascontiguousarray(film.pixels[::step, ::step]))
    if sample.size < MIN_PIXELS:
        return None
    share = counts(sample) / sample.size
    others = np.convolve(share[BLACK + 1 : NEAR_BLACK], np.ones(LEVEL), "valid").max()
    stands_out = np.log((share[: BLACK + 1].sum() + LEAST) / (others + LEAST))
    height, width = film.view512.shape
    middle = film.view512[height // 5 : height - height // 5, width // 5 : width - width // 5]
    burnt = np.count_nonzero(middle <= BLACK) / max(middle.size, 1)
    excuse = min(_darkest_texture(film.view512), 0.0)
    return float(stands_out + IN_THE_MIDDLE * np.log1p(burnt / LEAST) + excuse)


@tool(version=1, unit="fraction", better="lower", bounds=(0.0, 1.0))
def plateau_high(film: Film) -> float | None:
    """Share of the field that is bright and flat: saturation that equalisation cannot hide."""
    return _plateau(film, 128, 255)


@tool(version=1, unit="fraction", better="lower", bounds=(0.0, 1.0))
def plateau_low(film: Film) -> float | None:
    """Share of the field that is dark and flat: saturation that equalisation cannot hide."""
    return _plateau(film, 0, 127)


@tool(version=1, unit="grey level", better="neither", bounds=GREY, domains=UNEQUALISED)
def p01(film: Film) -> float | None:
    """1st percentile of the grey values in the field."""
    return _quantile(film, 0.01)


@tool(version=1, unit="grey level", better="neither", bounds=GREY, domains=UNEQUALISED)
def p50(film: Film) -> float | None:
    """Median of the grey values in the field."""
    return _quantile(film, 0.50)


@tool(version=1, unit="grey level", better="neither", bounds=GREY, domains=UNEQUALISED)
def p99(film: Film) -> float | None:
    """99th percentile of the grey values in the field."""
    return _quantile(film, 0.99)


@tool(version=1, unit="grey level", better="neither", bounds=GREY, domains=UNEQUALISED)
def midpoint(film: Film) -> float:
    """Middle between the film's own black and white; under-exposure raises it, over-exposure lowers it.

    Over the whole film, shutters included: the black of unattenuated beam and of shutters is its fixed point.
    """
    low, high = film.once(_ends)
    return (low + high) / 2


@tool(version=1, unit="grey levels", better="higher", bounds=(0.0, 256.0), domains=UNEQUALISED)
def grey_range(film: Film) -> float:
    """Grey levels between the film's own black and white; low contrast shrinks it. Over the whole film."""
    low, high = film.once(_ends)
    return high - low


@tool(version=1, unit="bit", better="higher", bounds=(0.0, 8.0))
def entropy(film: Film) -> float | None:
    """Shannon entropy of the grey values in the field; saturation and low contrast lower it."""
    found = film.once(_grey_counts)
    if found is None:
        return None
    share = found[found > 0] / found.sum()
    return float(-(share * np.log2(share)).sum())


@tool(version=1, unit="grey levels", better="higher", bounds=(0.0, 128.0))
def local_contrast(film: Film) -> float | None:
    """Median standard deviation of the anatomy in windows of 6 % of the long side."""
    return film.once(_local_contrast)


@tool(version=2, unit="dB", better="neither", bounds=DECIBELS, domains=UNEQUALISED)
def deviation_index(film: Film) -> float | None:
    """Deviation index of the DICOM header; 0 is on target, +3 twice the dose, -3 half of it.

    Absent where the header holds what no exposure can have.

    Source:
        IEC 62494-1:2008.
    """
    return _tag(film, "DeviationIndex", DECIBELS)


@tool(version=2, unit="1", better="neither", bounds=INDEX, domains=UNEQUALISED)
def exposure_index(film: Film) -> float | None:
    """Exposure index of the DICOM header, proportional to the detector dose.

    Absent where the header holds what no exposure can have.

    Source:
        IEC 62494-1:2008.
    """
    return _tag(film, "ExposureIndex", INDEX)


def flat(film: Film) -> Grey:
    """Mask of what the plateau measures count: uint8 at the shape of `view512`, 255 in flat patches of the field.

    Flat are patches of 5 x 5 px that span at most one grey level: noise keeps true anatomy from being that.
    """
    view, patch = film.view512, np.ones((5, 5), np.uint8)
    spread = cv2.subtract(cv2.dilate(view, patch), cv2.erode(view, patch))
    return between(spread, 0, 1) & film.inside(view.shape)


def _tag(film: Film, keyword: str, bounds: tuple[float, float]) -> float | None:
    """A tag's value where it is plausible: devices write what they like."""
    value = film.tags.get(keyword)
    return value if value is not None and bounds[0] <= value <= bounds[1] else None


def _without_black_strips(sample: Grey) -> Grey:
    """The film less the rows, then the columns, that are nearly all black."""
    rows = sample[cv2.reduce(between(sample, 0, BLACK), 1, cv2.REDUCE_AVG).ravel() < 255 * STRIP]
    if not rows.size:
        return rows
    return rows[:, cv2.reduce(between(rows, 0, BLACK), 0, cv2.REDUCE_AVG).ravel() < 255 * STRIP]


def _darkest_texture(view: Grey) -> float:
    """Logarithm of the texture where the film is darkest without being black, against that of all that is not black.

    Texture is the median departure from the local mean; against the film's own, noise cancels out.
    """
    found = counts(view)
    found[: BLACK + 1] = 0
    if found.sum() < MIN_PIXELS:
        return 0.0
    visible = between(view, BLACK + 1, 255)
    darkest = between(view, BLACK + 1, math.ceil(quantile(found, DARKEST)))
    departure = np.asarray(cv2.absdiff(view, cv2.blur(view, (TEXTURE, TEXTURE))), np.uint8)
    there, all_over = (max(quantile(counts(departure, mask), 0.5), 0.0) for mask in (darkest, visible))
    return math.log((there + SMOOTH) / (all_over + SMOOTH))


def _grey_counts(film: Film) -> Counts | None:
    """Counts in the field at every second pixel of every second row; averaging would hide clipped pixels."""
    inside = film.inside(film.view512.shape)
    height, width = inside.shape
    found = counts(np.ascontiguousarray(film.view1024[: 2 * height : 2, : 2 * width : 2]), inside)
    return found if found.sum() >= MIN_PIXELS else None


def _ends(film: Film) -> tuple[float, float]:
    """1st and 99th percentile of the whole film at 256 px, where noise is averaged out."""
    found = counts(film.view256)
    return quantile(found, 0.01), quantile(found, 0.99)


def _share(film: Film, levels: slice) -> float | None:
    found = film.once(_grey_counts)
    return None if found is None else float(found[levels].sum() / found.sum())


def _quantile(film: Film, fraction: float) -> float | None:
    found = film.once(_smooth_counts)
    return None if found is None else quantile(found, fraction)


def _smooth_counts(film: Film) -> Counts | None:
    """Counts in the field where noise is averaged out."""
    found = counts(film.view256, film.inside(film.view256.shape))
    return found if found.sum() >= MIN_PIXELS else None


def _plateau(film: Film, lowest: int, highest: int) -> float | None:
    """Share of the field in flat patches whose grey value lies in [lowest, highest]."""
    found = film.once(_flat_counts)
    if found is None:
        return None
    levels, total = found
    return float(levels[lowest : highest + 1].sum() / total)


def _flat_counts(film: Film) -> tuple[Counts, float] | None:
    """Grey values of the flat patches, and the field's size."""
    total = float(np.count_nonzero(film.inside(film.view512.shape)))
    return (counts(film.view512, flat(film)), total) if total >= MIN_PIXELS else None


def _local_contrast(film: Film) -> float | None:
    view = film.view256
    inside = film.inside(view.shape)
    if np.count_nonzero(inside) < MIN_PIXELS:
        return None
    return quantile(counts(deviations(view, 15, HALVES), inside), 0.5) / HALVES
