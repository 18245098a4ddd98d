"""Other exports of a film: what another vendor, archive or console would have made of the same patient.

A judge that saw the films of a few hospitals takes their processing for quality. So before a film is spoiled, its
margins, proportions, native scale, dose, balance of broad and fine structures, tone curve, edge enhancement and
compression are drawn anew. Its noise and contrast are measured after that, its blades before (`views.exported`).
"""

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ....benchmark.degrade import apply
from ....tools.film import Grey
from .own import Cut
from .spoil import SPREAD, central, shown, value

SCALES = (512, 1024)
"""Long sides of the exports that training imitates."""
TRIM = 0.08
STRETCH = 0.05
GAMMA = 0.4
"""Bound of the logarithm of the exponent of a tone curve."""
BENDS = 5
BENT = 0.35
"""Deviation of the logarithm of the slope of each piece of a tone curve."""
BLACKEST, WHITEST = 24, 231
RADII = (1.0, 30.0)
"""Pixels over which edges are enhanced, in a film of 1024: from sharpening to the balance of lungs and mediastinum."""
ENHANCED = (0.15, 0.7)
BROAD = (20.0, 120.0)
"""Pixels, in a film of 1024, over which structures are broad."""
FLATTENED = (0.2, 0.75)
"""Part of the broad structures that a console takes away."""
ENDS = (0.5, 99.5)
"""Percentiles of the central field's grey that stay where they were."""
SOFTNESS = (0.25, 0.45)
"""Sigmas, in pixels, of a blur that nobody sees."""
QUALITY = (85, 98)
"""Of a compression that nobody sees."""
WAYS = (cv2.INTER_AREA, cv2.INTER_AREA, cv2.INTER_LINEAR, cv2.INTER_CUBIC)


class Varied(NamedTuple):
    """A film made into another export, and whether that was of a smaller dose."""

    grey: Grey
    grainy: bool


def draw_cut(rng: np.random.Generator) -> Cut:
    """How much another export leaves out of each side: nothing in half of them."""
    top, bottom, left, right = rng.uniform(0, TRIM, 4) if rng.random() < 0.5 else np.zeros(4)
    return Cut(top, right, bottom, left)


def trimmed(grey: Grey, cut: Cut) -> Grey:
    """The film without what is cut off its sides."""
    height, width = grey.shape
    rows = slice(round(cut.top * height), round((1 - cut.bottom) * height))
    return grey[rows, round(cut.left * width) : round((1 - cut.right) * width)]


def vary(grey: Grey, rng: np.random.Generator) -> Varied:
    """Another export of a film that was cut, never enlarged; what a reader said of it holds for this one too."""
    grey = _rescaled(grey, rng)
    if rng.random() < 0.5:
        grey = grey[:, ::-1]
    grey = np.ascontiguousarray(grey)
    if rng.random() < 0.3:
        grey = _softened(grey, rng)
    if smaller_dose := rng.random() < 0.35:
        grey = grainy(grey, rng)
    if rng.random() < 0.5:
        grey = balanced(grey, rng)
    if rng.random() < 0.65:
        grey = np.asarray(cv2.LUT(grey, tone_curve(rng)), np.uint8)
    if rng.random() < 0.4:
        grey = _enhanced(grey, rng)
    return Varied(_compressed(grey, rng) if rng.random() < 0.25 else grey, smaller_dose)


def _rescaled(grey: Grey, rng: np.random.Generator) -> Grey:
    scale = min(1.0, rng.uniform(*SCALES) / max(grey.shape)) if rng.random() < 0.65 else 1.0
    height, width = (max(1, round(side * scale * rng.uniform(1 - STRETCH, 1))) for side in grey.shape)
    way = WAYS[rng.integers(len(WAYS))] if scale > 0.5 else cv2.INTER_AREA
    return np.asarray(cv2.resize(grey, (width, height), interpolation=way), np.uint8)


def _softened(grey: Grey, rng: np.random.Generator) -> Grey:
    return np.asarray(cv2.GaussianBlur(grey, (5, 5), rng.uniform(*SOFTNESS)), np.uint8)


def tone_curve(rng: np.random.Generator) -> NDArray[np.uint8]:
    """A rising curve of few bends, uint8, shape (256,), whose ends may leave black and white unused."""
    slopes = np.exp(rng.normal(0, BENT, BENDS))
    rise = np.concatenate([[0.0], np.cumsum(slopes)]) / np.sum(slopes)
    shade = (np.arange(256) / 255) ** np.exp(rng.uniform(-GAMMA, GAMMA))
    low, high = (rng.uniform(0, BLACKEST), rng.uniform(WHITEST, 255)) if rng.random() < 0.4 else (0, 255)
    return np.round(low + (high - low) * np.interp(shade, np.linspace(0, 1, BENDS + 1), rise)).astype(np.uint8)


def _enhanced(grey: Grey, rng: np.random.Generator) -> Grey:
    """Unsharp masking; twice a box is near enough to a Gaussian."""
    radius = float(np.exp(rng.uniform(*np.log(RADII)))) * max(grey.shape) / 1024
    side = 2 * round(radius) + 1
    soft = cv2.blur(cv2.blur(grey, (side, side)), (side, side))
    amount = rng.uniform(*ENHANCED)
    return np.asarray(cv2.addWeighted(grey, 1 + amount, soft, -amount, 0), np.uint8)


def grainy(grey: Grey, rng: np.random.Generator) -> Grey:
    """The film of a smaller dose; how noisy it is, is measured afterwards."""
    dose = value("quantum_noise", int(rng.integers(1, 4)), rng, SPREAD)
    return apply(grey, "quantum_noise", shown(grey, "quantum_noise", dose), key=str(rng.integers(1 << 62)))


def balanced(grey: Grey, rng: np.random.Generator) -> Grey:
    """Broad structures flattened and all others brought up to the old range, as multi-scale processing does.

    A judge that saw none of it takes the films of consoles that do it for wrongly exposed ones.

    Source:
        Vuylsteke and Schoeters, Multiscale image contrast amplification, Proc. SPIE 2167, 1994.
    """
    radius = float(np.exp(rng.uniform(*np.log(BROAD)))) * max(grey.shape) / 1024
    height, width = grey.shape
    side = 2 * round(radius / 4) + 1
    small = cv2.resize(grey, (-(-width // 4), -(-height // 4)), interpolation=cv2.INTER_AREA)
    broad = cv2.resize(cv2.blur(cv2.blur(small, (side, side)), (side, side)), (width, height))
    left = grey - np.float32(rng.uniform(*FLATTENED)) * broad
    low, high = np.percentile(central(grey), ENDS)
    lowest, highest = np.percentile(central(left), ENDS)
    factor = (high - low) / max(highest - lowest, 1.0)
    return np.asarray(np.clip(np.round((left - lowest) * factor + low), 0, 255), np.uint8)


def _compressed(grey: Grey, rng: np.random.Generator) -> Grey:
    stream = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*QUALITY))])[1]
    return np.asarray(cv2.imdecode(stream, cv2.IMREAD_GRAYSCALE), np.uint8)
