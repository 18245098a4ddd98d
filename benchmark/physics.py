"""How a flat detector turns X-rays into grey: the display model, quantum and electronic noise, blur before the noise.

Grey value g (air dark) stands for p = g / 255 = -ln(I / I0) / ln 100: the film shows a latitude of 100:1, so each
grey value has an intensity, each intensity a number of photons, and noise and blur act where they arise. Lengths are
given on a film of 3056 px and scale with the long side.
"""

from functools import lru_cache
from math import log
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
Intensity = NDArray[np.uint16]
_Whole = TypeVar("_Whole", bound=np.integer)

LATITUDE = log(100.0)
REFERENCE_SIDE = 3056
PITCH_MM = 0.139
"""Pixel pitch of a film of `REFERENCE_SIDE`."""
FLUENCE = 30174.0
"""Photons a square millimetre and microgray at beam quality RQA5 (IEC 62220-1)."""
EFFICIENCY = 0.6
"""Share of the photons that count, as detective quantum efficiency."""
_DRAW_BITS = 12
_BOXES_FROM = 5.0
_GRAIN_SIGMA = 1.2
_EDGE = 2.5
_ROUNDING = 1 / 12
"""Variance of rounding to whole numbers."""
_BAND = 16
_FEWEST = 48
_LOWER_MEAN = 0.5149
"""Mean of the lower three quarters of |x| for a normal variable of deviation 1."""
_BLOCK = 1 << 18


def scaled(length: float, grey: NDArray[np.generic]) -> float:
    """A length on the reference film, in pixels of this film."""
    return length * max(grey.shape) / REFERENCE_SIDE


def photons(dose: float, grey: Grey) -> float:
    """Detected photons in one pixel of unattenuated beam (grey 0) at an air kerma of `dose` microgray."""
    pitch = PITCH_MM * REFERENCE_SIDE / max(grey.shape)
    return dose * FLUENCE * pitch**2 * EFFICIENCY


def transmitted(grey: Grey) -> float:
    """Mean intensity of a film relative to the unattenuated beam, in (0, 1]."""
    shares = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel() / grey.size
    return float(shares @ np.exp(-LATITUDE * np.arange(256) / 255.0))


def intensity(grey: Grey) -> Intensity:
    """Detector intensity behind each grey value: uint16, 65535 at grey 0, one hundredth of it at grey 255."""
    table = np.round(65535.0 * np.exp(-LATITUDE * np.arange(256) / 255.0)).astype(np.uint16)
    return np.asarray(cv2.LUT(grey, table), np.uint16)


def display(values: Intensity) -> Grey:
    """Grey values of detector intensities; the inverse of `intensity`, saturating at both ends."""
    return np.asarray(cv2.LUT(values, _display_table()), np.uint8)


@lru_cache(maxsize=1)
def _display_table() -> Grey:
    relative = np.maximum(np.arange(65536), 1) / 65535.0
    return np.clip(np.round(-255.0 * np.log(relative) / LATITUDE), 0, 255).astype(np.uint8)


def add_quantum_noise(grey: Grey, air: float, rng: np.random.Generator) -> Grey:
    """Add the noise of few photons to a film.

    Args:
        grey: uint8, shape (H, W), air dark.
        air: photons in a pixel of unattenuated beam; the fewer, the noisier.
        rng: supplies two bytes a pixel.
    """
    mean, z = _photons_by_grey(air), _quantiles()
    poisson = mean + np.sqrt(mean) * z + (z * z - 1) / 6  # third-order expansion of the quantile function
    return _sample(grey, _grey_of(poisson / air), rng)


def add_electronic_noise(grey: Grey, air: float, deviation: float, rng: np.random.Generator) -> Grey:
    """Add read-out noise of `deviation` photons, the same at every intensity; otherwise as `add_quantum_noise`."""
    counts = _photons_by_grey(air) + np.float32(deviation) * _quantiles()
    return _sample(grey, _grey_of(counts / air), rng)


def _photons_by_grey(air: float) -> NDArray[np.float32]:
    return (air * np.exp(-LATITUDE * np.arange(256) / 255.0)).astype(np.float32)[:, None]


def _grey_of(relative: NDArray[np.floating]) -> Grey:
    visible = np.maximum(relative, 1e-6)
    return np.clip(np.round(-255.0 * np.log(visible) / LATITUDE), 0, 255).astype(np.uint8)


def _sample(grey: Grey, quantiles: NDArray[_Whole], rng: np.random.Generator) -> NDArray[_Whole]:
    """Draw each pixel from its grey value's distribution, tabulated at 4096 quantiles: shape (256, 4096).

    One look-up a pixel is fast, and whole numbers do not depend on the order of floating-point work.
    """
    table, flat, noisy = quantiles.ravel(), grey.ravel(), np.empty(grey.size, quantiles.dtype)
    for start in range(0, flat.size, _BLOCK):
        part = flat[start : start + _BLOCK]
        draws = np.frombuffer(rng.bytes(2 * part.size), "<u2") >> (16 - _DRAW_BITS)
        index = (part.astype(np.int64) << _DRAW_BITS) | draws
        np.take(table, index, out=noisy[start : start + part.size])
    return noisy.reshape(grey.shape)


@lru_cache(maxsize=1)
def _quantiles() -> NDArray[np.float32]:
    from scipy.special import ndtri  # half a second to import, and only the noise models need it

    steps = 1 << _DRAW_BITS
    return ndtri((np.arange(steps) + 0.5) / steps).astype(np.float32)


def defocus(values: Intensity, sigma: float) -> Intensity:
    """Blur by a focal spot or a gap between patient and detector: a Gaussian of `sigma` pixels.

    Wide ones are three boxes in a row, whose cost does not grow with the width.
    """
    if sigma < _BOXES_FROM:
        return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.uint16)
    for side in _boxes(sigma):
        values = np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REPLICATE), np.uint16)
    return values


def _boxes(sigma: float) -> tuple[int, int, int]:
    """Odd sides of three boxes whose variances, (side^2 - 1) / 12 each, add up to nearly sigma^2."""
    lower = (int(np.sqrt(4 * sigma**2 + 1)) - 1) // 2 * 2 + 1
    small = round(3 - (12 * sigma**2 - 3 * (lower**2 - 1)) / (4 * lower + 4))
    sides = [lower] * small + [lower + 2] * (3 - small)
    return sides[0], sides[1], sides[2]


def move(values: Intensity, length: float, angle: float) -> Intensity:
    """Blur by motion along a line of `length` pixels, `angle` radians off the vertical.

    A box of 2^k taps is a cascade of k two-tap averages whose distances double.
    """
    steps = max(1, round(log(max(length, 2.0), 2)))
    step = length / 2**steps
    for k in range(steps):
        distance = step * 2**k
        right, down = round(distance * np.sin(angle)), max(1, round(distance * np.cos(angle)))
        values = _two_taps(values, right, down)
    return values


def _two_taps(values: Intensity, right: int, down: int) -> Intensity:
    height, width = values.shape
    sides = (down, 0, max(right, 0), max(-right, 0))
    padded = cv2.copyMakeBorder(values, *sides, cv2.BORDER_REPLICATE)
    shifted = padded[:height, max(-right, 0) : max(-right, 0) + width]
    return np.asarray(cv2.addWeighted(values, 0.5, shifted, 0.5, 0), np.uint16)


def veil(values: Intensity, ratio: float) -> Intensity:
    """Add scattered radiation, `ratio` times the primary, at unchanged mean exposure.

    Scatter spreads so widely that a sixteenth of the resolution holds it.
    """
    height, width = values.shape
    small = cv2.resize(values, (max(1, width // 16), max(1, height // 16)), interpolation=cv2.INTER_AREA)
    spread = cv2.GaussianBlur(small, (0, 0), 0.08 * max(small.shape), borderType=cv2.BORDER_REFLECT)
    scatter = cv2.resize(spread, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.addWeighted(values, 1 / (1 + ratio), scatter, ratio / (1 + ratio), 0), np.uint16)


def show_blurred(values: Intensity, original: Grey) -> Grey:
    """Grey values of a blurred signal under the grain of the original film.

    Motion and focal blur act before the detector's noise; a blurred film without its noise would be a denoised film.
    The grain is the original's own, so that its spectrum survives whatever is done to the film afterwards: finest
    detail with the edges cut down, moved to the mirrored place, where it fits no structure, and as strong at each
    grey value as what the blur took away.
    """
    fine = np.asarray(cv2.LUT(values, _fine_table()), np.float32)
    blurred = np.asarray(cv2.convertScaleAbs(fine), np.uint8)
    grain = original - cv2.GaussianBlur(original.astype(np.float32), (0, 0), _GRAIN_SIGMA)
    variance = _variance_by_grey(_diagonal(grain), original)
    grain /= cv2.LUT(original, np.sqrt(np.maximum(variance, _ROUNDING)).astype(np.float32))
    grain = np.clip(grain, -_EDGE, _EDGE)[:, ::-1]
    target, base = (_variance_by_grey(_diagonal(film), blurred) for film in (original, fine))
    strength = np.sqrt(np.maximum(target - base, 0))
    shown = _under_grain(fine, blurred, grain, strength)
    gained = _variance_by_grey(_diagonal(shown), blurred) - base  # rounding and cut edges took a part
    strength *= np.sqrt(np.clip((target - base) / np.maximum(gained, _ROUNDING), 0.25, 4))
    return _under_grain(fine, blurred, grain, strength)


def _under_grain(
    fine: NDArray[np.float32], blurred: Grey, grain: NDArray[np.float32], strength: NDArray[np.floating]
) -> Grey:
    noise = grain * cv2.LUT(blurred, strength.astype(np.float32))
    return np.asarray(cv2.convertScaleAbs(np.maximum(fine + noise, 0)), np.uint8)


@lru_cache(maxsize=1)
def _fine_table() -> NDArray[np.float32]:
    relative = np.maximum(np.arange(65536), 1) / 65535.0
    return np.clip(-255.0 * np.log(relative) / LATITUDE, 0, 255).astype(np.float32)


def _variance_by_grey(detail: NDArray[np.floating], grey: Grey) -> NDArray[np.float64]:
    """Robust variance of `detail`, from `_diagonal`, at each grey value of its film: float, shape (256,)."""
    bands = grey[: detail.shape[0] * 8 : 8, : detail.shape[1] * 8 : 8] // _BAND
    found = [band for band in range(256 // _BAND) if np.count_nonzero(bands == band) >= _FEWEST]
    if not found:
        return np.zeros(256)
    variances = [_deviation(detail[bands == band]) ** 2 for band in found]
    return np.interp(np.arange(256), (np.array(found) + 0.5) * _BAND, variances)


def _diagonal(film: NDArray[np.generic]) -> NDArray[np.float64]:
    """Haar diagonal detail of every fourth 2 x 2 block in each direction; its deviation is the noise's."""
    height, width = (side // 8 * 8 for side in film.shape)
    field = film[:height, :width]
    a, b, c, d = (field[row::8, column::8].astype(np.float64) for row in (0, 1) for column in (0, 1))
    return (a - b - c + d) / 2


def _deviation(detail: NDArray[np.floating]) -> float:
    """Robust standard deviation: mean of the lower three quarters of the magnitudes, as of a normal variable.

    Deaf to edges, and finer than a median of whole numbers.
    """
    kept = max(1, 3 * detail.size // 4)
    return float(np.partition(np.abs(detail), kept - 1)[:kept].mean()) / _LOWER_MEAN
