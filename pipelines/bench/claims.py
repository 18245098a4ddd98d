"""What each tool must answer and what it must leave alone, with the target AUROC: the benchmark as data."""

from typing import NamedTuple

from ...tools import Domain

BOTH: tuple[Domain, ...] = ("presentation", "equalised")
GREY_VALUES: tuple[Domain, ...] = ("presentation",)
EQUALISED: tuple[Domain, ...] = ("equalised",)


def short(area: float) -> str:
    """An AUROC in the fewest characters: `.85`, `1`.

    >>> short(0.852), short(0.998)
    ('.85', '1')
    """
    return f"{area:.2f}".removesuffix(".00").lstrip("0") or "0"


class Claim(NamedTuple):
    """One row: films with `defect` against the same films without it, told apart by `measure`.

    Attributes:
        sign: +1 where the defect raises the measure, -1 where it lowers it.
        least: smallest AUROC to reach at severities 1, 2, 3.
        most: largest AUROC allowed, for a defect that must leave the measure alone; 1 otherwise.
    """

    measure: str
    domains: tuple[Domain, ...]
    defect: str
    sign: int
    least: tuple[float, ...]
    most: float = 1.0

    @property
    def target(self) -> str:
        """The target as people write it."""
        if self.most < 1.0:
            return f"{short(self.least[0])}–{short(self.most)}"
        return "/".join(map(short, self.least))


def _deaf(measure: str, domains: tuple[Domain, ...], low: float, *defects: str) -> tuple[Claim, ...]:
    """`measure` must stay within `low` … 1 - `low` under each of `defects`."""
    return tuple(Claim(measure, domains, defect, 1, (low,) * 3, 1 - low) for defect in defects)


CLAIMS: tuple[Claim, ...] = (
    Claim("noise.grain", BOTH, "quantum_noise", 1, (0.99, 1.0, 1.0)),
    *_deaf("noise.grain", BOTH, 0.40, "defocus", "motion"),
    Claim("noise.relative", BOTH, "quantum_noise", 1, (0.99, 1.0, 1.0)),
    *_deaf("noise.relative", BOTH, 0.40, "defocus", "motion"),
    Claim("noise.haar_native", BOTH, "quantum_noise", 1, (0.99, 1.0, 1.0)),
    *_deaf("noise.haar_native", BOTH, 0.40, "defocus", "motion"),
    Claim("noise.haar", BOTH, "quantum_noise", 1, (0.99, 1.0, 1.0)),
    *_deaf("noise.haar", BOTH, 0.40, "defocus", "motion"),
    Claim("blur.reblur", BOTH, "defocus", 1, (0.85, 0.96, 0.98)),
    Claim("blur.edge_width", BOTH, "defocus", 1, (0.85, 0.96, 0.98)),
    Claim("blur.edge_width_down", BOTH, "motion", 1, (0.72, 0.90, 0.96)),
    *_deaf("blur.reblur", BOTH, 0.35, "quantum_noise", "under_exposure"),
    *_deaf("blur.edge_width", BOTH, 0.35, "quantum_noise", "under_exposure"),
    *_deaf("blur.edge_width_down", BOTH, 0.35, "quantum_noise", "under_exposure"),
    Claim("exposure.midpoint", GREY_VALUES, "under_exposure", 1, (0.95, 1.0, 1.0)),
    Claim("exposure.midpoint", GREY_VALUES, "over_exposure", -1, (0.95, 1.0, 1.0)),
    Claim("exposure.grey_range", GREY_VALUES, "low_contrast", -1, (0.95, 1.0, 1.0)),
    *_deaf("exposure.midpoint", GREY_VALUES, 0.35, "quantum_noise"),
    *_deaf("exposure.grey_range", GREY_VALUES, 0.35, "quantum_noise"),
    Claim("exposure.clipped_high", EQUALISED, "under_exposure", 1, (0.65, 0.95, 1.0)),
    Claim("exposure.black_pile", EQUALISED, "over_exposure", 1, (0.95, 0.98, 1.0)),
    *_deaf("exposure.black_pile", EQUALISED, 0.35, "quantum_noise"),
    Claim("collimation.probability", BOTH, "shutter", 1, (0.93, 0.93, 0.93)),
    *_deaf("collimation.probability", BOTH, 0.40, "quantum_noise", "defocus", "under_exposure", "over_exposure"),
    Claim("positioning.inversion", BOTH, "inversion", 1, (1.0, 1.0, 1.0)),
    Claim("positioning.rotation", BOTH, "rotation_90", 1, (1.0, 1.0, 1.0)),
    Claim("positioning.rotation", BOTH, "rotation_180", 1, (1.0, 1.0, 1.0)),
    Claim("positioning.tilt", BOTH, "tilt", 1, (0.5, 0.80, 0.95)),
    Claim("artifact.text", BOTH, "overlay_text", 1, (0.80, 0.95, 1.0)),
    Claim("artifact.blocking", BOTH, "jpeg", 1, (1.0, 1.0, 1.0)),
    Claim("artifact.grid_lines", BOTH, "grid_lines", 1, (1.0, 1.0, 1.0)),
    *_deaf("artifact.text", BOTH, 0.35, "jpeg", "grid_lines", "quantum_noise"),
    *_deaf("artifact.blocking", BOTH, 0.35, "grid_lines", "overlay_text", "quantum_noise"),
    *_deaf("artifact.grid_lines", BOTH, 0.35, "jpeg", "overlay_text", "quantum_noise"),
)


class Textbook(NamedTuple):
    """A measure that stays out: the defects it is offered for, and those it should leave alone."""

    measure: str
    sign: int
    answers: tuple[str, ...]
    leaves: tuple[str, ...]


TEXTBOOK: tuple[Textbook, ...] = (
    Textbook("variance_of_laplacian", -1, ("defocus", "motion"), ("quantum_noise",)),
    Textbook("tenengrad", -1, ("defocus", "motion"), ("quantum_noise",)),
    Textbook("crete_blur_effect", 1, ("defocus", "motion"), ("quantum_noise",)),
    Textbook("immerkaer_sigma", 1, ("quantum_noise",), ("defocus",)),
    Textbook("mean_brightness", 1, ("under_exposure",), ("quantum_noise",)),
    Textbook("mean_over_deviation", -1, ("quantum_noise",), ("under_exposure",)),
    Textbook("hough_line_length", 1, ("shutter",), ("quantum_noise",)),
)

GRADED = ("scatter", "cut_off")
"""Defects that only a grade of the policy names: no single measure is claimed to."""

DEFECTS: tuple[str, ...] = tuple(dict.fromkeys((*(claim.defect for claim in CLAIMS), *GRADED)))
