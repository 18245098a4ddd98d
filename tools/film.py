"""A decoded radiograph and what every tool shares: the pyramid of smaller views and the collimated field."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from .field import Field, find_field

Domain = Literal["linear", "presentation", "equalised"]
"""`linear`: detector values; `presentation`: processed for reading; `equalised`: as MIMIC-CXR-JPG."""

Grey = NDArray[np.uint8]
Shared = TypeVar("Shared")


@dataclass(frozen=True, eq=False)
class Film:
    """One radiograph, decoded and checked.

    Attributes:
        pixels: uint8, shape (H, W); air is dark whatever the file's photometric interpretation was.
        domain: what the grey values mean; decides which exposure measures exist.
        stored: uint16, shape (H, W), air dark: the values at their stored depth where the file has more than 8 bits.
        bits: bits a sample holds in the file.
        window: DICOM VOI window (center, width) in the units of `stored` (`pixels` at 8 bits), where the file has one.
        view: DICOM View Position (`AP`, `PA`, `LL`, …) where the file knows it.
        tags: numeric DICOM exposure tags by keyword (`ExposureIndex`, `DeviationIndex`, …).
        notes: what reading had to do (`rgb-collapsed`, `monochrome1-inverted`, …).
        file_format: `jpeg`, `png` or `dicom`; empty where the film was not read from a file.
    """

    pixels: Grey
    domain: Domain = "presentation"
    stored: NDArray[np.uint16] | None = None
    bits: int = 8
    window: tuple[float, float] | None = None
    view: str | None = None
    tags: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    file_format: str = ""

    @cached_property
    def _found(self) -> dict[Callable[..., Any], Any]:
        return {}

    def once(self, compute: Callable[["Film"], Shared]) -> Shared:
        """What `compute` makes of this film, worked out at the first call: what several measures share."""
        if compute not in self._found:
            self._found[compute] = compute(self)
        return self._found[compute]

    @cached_property
    def _halves(self) -> list[Grey]:
        """Halves of the film down to at most 1600 px: a fractional area resize costs twenty times as much."""
        levels = [self.pixels]
        while max(levels[-1].shape) > 1600:
            levels.append(_half(levels[-1]))
        return levels

    @property
    def halved(self) -> Grey:
        """The film at half its own resolution."""
        return self._halves[1] if len(self._halves) > 1 else _half(self.pixels)

    @cached_property
    def view1024(self) -> Grey:
        """The film with its long side at 1024 px; smaller films keep their size."""
        source = self._halves[-1]
        scale = 1024 / max(source.shape)
        if scale >= 1:
            return source
        height, width = source.shape
        return _resize(source, max(1, round(width * scale)), max(1, round(height * scale)), cv2.INTER_LINEAR)

    @cached_property
    def view512(self) -> Grey:
        """Half of `view1024`."""
        return _half(self.view1024)

    @cached_property
    def view256(self) -> Grey:
        """A quarter of `view1024`."""
        return _half(self.view512)

    @cached_property
    def view128(self) -> Grey:
        """An eighth of `view1024`."""
        return _half(self.view256)

    @cached_property
    def field(self) -> Field:
        """The collimated field, found once."""
        return find_field(self.view512, self.view256, equalised=self.domain == "equalised")

    def inside(self, shape: tuple[int, ...]) -> Grey:
        """Mask of the collimated field at a view's shape: uint8 (h, w), 255 inside."""
        height, width = shape[:2]
        if (height, width) not in self._masks:
            mask = _resize(self.field.mask, width, height, cv2.INTER_NEAREST)
            mask.flags.writeable = False  # every tool gets this one
            self._masks[height, width] = mask
        return self._masks[height, width]

    @cached_property
    def _masks(self) -> dict[tuple[int, int], Grey]:
        return {}


def _half(image: Grey) -> Grey:
    """Half the image by area; an odd last row or column is dropped, because only an exact 1/2 is fast."""
    height, width = (max(1, side // 2) for side in image.shape)
    return _resize(image[: 2 * height, : 2 * width], width, height, cv2.INTER_AREA)


def _resize(image: Grey, width: int, height: int, interpolation: int) -> Grey:
    return np.asarray(cv2.resize(image, (width, height), interpolation=interpolation), np.uint8)
