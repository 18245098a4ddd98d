"""Drawing in centimetres: smooth outlines, soft solids and tapering bands on a film of 42.5 cm x 35.4 cm."""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

HEIGHT_CM, WIDTH_CM = 42.5, 35.38
Plane = NDArray[np.floating]
Points = NDArray[np.float64]
_SHIFT = 4


def smooth(points: Sequence[tuple[float, float]] | Points, *, closed: bool, steps: int = 12) -> Points:
    """Catmull-Rom curve through `points`: float, shape (n, 2)."""
    p = np.asarray(points, float)
    padded = (
        np.concatenate([p[-1:], p, p[:2]]) if closed else np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    )
    t = np.linspace(0, 1, steps, endpoint=False)[:, None, None]
    a, b, c, d = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    curve = 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
    joined = curve.transpose(1, 0, 2).reshape(-1, 2)
    return joined if closed else np.concatenate([joined, p[-1:]])


def band(centre: Points, half_width: float | NDArray[np.floating]) -> Points:
    """Outline of a band about a centre line; `half_width` may vary along it."""
    along = np.gradient(centre, axis=0)
    normal = (
        np.stack([-along[:, 1], along[:, 0]], axis=1) / np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
    )
    offset = normal * np.broadcast_to(half_width, len(centre))[:, None]
    return np.concatenate([centre + offset, (centre - offset)[::-1]])


@dataclass(frozen=True)
class Canvas:
    """A film to draw on. The origin is the middle of the upper border; x grows to the image's right, y downwards.

    Attributes:
        height: rows of the film.
        width: columns of the film.
    """

    height: int
    width: int

    @property
    def px(self) -> float:
        """Pixels a centimetre."""
        return self.height / HEIGHT_CM

    @property
    def x(self) -> Plane:
        """Position of the columns, cm: float32, shape (1, W)."""
        return ((np.arange(self.width, dtype=np.float32) + 0.5 - self.width / 2) / self.px)[None]

    @property
    def y(self) -> Plane:
        """Position of the rows, cm: float32, shape (H, 1)."""
        return ((np.arange(self.height, dtype=np.float32) + 0.5) / self.px)[:, None]

    def blank(self) -> NDArray[np.uint8]:
        """An empty drawing: uint8, shape (H, W)."""
        return np.zeros((self.height, self.width), np.uint8)

    def fill(self, drawing: NDArray[np.uint8], outline: Points, value: int = 255) -> None:
        """Fill an outline with `value`."""
        cv2.fillPoly(drawing, [self._fixed(outline)], value, cv2.LINE_AA, _SHIFT)

    def stroke(self, drawing: NDArray[np.uint8], line: Points, width: float, value: int = 255) -> None:
        """Draw a line `width` cm wide; one thinner than a pixel is drawn one pixel wide and fainter."""
        pixels = width * self.px
        tone = max(1, round(value * min(1.0, pixels)))
        cv2.polylines(drawing, [self._fixed(line)], False, tone, max(1, round(pixels)), cv2.LINE_AA, _SHIFT)

    def soft(self, drawing: NDArray[np.uint8], sigma: float) -> Plane:
        """A drawing as a plane in [0, 1], blurred by `sigma` cm."""
        return self.blur(drawing.astype(np.float32) / np.float32(255), sigma)

    def blur(self, plane: Plane, sigma: float) -> Plane:
        """Gaussian blur by `sigma` cm; wide ones at reduced resolution."""
        pixels = sigma * self.px
        if pixels < 0.3:
            return plane
        if pixels < 6:
            return np.asarray(cv2.GaussianBlur(plane, (0, 0), pixels), np.float32)
        shrink = pixels / 3
        size = (max(2, round(self.width / shrink)), max(2, round(self.height / shrink)))
        return self.enlarge(cv2.GaussianBlur(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), (0, 0), 3))

    def solid(self, outline: Points, rise: float) -> Plane:
        """A rounded solid seen in projection: 0 at its outline, 1 from `rise` cm inwards, in [0, 1]."""
        coarse = Canvas(256, max(2, round(256 * self.width / self.height)))
        drawing = coarse.blank()
        coarse.fill(drawing, outline)
        depth = cv2.distanceTransform((drawing > 127).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        inward = np.clip(depth / (rise * coarse.px), 0, 1)
        rounded = cv2.GaussianBlur(np.sqrt(1 - (1 - inward) ** 2).astype(np.float32), (0, 0), 1.2)
        edge = self.blank()
        self.fill(edge, outline)
        return self.enlarge(rounded) * self.soft(edge, 0.06)

    def enlarge(self, plane: cv2.typing.MatLike) -> Plane:
        """A coarse plane at the film's resolution."""
        size = (self.width, self.height)
        return np.asarray(cv2.resize(np.asarray(plane, np.float32), size, interpolation=cv2.INTER_CUBIC), np.float32)

    def texture(self, rng: np.random.Generator, size: float) -> Plane:
        """Cloudy random texture of unit deviation whose grains are about `size` cm."""
        rows, columns = (max(4, round(extent / size)) for extent in (HEIGHT_CM, WIDTH_CM))
        coarse = rng.standard_normal((rows, columns)).astype(np.float32)
        return self.enlarge(coarse) * np.float32(1.2)

    def _fixed(self, points: Points) -> NDArray[np.int32]:
        pixels = points * self.px + np.array([self.width / 2, 0.0]) - 0.5
        return np.round(pixels * (1 << _SHIFT)).astype(np.int32)
