"""Artifact measures: each answers to its own defect, on a signal whose ground truth is known."""

import cv2
import numpy as np
import pytest
from lrrg.benchmark.degrade import apply
from lrrg.tools.artifact import blocking, grid_lines, text, upsampling
from lrrg.tools.base import Tool
from lrrg.tools.film import Film, Grey


def measured(tool: Tool, pixels: Grey) -> float:
    value = tool(Film(pixels))
    assert value is not None
    return value


@pytest.fixture(scope="module")
def film() -> Grey:
    """Soft anatomy at three scales under detector noise, 1200 × 1000."""
    rng = np.random.default_rng(3)
    soft = np.zeros((1200, 1000), np.float32)
    for size, height in ((12, 160), (50, 60), (150, 14)):
        coarse = rng.random((size, size)).astype(np.float32)
        soft += height * cv2.resize(coarse, (1000, 1200), interpolation=cv2.INTER_CUBIC)
    return np.clip(soft + rng.normal(0, 3, soft.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("tool", "defect", "mild", "strong"),
    [
        (text, "overlay_text", 4, 14),
        (blocking, "jpeg", 40, 10),
        (grid_lines, "grid_lines", 4, 12),
        (upsampling, "low_resolution", 1.5, 3),
    ],
)
def test_measure_grows_with_its_defect(film: Grey, tool: Tool, defect: str, mild: float, strong: float) -> None:
    clean, some, much = (
        measured(tool, each)
        for each in (film, apply(film, defect, mild, key="a"), apply(film, defect, strong, key="a"))
    )
    assert clean < some < much
    assert much > 1.5 * clean


@pytest.mark.parametrize(
    ("tool", "defect", "value", "slack"),
    [
        (blocking, "grid_lines", 8, 0.3),
        (blocking, "overlay_text", 8, 0.3),
        (grid_lines, "jpeg", 20, 1.0),
        (grid_lines, "quantum_noise", 0.6, 1.0),
        (text, "jpeg", 20, 3),
        (text, "grid_lines", 8, 3),
        (upsampling, "overlay_text", 8, 0.2),
    ],
)
def test_measure_stays_calm_under_other_defects(
    film: Grey, tool: Tool, defect: str, value: float, slack: float
) -> None:
    assert measured(tool, apply(film, defect, value, key="a")) < measured(tool, film) + slack


@pytest.mark.parametrize("period", [3.3, 4.7, 6.1])
@pytest.mark.parametrize("lean", [0.0, 0.017])
def test_grid_lines_are_seen_at_any_period_and_lean(film: Grey, period: float, lean: float) -> None:
    y, x = np.mgrid[: film.shape[0], : film.shape[1]]
    wave = 4 * np.sin(2 * np.pi * (x + lean * y) / period)
    lined = np.clip(film + wave, 0, 255).astype(np.uint8)
    assert measured(grid_lines, lined) > measured(grid_lines, film) + 2
    assert measured(grid_lines, np.ascontiguousarray(lined.T)) > measured(grid_lines, film) + 2


def test_blocks_are_seen_wherever_the_tile_starts(film: Grey) -> None:
    cropped = apply(film[:1187, :991], "jpeg", 20, key="a")
    assert measured(blocking, cropped) > 1


def test_fine_measures_are_absent_on_films_too_small_for_them() -> None:
    small = np.random.default_rng(0).integers(0, 255, (31, 200)).astype(np.uint8)
    assert [tool(Film(small)) for tool in (blocking, grid_lines, upsampling)] == [None, None, None]
    assert text(Film(small)) is not None
