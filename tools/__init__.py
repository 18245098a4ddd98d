"""Quality tools: pixels to numbers, no I/O. `TOOLS` is the explicit list; nothing is discovered."""

from . import artifact, blur, collimation, contrast, exposure, noise, positioning
from .base import Measurement, Tool, measure, tool
from .film import Domain, Film

TOOLS: tuple[Tool, ...] = (
    noise.haar,
    noise.haar_native,
    noise.grain,
    noise.relative,
    blur.edge_width,
    blur.reblur,
    blur.edge_width_down,
    blur.edge_width_across,
    blur.anisotropy,
    exposure.clipped_high,
    exposure.clipped_low,
    exposure.black_pile,
    exposure.plateau_high,
    exposure.plateau_low,
    exposure.p01,
    exposure.p50,
    exposure.p99,
    exposure.midpoint,
    exposure.grey_range,
    exposure.entropy,
    exposure.local_contrast,
    exposure.deviation_index,
    exposure.exposure_index,
    contrast.coarse,
    contrast.middle,
    contrast.fine,
    contrast.regional,
    contrast.lung,
    contrast.lung_detail,
    contrast.over_grain,
    contrast.outline,
    contrast.likeness,
    contrast.median,
    collimation.probability,
    collimation.margin_depth,
    collimation.area_lost,
    positioning.inversion,
    positioning.rotation,
    positioning.tilt,
    positioning.cutoff,
    artifact.text,
    artifact.blocking,
    artifact.grid_lines,
    artifact.upsampling,
)

__all__ = ["TOOLS", "Domain", "Film", "Measurement", "Tool", "measure", "tool"]
