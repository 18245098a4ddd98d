"""What can be wrong in a synthetic chest, and how it looks in projection."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from .phantom_anatomy import LEFT, RIGHT, Anatomy, cavity, dome
from .phantom_canvas import Canvas, Plane, smooth

Finding = Literal[
    "cardiomegaly",
    "effusion_left",
    "effusion_right",
    "pneumothorax_left",
    "pneumothorax_right",
    "consolidation_left",
    "consolidation_right",
    "nodule_left",
    "nodule_right",
    "endotracheal_tube",
    "central_line",
    "pacemaker",
]
FINDINGS: tuple[Finding, ...] = get_args(Finding)


@dataclass
class Disease:
    """Planes that findings add to a film.

    Attributes:
        fluid: share of the lung's air that is displaced, 0 … 1.
        collapsed: share of the lung's vessels that is missing, 0 … 1.
        density: attenuation on top.
    """

    fluid: Plane
    collapsed: Plane
    density: Plane


def draw(
    canvas: Canvas, anatomy: Anatomy, lungs: Mapping[int, Plane], findings: frozenset[Finding], rng: np.random.Generator
) -> Disease:
    """Draw `findings`; the heart's size is the anatomy's and needs no plane."""
    disease = Disease(*(np.zeros((canvas.height, canvas.width), np.float32) for _ in range(3)))
    for finding in sorted(findings - {"cardiomegaly"}):
        kind, _, where = finding.rpartition("_")
        if where in ("left", "right"):
            side = LEFT if where == "left" else RIGHT
            _SIDED[kind](canvas, anatomy, lungs[side], disease, rng, side)
        else:
            _DEVICES[finding](canvas, anatomy, disease)
    return disease


def _effusion(
    canvas: Canvas, anatomy: Anatomy, lung: Plane, disease: Disease, rng: np.random.Generator, side: int
) -> None:
    """Fluid whose meniscus climbs along the chest wall and blunts the costophrenic angle."""
    level = dome(anatomy, side)[:, 1].min() + rng.uniform(-3.2, 1.2)
    across = np.clip(side * (canvas.x - anatomy.shift) / np.float32(13.5 * anatomy.scale), 0, 1)
    surface = np.float32(level) + np.float32(1.2) - np.float32(3.6) * across**3
    filled = 1 / (1 + np.exp(-np.clip((canvas.y - surface) / np.float32(0.28), -30, 30)))
    disease.fluid = np.maximum(disease.fluid, np.float32(0.93) * filled * (side * (canvas.x - anatomy.shift) > 0))


def _pneumothorax(
    canvas: Canvas, anatomy: Anatomy, lung: Plane, disease: Disease, rng: np.random.Generator, side: int
) -> None:
    """Air around a lung that has drawn back from apex and flank, with its pleural line."""
    gap = rng.uniform(0.78, 0.88)
    shrunk = cavity(side) * [gap, 1] + [side * 0.2, 2.6 * (1 - gap) / 0.2]
    drawing, line = canvas.blank(), canvas.blank()
    outline = anatomy.place(shrunk)
    canvas.fill(drawing, outline)
    canvas.stroke(line, outline[: 8 * 12], 0.1)  # apex and flank
    outside = (1 - canvas.soft(drawing, 0.03)) * (lung > 0.02)
    disease.collapsed = np.maximum(disease.collapsed, outside)
    disease.density += np.float32(0.3) * canvas.soft(line, 0.03) * (lung > 0.1) - np.float32(0.12) * outside * lung


def _consolidation(
    canvas: Canvas, anatomy: Anatomy, lung: Plane, disease: Disease, rng: np.random.Generator, side: int
) -> None:
    """A cloudy opacity with soft borders in the middle or lower zone."""
    x, y = side * rng.uniform(5.5, 9), rng.uniform(18.5, 23.5)
    x, y = anatomy.place(np.array([x, y]))
    wide, tall = rng.uniform(2.2, 3.4), rng.uniform(2.0, 3.2)
    cloud = (
        1 - ((canvas.x - x) / wide) ** 2 - ((canvas.y - y) / tall) ** 2 + np.float32(0.45) * canvas.texture(rng, 1.3)
    )
    opacity = 1 / (1 + np.exp(-np.clip(3 * cloud, -30, 30)))
    disease.density += np.float32(0.95) * opacity.astype(np.float32) * np.minimum(lung * 1.5, 1)


def _nodule(
    canvas: Canvas, anatomy: Anatomy, lung: Plane, disease: Disease, rng: np.random.Generator, side: int
) -> None:
    """A round opacity of 1.2 to 2.6 cm."""
    x, y = anatomy.place(np.array([side * rng.uniform(5.5, 10), rng.uniform(11, 21)]))
    radius = rng.uniform(0.6, 1.3)
    distance = np.sqrt(((canvas.x - x) / radius) ** 2 + ((canvas.y - y) / radius) ** 2)
    ball = np.sqrt(np.clip(1 - distance**2, 0, 1)).astype(np.float32)
    disease.density += np.float32(0.34 + 0.2 * radius) * canvas.blur(ball, 0.05) * (lung > 0.05)


def _endotracheal_tube(canvas: Canvas, anatomy: Anatomy, disease: Disease) -> None:
    path = anatomy.place(smooth([(0.3, 0.0), (0.1, 5.0), (-0.15, 10.2)], closed=False))
    wall, stripe = canvas.blank(), canvas.blank()
    canvas.stroke(wall, path, 0.85)
    canvas.stroke(stripe, path + np.array([0.3, 0.0]), 0.12)
    disease.density += np.float32(0.16) * canvas.soft(wall, 0.03) + np.float32(0.5) * canvas.soft(stripe, 0.02)


def _central_line(canvas: Canvas, anatomy: Anatomy, disease: Disease) -> None:
    path = anatomy.place(smooth([(-4.6, 0.0), (-3.4, 4.5), (-2.2, 9.0), (-2.3, 13.5), (-2.5, 17.2)], closed=False))
    drawing = canvas.blank()
    canvas.stroke(drawing, path, 0.2)
    disease.density += np.float32(0.55) * canvas.soft(drawing, 0.02)


def _pacemaker(canvas: Canvas, anatomy: Anatomy, disease: Disease) -> None:
    """A generator below the left clavicle with leads to right atrium and ventricle."""
    box, leads = canvas.blank(), canvas.blank()
    case = smooth([(8.2, 10.2), (10.4, 9.8), (12.4, 10.6), (12.4, 13.2), (10.2, 14.2), (8.3, 13.2)], closed=True)
    canvas.fill(box, anatomy.place(case))
    for tip in ([(-2.6, 17.0), (-2.9, 20.5)], [(-2.2, 19.0), (0.5, 24.8), (3.4, 25.6)]):
        path = smooth([(9.0, 10.4), (6.0, 8.6), (1.5, 9.6), (-1.8, 12.5), *tip], closed=False)
        canvas.stroke(leads, anatomy.place(path), 0.16)
    disease.density += np.float32(1.5) * canvas.soft(box, 0.03) + np.float32(0.8) * canvas.soft(leads, 0.02)


_SIDED: dict[str, Callable[[Canvas, Anatomy, Plane, Disease, np.random.Generator, int], None]] = {
    "effusion": _effusion,
    "pneumothorax": _pneumothorax,
    "consolidation": _consolidation,
    "nodule": _nodule,
}
_DEVICES: dict[str, Callable[[Canvas, Anatomy, Disease], None]] = {
    "endotracheal_tube": _endotracheal_tube,
    "central_line": _central_line,
    "pacemaker": _pacemaker,
}
