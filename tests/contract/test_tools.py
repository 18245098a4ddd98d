"""What every quality tool owes: finite, in bounds, deterministic, harmless, and to the point."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from lrrg.benchmark.degrade import degrade
from lrrg.benchmark.mimic import as_mimic
from lrrg.benchmark.phantom import phantom
from lrrg.tools import TOOLS, Film, Tool, measure
from lrrg.tools.base import ALL_DOMAINS
from numpy.typing import NDArray

Grey = NDArray[np.uint8]
BY_NAME = {each.name: each for each in TOOLS}


def chest(height: int = 1024) -> Grey:
    """A synthetic chest film in 8 bits."""
    return (phantom(3, height=height).stored >> 4).astype(np.uint8)


@pytest.fixture(scope="module")
def clean() -> Grey:
    return chest()


FILMS: dict[str, Callable[[], Grey]] = {
    "chest": chest,
    "small": lambda: chest(256),
    "wide": lambda: np.ascontiguousarray(chest(600)[:150]),
    "black": lambda: np.zeros((300, 200), np.uint8),
    "white": lambda: np.full((200, 300), 255, np.uint8),
    "two-grey": lambda: np.repeat(np.array([[0, 255]], np.uint8), 150, axis=1).repeat(200, axis=0),
    "salt": lambda: np.random.default_rng(0).choice(np.array([0, 255], np.uint8), (300, 300)),
    "ramp": lambda: np.tile(np.arange(256, dtype=np.uint8), (128, 1)),
    "tiny": lambda: chest(64),
    "strip": lambda: np.random.default_rng(0).integers(0, 256, (64, 30_000), np.uint8),
    "upright-strip": lambda: np.random.default_rng(0).integers(0, 256, (30_000, 64), np.uint8),
}


@pytest.mark.parametrize("domain", ALL_DOMAINS)
@pytest.mark.parametrize("kind", FILMS)
def test_values_are_finite_and_in_bounds_on_any_film(kind: str, domain):
    for found in measure(Film(FILMS[kind](), domain), TOOLS):
        low, high = BY_NAME[f"{found.tool}.{found.metric}"].bounds
        assert np.isfinite(found.value), found
        assert low <= found.value <= high, found


def test_measuring_twice_gives_equal_numbers_and_leaves_the_film_alone(clean: Grey):
    before = clean.copy()
    first, again = measure(Film(clean), TOOLS), measure(Film(clean.copy()), reversed(TOOLS))
    assert sorted(first) == sorted(again)
    assert (clean == before).all()


@pytest.mark.parametrize("each", TOOLS, ids=lambda each: each.name)
def test_a_tool_is_absent_outside_its_domains(each: Tool, clean: Grey):
    for domain in set(ALL_DOMAINS) - set(each.domains):
        assert each(Film(clean, domain)) is None


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), np.float32("nan")])
def test_a_tool_that_gives_no_finite_number_is_named(clean: Grey, wrong: float):
    broken = replace(BY_NAME["noise.haar"], run=lambda film: wrong)
    with pytest.raises(ArithmeticError, match=r"noise\.haar version 2 gave"):
        measure(Film(clean), [broken])


def test_names_are_unique_and_summaries_are_sentences():
    assert len(BY_NAME) == len(TOOLS)
    for each in TOOLS:
        assert each.summary.endswith((".", ";")), each.name
        assert each.version >= 1


class Response(NamedTuple):
    """How a measure answers defects on films of one domain: up (+1) or down (-1), and which leave it alone.

    `steady` defects may move it by at most `share` of what its own defects do.
    """

    measure: str
    domain: str
    answers: dict[str, int]
    steady: tuple[str, ...] = ()
    share: float = 0.35


RESPONDS_TO = (
    Response("noise.haar", "presentation", {"quantum_noise": 1}, ("defocus", "motion", "under_exposure")),
    Response("noise.haar", "equalised", {"quantum_noise": 1}, ("defocus", "motion")),
    Response("noise.haar_native", "presentation", {"quantum_noise": 1}, ("defocus", "motion")),
    Response("noise.relative", "presentation", {"quantum_noise": 1}, ("low_contrast",)),
    Response("noise.grain", "presentation", {"quantum_noise": 1}, ("defocus", "motion")),
    Response("noise.grain", "equalised", {"quantum_noise": 1}, ("defocus", "motion")),
    Response("blur.edge_width", "presentation", {"defocus": 1, "motion": 1}, ("quantum_noise", "under_exposure")),
    Response("blur.reblur", "presentation", {"defocus": 1, "motion": 1}, ("quantum_noise", "low_contrast")),
    Response("blur.reblur", "equalised", {"defocus": 1, "motion": 1}, ("quantum_noise",)),
    Response("blur.edge_width", "equalised", {"defocus": 1, "motion": 1}, ("quantum_noise", "low_contrast")),
    Response("blur.edge_width_down", "presentation", {"defocus": 1, "motion": 1}, ("quantum_noise", "over_exposure")),
    Response("blur.edge_width_across", "presentation", {"defocus": 1}, ("quantum_noise",)),
    Response("blur.anisotropy", "presentation", {"motion": 1}, ("quantum_noise",)),
    Response("exposure.clipped_high", "presentation", {"under_exposure": 1}, ("quantum_noise", "low_contrast")),
    Response("exposure.clipped_low", "presentation", {"over_exposure": 1}, ("quantum_noise", "low_contrast")),
    Response("exposure.black_pile", "equalised", {"over_exposure": 1}, ("under_exposure", "quantum_noise")),
    Response("exposure.plateau_high", "equalised", {"under_exposure": 1}, ("quantum_noise", "over_exposure")),
    Response("exposure.plateau_low", "equalised", {"over_exposure": 1}, ("under_exposure",)),
    Response("exposure.p01", "presentation", {"under_exposure": 1, "over_exposure": -1}, ("defocus",)),
    Response("exposure.p50", "presentation", {"under_exposure": 1, "over_exposure": -1}, ("quantum_noise",)),
    Response("exposure.p99", "presentation", {"under_exposure": 1, "over_exposure": -1}, ("defocus",)),
    Response("exposure.midpoint", "presentation", {"under_exposure": 1, "over_exposure": -1}, ("quantum_noise",)),
    Response("exposure.grey_range", "presentation", {"low_contrast": -1}, ("quantum_noise", "defocus")),
    Response("exposure.entropy", "presentation", {"low_contrast": -1}, ("quantum_noise", "defocus")),
    Response("exposure.local_contrast", "presentation", {"low_contrast": -1}, ("quantum_noise", "under_exposure")),
    Response("contrast.coarse", "presentation", {"low_contrast": -1, "scatter": -1}, ("quantum_noise", "defocus")),
    Response("contrast.middle", "presentation", {"low_contrast": -1, "scatter": -1}, ("quantum_noise", "defocus")),
    Response("contrast.fine", "presentation", {"low_contrast": -1, "scatter": -1}, ("quantum_noise",)),
    Response("contrast.regional", "presentation", {"low_contrast": -1, "scatter": -1}, ("quantum_noise", "defocus")),
    Response("contrast.lung", "presentation", {"low_contrast": -1, "scatter": -1}, ("quantum_noise", "defocus")),
    Response("contrast.lung_detail", "presentation", {"low_contrast": -1}, ("quantum_noise",)),
    Response("contrast.over_grain", "presentation", {"quantum_noise": -1}),
    Response("contrast.over_grain", "equalised", {"quantum_noise": -1}, ("low_contrast",)),
    Response("contrast.outline", "presentation", {"low_contrast": -1}, ("quantum_noise",)),
    Response("contrast.likeness", "presentation", {"inversion": -1, "rotation_90": -1}, ("quantum_noise", "defocus")),
    Response("contrast.likeness", "equalised", {"rotation_180": -1}, ("quantum_noise", "low_contrast")),
    Response("contrast.median", "presentation", {"under_exposure": 1, "over_exposure": -1}, ("quantum_noise",)),
    Response("collimation.probability", "presentation", {"shutter": 1}, ("quantum_noise", "defocus", "over_exposure")),
    Response("collimation.margin_depth", "presentation", {"shutter": 1}, ("quantum_noise", "defocus", "over_exposure")),
    Response("collimation.area_lost", "equalised", {"shutter": 1}, ("quantum_noise", "defocus", "over_exposure")),
    Response("positioning.inversion", "presentation", {"inversion": 1}, ("quantum_noise", "defocus", "shutter")),
    Response("positioning.inversion", "equalised", {"inversion": 1}, ("quantum_noise", "rotation_90", "rotation_180")),
    Response("positioning.rotation", "presentation", {"rotation_90": 1, "rotation_180": 1}, ("inversion", "defocus")),
    Response("positioning.rotation", "equalised", {"rotation_90": 1, "rotation_180": 1}, ("inversion", "shutter")),
    Response("positioning.tilt", "presentation", {"tilt": 1}, ("inversion", "quantum_noise", "defocus", "shutter")),
    Response("positioning.tilt", "equalised", {"tilt": 1}, ("quantum_noise", "over_exposure")),
    Response("positioning.cutoff", "presentation", {"cut_off": 1}, ("quantum_noise", "defocus", "over_exposure")),
    Response("artifact.text", "presentation", {"overlay_text": 1}, ("jpeg", "grid_lines", "quantum_noise")),
    Response("artifact.blocking", "presentation", {"jpeg": 1}, ("grid_lines", "overlay_text", "quantum_noise")),
    Response("artifact.blocking", "equalised", {"jpeg": 1}, ("grid_lines", "overlay_text", "quantum_noise")),
    Response("artifact.grid_lines", "presentation", {"grid_lines": 1}, ("jpeg", "overlay_text", "quantum_noise")),
    Response("artifact.grid_lines", "equalised", {"grid_lines": 1}, ("jpeg", "overlay_text", "quantum_noise")),
    Response("artifact.upsampling", "presentation", {"low_resolution": 1}, ("overlay_text", "shutter")),
)
FROM_THE_HEADER = {"exposure.deviation_index", "exposure.exposure_index"}
SATURATING = {"collimation.probability", "artifact.upsampling"}
"""Say whether, not how much: worse need not be more, only still plain."""


def test_every_measure_of_the_pixels_answers_something():
    assert {row.measure for row in RESPONDS_TO} == BY_NAME.keys() - FROM_THE_HEADER


@pytest.mark.parametrize("row", RESPONDS_TO, ids=lambda row: f"{row.measure}-{row.domain}")
def test_a_measure_answers_its_defect_and_no_other(row: Response, clean: Grey):
    tool = BY_NAME[row.measure]
    base = _value(tool, clean, row.domain)
    moved = {}
    for defect, sign in row.answers.items():
        ladder = [_value(tool, degrade(clean, defect, severity, key="chest"), row.domain) for severity in (3, 5)]
        steps = sign * np.diff([base, *ladder])
        assert steps[0] > 0, (defect, base, ladder)
        assert steps[1] >= (-steps[0] / 2 if row.measure in SATURATING else 0), (defect, base, ladder)
        moved[defect] = abs(ladder[-1] - base)
    for defect in row.steady:
        drift = abs(_value(tool, degrade(clean, defect, 3, key="chest"), row.domain) - base)
        assert drift <= row.share * min(moved.values()), (defect, base, drift, moved)


def _value(tool: Tool, grey: Grey, domain) -> float:
    value = tool(Film(as_mimic(grey) if domain == "equalised" else grey, domain))
    assert value is not None
    return value
