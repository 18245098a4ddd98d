"""The collimated field: where the beam fell, found before anything else is measured.

A shutter leaves a long, nearly straight step parallel to an edge of the film with a uniform strip outside it. The step
is taken twice: across a few rows, and between neighbours of a finer canvas, because a shutter is abrupt where air and
the fall-off towards the rim of a film are gradual. The film is reduced to a square canvas, each row of the canvas to a
few strips; shearing then costs an index instead of a warp, so that every angle and depth is tried. Columns that are
uniform from top to bottom lie behind a shutter themselves and say nothing about a row: they are left out.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from .corners import clear_black_corners

Floats = NDArray[np.float32]

FINE = 256
"""Side of the canvas on which abrupt steps are taken."""
CANVAS = 128
STRIPS = 16
LAG = 2
"""Half-distance of the step, in canvas rows."""
RIM = 3
"""Canvas rows at the edge of a film, whose own rim they may be."""
GAMMA = 0.5
"""Brightens equalised films, whose dark parts, where a shutter meets the skin, equalisation has compressed."""
ANGLES = np.arange(-6.0, 6.1, 1.0)
REACH = int(0.4 * CANVAS)
"""Canvas rows from either edge in which a shutter is looked for."""
FULL_STEP = {False: 60.0, True: 100.0}
"""Grey levels of a step that counts in full, by whether the film is equalised, which makes every step larger."""
FLATNESS = 50.0
"""Grey levels of spread along the lines outside a step that lower its score by the factor e."""
UNIFORM = 4.0
"""Grey levels of spread below which a whole column counts as hidden."""
PRESENT = 0.25
"""Score from which an edge cuts the field."""
STEEPNESS = 5.0
LEAST = 1e-3


class Edge(NamedTuple):
    """The best shutter edge along one side, in fractions of the film."""

    score: float
    depth: float
    """Depth at the middle of the side."""
    slope: float
    """Depth gained from one end of the side to the other."""


@dataclass(frozen=True, eq=False)
class Field:
    """Where the X-ray beam fell.

    Attributes:
        mask: uint8 (h, w), 255 inside the field; at the shape of the view it was found on. The black corners of a
            turned export are outside.
        depths: depth of the shutter from each edge (top, right, bottom, left), fraction of that side in [0, 1].
        probability: how sure the finder is that a shutter edge is visible, in [0, 1].
    """

    mask: NDArray[np.uint8]
    depths: tuple[float, float, float, float]
    probability: float


def find_field(view512: NDArray[np.uint8], view256: NDArray[np.uint8], *, equalised: bool) -> Field:
    """Find the collimated field on two small views of one film.

    Args:
        view512: uint8 (h, w); edges are looked for here.
        view256: the same film at half that size; the mask takes its shape.
        equalised: whether the film was histogram-equalised.
    """
    square = cv2.resize(view512, (FINE, FINE), interpolation=cv2.INTER_LINEAR)
    canvas = np.asarray(cv2.LUT(square, _brighter()) if equalised else square, np.float32)
    full_step = FULL_STEP[equalised]
    top, bottom = _edges(canvas, full_step)
    left, right = _edges(np.asarray(cv2.transpose(canvas), np.float32), full_step)
    edges = (top, right, bottom, left)
    best = max(edge.score for edge in edges)
    found = tuple(edge if edge.score >= PRESENT else None for edge in edges)
    mask = _mask(found, *view256.shape)
    clear_black_corners(view256, mask)
    return Field(
        mask=mask,
        depths=(_depth(found[0]), _depth(found[1]), _depth(found[2]), _depth(found[3])),
        probability=float(1 / (1 + (PRESENT / max(best, LEAST)) ** STEEPNESS)),
    )


def _depth(edge: Edge | None) -> float:
    return edge.depth if edge else 0.0


@lru_cache
def _brighter() -> NDArray[np.uint8]:
    return np.rint(255 * (np.arange(256) / 255) ** GAMMA).astype(np.uint8)


@lru_cache
def _sheared() -> NDArray[np.intp]:
    """Canvas row that strip s meets on the line through row r at each angle: (angles, 2 * REACH, strips).

    The rows are the first and the last REACH of the canvas: no shutter is looked for between them.
    """
    rows = np.append(np.arange(REACH), np.arange(CANVAS - REACH, CANVAS))
    centres = (np.arange(STRIPS) + 0.5) * CANVAS / STRIPS - CANVAS / 2
    offsets = np.rint(np.tan(np.deg2rad(ANGLES))[:, None, None] * centres)
    return np.clip(rows[:, None] + offsets, 0, CANVAS - 1).astype(np.intp)


def _strips(image: cv2.typing.MatLike, rows: int) -> Floats:
    return np.asarray(cv2.resize(image, (STRIPS, rows), interpolation=cv2.INTER_AREA), np.float32)


def _edges(canvas: Floats, full_step: float) -> tuple[Edge, Edge]:
    """Best edges along the first and the last rows of a square canvas of side FINE."""
    fine, level, power = _strips(canvas, FINE), _strips(canvas, CANVAS), _strips(canvas * canvas, CANVAS)
    seen = np.flatnonzero(_spread(level.mean(0), power.mean(0)) > UNIFORM)
    if len(seen) < STRIPS // 3:
        seen = np.arange(STRIPS)
    where = _sheared()[:, :, seen] * STRIPS + seen
    spread = _spread(level.ravel()[where].mean(2), power.ravel()[where].mean(2))
    both = _abrupt(fine / full_step), _step(level / full_step, LAG)
    abrupt, broad = (_strength(steps.ravel()[where]) for steps in both)
    strength, last = np.sqrt(abrupt * broad), np.s_[:, : -REACH - 1 : -1]
    return _best(strength[:, :REACH], spread[:, :REACH]), _best(strength[last], spread[last], mirrored=True)


def _step(level: Floats, lag: int) -> Floats:
    """What is gained across each row, in full steps: in [-1, 1]."""
    step = np.zeros_like(level)
    step[lag:-lag] = np.clip(level[2 * lag :] - level[: -2 * lag], -1, 1)
    return step


def _abrupt(fine: Floats) -> Floats:
    """The largest step between neighbours, up or down, in the fine rows of each canvas row."""
    steps = _step(fine, 1).reshape(CANVAS, -1, STRIPS)
    up, down = steps.max(1), steps.min(1)
    return np.where(up > -down, up, down)


def _spread(mean: Floats, mean_square: Floats) -> Floats:
    return np.sqrt(np.maximum(mean_square - mean * mean, 0))


def _strength(steps: Floats) -> Floats:
    """How strong and unbroken the step along each line is: mean of its mean and of its weakest quarter's best."""
    mean = steps.mean(2)
    ranked = np.sort(np.ascontiguousarray(steps * np.sign(mean)[:, :, None]), axis=2)
    weakest = ranked[:, :, steps.shape[2] // 4]
    return (np.abs(mean) + np.maximum(weakest, 0)) / 2


def _best(strength: Floats, spread: Floats, *, mirrored: bool = False) -> Edge:
    """The line with the strongest step and the flattest outside; the innermost of nearly equal ones."""
    outside = np.cumsum(spread, axis=1) / np.arange(1, REACH + 1, dtype=np.float32)
    score = strength[:, RIM:] * np.exp(-outside[:, :-RIM] / FLATNESS)
    angle = int(score.max(1).argmax())
    best = float(score[angle].max())
    near = np.flatnonzero(score[angle] >= 0.9 * best)
    last = near[-1]
    first = near[near > last - 2 * LAG - 1][0]
    tilt = float(np.tan(np.deg2rad(ANGLES[angle])))
    return Edge(best, float(RIM + (first + last + 1) / 2) / CANVAS, -tilt if mirrored else tilt)


def _mask(edges: tuple[Edge | None, ...], height: int, width: int) -> NDArray[np.uint8]:
    """Fill everything outside the edges (top, right, bottom, left) with 0."""
    mask = np.full((height, width), 255, np.uint8)
    for side, edge in enumerate(edges):
        if edge is not None:
            cv2.fillPoly(mask, [np.rint(_outside(side, edge) * (width, height)).astype(np.int32)], 0)
    return mask


def _outside(side: int, edge: Edge) -> Floats:
    """Corners (x, y), in fractions of the film, of what the edge cuts off; a lag deeper, to leave the penumbra out."""
    depth = edge.depth + LAG / CANVAS
    ends = np.array([depth - edge.slope / 2, depth + edge.slope / 2])
    if side in (1, 2):
        ends = 1 - ends
    rim = 1.0 if side in (1, 2) else 0.0
    along = np.array([0.0, 1.0, 1.0, 0.0])
    across = np.array([rim, rim, ends[1], ends[0]])
    points = (across, along) if side in (1, 3) else (along, across)
    return np.stack(points, axis=1).astype(np.float32)
