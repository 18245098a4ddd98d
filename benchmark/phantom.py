"""Synthetic frontal chest radiographs: known anatomy, known findings, known exposure. Nobody's body was imaged."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from . import phantom_anatomy as body_parts
from . import phantom_findings as pathology
from .phantom_anatomy import LEFT, RIGHT, Anatomy
from .phantom_canvas import HEIGHT_CM, WIDTH_CM, Canvas, Plane
from .phantom_findings import Finding
from .physics import EFFICIENCY, FLUENCE

View = Literal["PA", "AP"]
AIR_DOSE = 25.0
"""Air kerma at the detector beside the patient, microgray; behind the lungs about a fifth of it arrives."""
SCATTER = np.float32(0.018)
"""Scattered radiation behind the patient that the grid lets through, relative to the unattenuated beam."""
LATITUDE = 4.1
"""Largest attenuation the stored values resolve, in natural logarithms."""
MTF_SIGMA_CM = 0.011
"""Deviation of the detector's Gaussian point spread."""


@dataclass(frozen=True, eq=False)
class Phantom:
    """A synthetic film and what it shows.

    Attributes:
        stored: uint16, shape (H, W), 0 … 4095: log-converted detector values, air dark.
        findings: what a report on it should name; empty for a normal film.
        anatomy: the person.
    """

    stored: NDArray[np.uint16]
    findings: frozenset[Finding]
    anatomy: Anatomy
    view: View


def phantom(
    seed: int,
    *,
    height: int = 3056,
    view: View = "PA",
    findings: Collection[Finding] = (),
    person: int | None = None,
    dose: float = AIR_DOSE,
) -> Phantom:
    """Draw a chest radiograph.

    Args:
        seed: of the noise, the texture and the places of the findings; equal arguments give equal films.
        height: rows; the width follows from the film's 42.5 cm x 35.4 cm.
        view: `AP` films are portable ones: wider heart, more scapula, less inspiration.
        findings: what to put in.
        person: seed of the anatomy, so that one person can have several films; `seed` by default.
        dose: air kerma at the detector beside the patient, microgray.
    """
    canvas = Canvas(height, round(height * WIDTH_CM / HEIGHT_CM))
    rng = np.random.default_rng([seed, height])
    wanted = frozenset(findings)
    who = np.random.default_rng([seed if person is None else person, 1])
    anatomy = Anatomy.draw(who, portable=view == "AP", cardiomegaly="cardiomegaly" in wanted)
    attenuation = _attenuation(canvas, anatomy, wanted, rng, np.random.default_rng([seed, 2]))
    return Phantom(_expose(canvas, attenuation, dose, rng), wanted, anatomy, view)


def _attenuation(
    canvas: Canvas,
    anatomy: Anatomy,
    findings: frozenset[Finding],
    rng: np.random.Generator,
    places: np.random.Generator,
) -> Plane:
    """Sum of mass attenuations along the beam, natural logarithm, shape (H, W)."""
    lungs = {side: _cavity(canvas, anatomy, side) for side in (LEFT, RIGHT)}
    disease = pathology.draw(canvas, anatomy, lungs, findings, places)
    solid = 1 - np.float32(0.92) * canvas.solid(body_parts.mediastinum(anatomy), 1.1)
    solid *= 1 - np.float32(0.9) * canvas.solid(body_parts.heart(anatomy), 2.6)
    air = (lungs[LEFT] + lungs[RIGHT]) * solid * (1 - disease.fluid)
    total = body_parts.body(canvas, anatomy)
    total -= np.minimum(np.float32(2.35) * air, np.float32(0.72) * total)
    tissue = body_parts.vessels(canvas, anatomy, rng) + np.float32(0.022) * _parenchyma(canvas, rng)
    total += tissue * np.minimum(np.float32(1.3) * air, 1) * (1 - disease.collapsed)
    total += body_parts.ribs(canvas, anatomy) + body_parts.shoulder(canvas, anatomy) + body_parts.spine(canvas, anatomy)
    total -= np.float32(0.34) * body_parts.airways(canvas, anatomy)
    total += _soft_tissue(canvas, anatomy, rng)
    return np.maximum(total + disease.density, 0)


def _cavity(canvas: Canvas, anatomy: Anatomy, side: int) -> Plane:
    """Air path of one lung, 0 … 1: rounded towards the ribs, sharp at the diaphragm."""
    rounded = canvas.solid(anatomy.place(body_parts.cavity(side)), 3.6)
    edge = body_parts.dome(anatomy, side)
    above = np.concatenate(
        [edge, [[edge[-1, 0] + side * 9, edge[-1, 1]], [edge[-1, 0] + side * 9, -3], [edge[0, 0], -3]]]
    )
    drawing = canvas.blank()
    canvas.fill(drawing, above)
    floor = canvas.soft(drawing, 0.05)
    deep = np.clip(1 - (canvas.y - edge[:, 1].min()) / np.float32(9), 0, 1)  # the lung behind the dome
    return rounded * (floor + (1 - floor) * np.float32(0.13) * deep)


def _parenchyma(canvas: Canvas, rng: np.random.Generator) -> Plane:
    return canvas.texture(rng, 0.22) + canvas.texture(rng, 0.5)


def _soft_tissue(canvas: Canvas, anatomy: Anatomy, rng: np.random.Generator) -> Plane:
    """Breasts, muscle and bowel: soft shadows that belong to no lung."""
    bowel = np.clip((canvas.y - 31) / np.float32(4), 0, 1) * np.clip(1.2 - np.abs(canvas.x) / 16, 0, 1)
    shadows = np.float32(0.05) * canvas.texture(rng, 3.5) * (canvas.y > 4) + np.float32(0.1) * bowel * canvas.texture(
        rng, 2.2
    )
    shadows = shadows - np.float32(0.9) * canvas.solid(body_parts.stomach_bubble(anatomy, rng), 2.0)
    if anatomy.breasts:
        for side in (LEFT, RIGHT):
            shadows = shadows + np.float32(0.42) * canvas.solid(anatomy.place(body_parts.breast(side)), 6.0)
    return shadows


def _expose(canvas: Canvas, attenuation: Plane, dose: float, rng: np.random.Generator) -> NDArray[np.uint16]:
    """Photons through the patient, blurred by the detector, counted and log-converted to 12 bits."""
    arriving = canvas.blur(np.exp(-attenuation), MTF_SIGMA_CM) + SCATTER
    photons = np.float32(dose * FLUENCE * EFFICIENCY * (10 / canvas.px) ** 2)
    counts = arriving * photons
    counts += np.sqrt(counts) * rng.standard_normal(counts.shape, dtype=np.float32)
    seen = -np.log(np.maximum(counts / photons, np.float32(1e-4)))
    return np.clip(np.round(seen * np.float32(4095 / LATITUDE)) + 60, 0, 4095).astype(np.uint16)
