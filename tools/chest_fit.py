"""Learning the reference of `chest` from upright frontal films that are turned, shifted and cut on purpose."""

from collections.abc import Iterable

import cv2
import numpy as np

from .chest import Chest, Floats, Thumbnail, centre, frame_features, lean_features, pattern, shrink, square, unit
from .film import Film, Grey

STEEPEST = 20.0
TURNS = 24
"""Random turns, shifts and sizes at which the lean of each film is learned."""
LEAN_RIDGE = 1e-2
DEEPEST_CUT = 0.35
CUTS = 12
"""Random cuts of each film; as many copies again stay whole."""
FRAME_RIDGE = 3e-2


def learn(films: Iterable[Film], *, seed: int = 0) -> Chest:
    """Learn the reference.

    The template is the mean of the films' patterns. Lean and frame are ridge regressions, from the directions of edges
    to the angle by which each film was turned and to the fraction that was cut off each side. What must not matter
    happens at random: shift, size, equalisation, and whether the corners that a turn opens are black, mirrored or
    stretched.

    Args:
        films: a few dozen at least, of as many sources as there are; natural tilts and cuts average out.
        seed: of the random choices; equal films and seeds give equal references.
    """
    rng = np.random.default_rng(seed)
    patterns: list[Floats] = []
    leans: list[tuple[Floats, float]] = []
    frames: list[tuple[Floats, Floats]] = []
    for film in films:
        patterns.append(pattern(square(film).pixels))
        leans += [_turned(film.view512, angle, rng) for angle in rng.uniform(-STEEPEST, STEEPEST, TURNS)]
        frames += [_cut(film.view512, lost, rng) for lost in rng.uniform(0, DEEPEST_CUT, CUTS)]
        frames += [_cut(film.view512, 0.0, rng) for _ in range(CUTS)]
    lean = _ridge([row for row, _ in leans], [[angle] for _, angle in leans], LEAN_RIDGE)
    frame = _ridge([row for row, _ in frames], [lost for _, lost in frames], FRAME_RIDGE)
    return Chest(unit(np.mean(patterns, axis=0)), lean[:, 0], frame)


def _ridge(rows: list[Floats], targets: object, penalty: float) -> Floats:
    matrix, target = np.array(rows, np.float64), np.array(targets, np.float64)
    normal = matrix.T @ matrix + penalty * len(rows) * np.eye(matrix.shape[1])
    return np.linalg.solve(normal, matrix.T @ target).astype(np.float32)


def _turned(view: Grey, angle: float, rng: np.random.Generator) -> tuple[Floats, float]:
    height, width = view.shape
    corners = (cv2.BORDER_CONSTANT, cv2.BORDER_REFLECT_101, cv2.BORDER_REPLICATE)[rng.integers(3)]
    move = cv2.getRotationMatrix2D((width / 2, height / 2), angle, rng.uniform(0.85, 1.3))
    move[:, 2] += rng.uniform(-0.06, 0.06, 2) * (width, height)
    turned = np.asarray(cv2.warpAffine(view, move, (width, height), borderMode=corners), np.uint8)
    return lean_features(_seen(centre(turned), rng)), angle


def _cut(view: Grey, lost: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """A view without the fraction `lost` at a random side, and what is lost at the top, bottom, left and right."""
    height, width = view.shape
    rows, columns = round(lost * height), round(lost * width)
    side = int(rng.integers(4))
    parts = (view[rows:], view[: height - rows], view[:, columns:], view[:, : width - columns])
    return frame_features(_seen(shrink(parts[side]), rng)), np.eye(4, dtype=np.float32)[side] * lost


def _seen(pixels: Grey, rng: np.random.Generator) -> Thumbnail:
    if rng.random() < 0.5:
        pixels = np.asarray(cv2.equalizeHist(pixels), np.uint8)
    return Thumbnail(pixels, np.full_like(pixels, 255))
