"""LRRG-C: spoil a film in a known way and degree, the same way on every machine and run."""

import hashlib
from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from . import physics
from .ladder import Ladder, LadderError, read_ladder
from .physics import Grey, scaled

Model = Callable[[Grey, float, np.random.Generator], Grey]
ROUTINE_DOSE = 2.5
"""Detector air kerma of a routine chest film, microgray."""
_NOTES = (
    "SUPINE", "PORTABLE", "AP ERECT", "SITTING", "R", "L", "14:32", "06:05", "EXAM 2", "REPEAT", "110 kVp", "3.2 mAs",
    "SID 180", "BED 7", "PRELIMINARY", "NO GRID",
)  # fmt: skip


def degrade(grey: Grey, defect: str, severity: int, *, key: str, ladder: Ladder | None = None) -> Grey:
    """Spoil a film with one defect.

    Args:
        grey: uint8, shape (H, W), air dark.
        defect: a name of the ladder (`quantum_noise`, `defocus`, …).
        severity: 1 (just visible) to 5; without effect on `inversion` and the quarter turns.
        key: identifies the film. Equal keys draw equal blades, angles and texts at every severity, so that a
            severity curve differs in the severity alone.
        ladder: parameters by severity; the shipped ladder by default.

    Returns:
        uint8, shape (H, W); smaller for `cut_off`, (W, H) for `rotation_90`. The input is left as it was.

    Raises:
        LadderError: no such defect or severity, or a defect of the ladder that no model here draws.
    """
    row = (ladder or read_ladder())[defect]
    return apply(grey, defect, row.value(severity), key=key)


def apply(grey: Grey, defect: str, value: float, *, key: str) -> Grey:
    """Spoil a film with one defect at any `value` of its parameter; otherwise as `degrade`."""
    if defect not in MODELS:
        raise LadderError(f"no model draws the defect {defect!r}; it is one of {', '.join(MODELS)}")
    seed = int.from_bytes(hashlib.sha256(f"lrrg-c\0{key}\0{defect}".encode()).digest()[:16], "big")
    return MODELS[defect](np.ascontiguousarray(grey), value, np.random.Generator(np.random.PCG64(seed)))


def _quantum_noise(grey: Grey, dose: float, rng: np.random.Generator) -> Grey:
    """The dose of a detector is what arrives behind the patient: the mean of the film, not the unattenuated beam."""
    return physics.add_quantum_noise(grey, physics.photons(dose, grey) / physics.transmitted(grey), rng)


def _electronic_noise(grey: Grey, deviation: float, rng: np.random.Generator) -> Grey:
    """Read-out noise on a film of routine dose, without its quantum noise: the film brings that along.

    Pixels of a smaller film bin several detector pixels, whose noise adds in quadrature.
    """
    binned = deviation * physics.REFERENCE_SIDE / max(grey.shape)
    return physics.add_electronic_noise(grey, physics.photons(ROUTINE_DOSE, grey), binned, rng)


def _defocus(grey: Grey, sigma: float, rng: np.random.Generator) -> Grey:
    blurred = physics.defocus(physics.intensity(grey), scaled(sigma, grey))
    return physics.show_blurred(blurred, grey)


def _motion(grey: Grey, path: float, rng: np.random.Generator) -> Grey:
    angle = np.radians(rng.uniform(-15, 15))
    blurred = physics.move(physics.intensity(grey), scaled(path, grey), angle)
    return physics.show_blurred(blurred, grey)


def _under_exposure(grey: Grey, shift: float, _: np.random.Generator) -> Grey:
    return _curve(grey, np.arange(256) + shift)


def _over_exposure(grey: Grey, shift: float, _: np.random.Generator) -> Grey:
    return _curve(grey, np.arange(256) - shift)


def _low_contrast(grey: Grey, contrast: float, _: np.random.Generator) -> Grey:
    height, width = grey.shape
    middle = float(grey[height // 4 : height - height // 4, width // 4 : width - width // 4].mean())
    return _curve(grey, middle + contrast * (np.arange(256) - middle))


def _curve(grey: Grey, values: NDArray[np.floating]) -> Grey:
    return np.asarray(cv2.LUT(grey, np.clip(np.round(values), 0, 255).astype(np.uint8)), np.uint8)


def _scatter(grey: Grey, ratio: float, _: np.random.Generator) -> Grey:
    return physics.display(physics.veil(physics.intensity(grey), ratio))


def _shutter(grey: Grey, depth: float, rng: np.random.Generator) -> Grey:
    """Fill the outside of 1 to 4 blades; each is a half-plane whose edge turns about the middle of its side."""
    sides = rng.permutation(4)[: rng.integers(1, 5)]
    angles = np.radians(rng.uniform(-2, 2, size=4))
    tone = 255 if rng.random() < 0.5 else 0
    shut = grey.copy()
    for side in sides:
        cv2.fillPoly(shut, [_blade(grey.shape, int(side), depth, float(np.tan(angles[side])))], tone)
    return shut


def _blade(shape: tuple[int, ...], side: int, depth: float, slope: float) -> NDArray[np.int32]:
    """Corners (x, y) of the region behind a blade: int32, shape (4, 2). Sides: 0 top, 1 bottom, 2 left, 3 right."""
    height, width = shape
    along, across = (width, height) if side < 2 else (height, width)
    inner = [depth * across - slope * along / 2, depth * across + slope * along / 2]
    outline = np.array([[0, -across], [along, -across], [along, inner[1]], [0, inner[0]]])
    if side in (1, 3):
        outline[:, 1] = across - 1 - outline[:, 1]
    return np.round(outline if side < 2 else outline[:, ::-1]).astype(np.int32)


def _cut_off(grey: Grey, lost: float, rng: np.random.Generator) -> Grey:
    height, width = grey.shape
    side = int(rng.integers(4))
    rows, columns = round(lost * height), round(lost * width)
    parts = (grey[rows:], grey[: height - rows], grey[:, columns:], grey[:, : width - columns])
    return parts[side].copy()


def _tilt(grey: Grey, angle: float, rng: np.random.Generator) -> Grey:
    """Turn about the centre; what was outside the film is black, and cubic interpolation keeps the noise."""
    height, width = grey.shape
    signed = angle if rng.random() < 0.5 else -angle
    turn = cv2.getRotationMatrix2D((width / 2 - 0.5, height / 2 - 0.5), signed, 1.0)
    return np.asarray(cv2.warpAffine(grey, turn, (width, height), flags=cv2.INTER_CUBIC), np.uint8)


def _jpeg(grey: Grey, quality: float, _: np.random.Generator) -> Grey:
    stream = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, round(quality)])[1]
    return np.asarray(cv2.imdecode(stream, cv2.IMREAD_GRAYSCALE), np.uint8)


def _grid_lines(grey: Grey, amplitude: float, rng: np.random.Generator) -> Grey:
    """A sinusoid in density, which is a modulation of the intensity."""
    height, width = grey.shape
    frequency, lean = 1 / rng.uniform(3, 7), np.radians(rng.uniform(-1, 1))
    steps = np.round(65536 * frequency * np.array([np.cos(lean), np.sin(lean)])).astype(np.int64)
    along_y, along_x = steps if rng.random() < 0.5 else steps[::-1]
    phase = _phase(along_y, height)[:, None] + _phase(along_x, width)
    wave = np.round(amplitude * np.sin(np.arange(256) * (2 * np.pi / 256))).astype(np.int16)
    return np.asarray(cv2.add(grey, np.take(wave, phase >> 8), dtype=cv2.CV_8U), np.uint8)


def _phase(step: int, length: int) -> NDArray[np.uint16]:
    """Phase of a wave in 1/65536 of a turn; the overflow of whole numbers closes the turn exactly."""
    return (step * np.arange(length) % 65536).astype(np.uint16)


def _overlay_text(grey: Grey, lines: float, rng: np.random.Generator) -> Grey:
    """Write annotations as an acquisition console does: near the corners and borders, white or black."""
    height, width = grey.shape
    marked = grey.copy()
    for _line in range(round(lines)):
        text = _NOTES[rng.integers(len(_NOTES))]
        size = max(0.35, scaled(rng.uniform(1.6, 3.0), grey))
        x, y = rng.uniform(0.02, 0.8), rng.uniform(0.03, 0.22)
        y = y if rng.random() < 0.5 else 1 - y
        tone = 255 if rng.random() < 0.8 else 0
        place = (round(x * width), round(y * height))
        cv2.putText(marked, text, place, cv2.FONT_HERSHEY_SIMPLEX, size, tone, max(1, round(2 * size)), cv2.LINE_AA)
    return marked


def _low_resolution(grey: Grey, reduction: float, _: np.random.Generator) -> Grey:
    height, width = grey.shape
    size = (max(1, round(width / reduction)), max(1, round(height / reduction)))
    small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _inversion(grey: Grey, _: float, __: np.random.Generator) -> Grey:
    return 255 - grey


def _rotation_90(grey: Grey, _: float, rng: np.random.Generator) -> Grey:
    return np.ascontiguousarray(np.rot90(grey, 1 if rng.random() < 0.5 else 3))


def _rotation_180(grey: Grey, _: float, __: np.random.Generator) -> Grey:
    return np.ascontiguousarray(grey[::-1, ::-1])


MODELS: dict[str, Model] = {
    "quantum_noise": _quantum_noise,
    "electronic_noise": _electronic_noise,
    "defocus": _defocus,
    "motion": _motion,
    "under_exposure": _under_exposure,
    "over_exposure": _over_exposure,
    "low_contrast": _low_contrast,
    "scatter": _scatter,
    "shutter": _shutter,
    "cut_off": _cut_off,
    "tilt": _tilt,
    "jpeg": _jpeg,
    "grid_lines": _grid_lines,
    "overlay_text": _overlay_text,
    "low_resolution": _low_resolution,
    "inversion": _inversion,
    "rotation_90": _rotation_90,
    "rotation_180": _rotation_180,
}
