"""Positioning measures on real films of the reporting half, and what the reference promises on drawn ones."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from lrrg.benchmark.degrade import apply
from lrrg.benchmark.statistics import auroc
from lrrg.pipelines.films import labelled_films
from lrrg.tools import chest
from lrrg.tools.base import Tool
from lrrg.tools.chest_fit import learn
from lrrg.tools.film import Film, Grey
from lrrg.tools.image import decode
from lrrg.tools.positioning import cutoff, inversion, rotation, tilt

SOURCES = ("hannover", "kermany", "nih")


@pytest.fixture(scope="module")
def upright(films_root: Path) -> list[Grey]:
    """Twelve films a source of patients that the reference has not seen, none of low quality, at 512 px."""
    films = [film for film in labelled_films(films_root) if film.reporting and film.label in ("good", "borderline")]
    chosen = [film for source in SOURCES for film in [f for f in films if f.source == source][:12]]
    return [decode(film.path.read_bytes(), max_pixels=10**8).view512 for film in chosen]


def values(tool: Tool, films: list[Grey]) -> list[float]:
    found = [tool(Film(film)) for film in films]
    assert None not in found
    return [value for value in found if value is not None]


def separation(tool: Tool, sound: list[Grey], spoilt: list[Grey]) -> float:
    return auroc(values(tool, sound) + values(tool, spoilt), [False] * len(sound) + [True] * len(spoilt))


def test_negatives_are_told_from_positives(upright: list[Grey]) -> None:
    assert separation(inversion, upright, [255 - film for film in upright]) > 0.99


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_quarter_turns_are_told_from_upright(upright: list[Grey], turns: int) -> None:
    turned = [np.ascontiguousarray(np.rot90(film, turns)) for film in upright]
    assert separation(rotation, upright, turned) > 0.99
    assert separation(inversion, upright, turned) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("angle", "least"), [(8, 0.8), (15, 0.95)])
def test_leaning_films_are_told_from_straight_ones(upright: list[Grey], angle: float, least: float) -> None:
    leaning = [apply(film, "tilt", angle, key=str(place)) for place, film in enumerate(upright)]
    assert separation(tilt, upright, leaning) >= least


def test_tilt_sees_the_anatomy_and_not_the_black_corners(upright: list[Grey]) -> None:
    """Black corners of an upright patient: rotated as if the film had lain askew under him."""
    cornered = []
    for film in upright:
        height, width = film.shape
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), 15, 1.0)
        window = np.asarray(cv2.warpAffine(np.full_like(film, 255), turn, (width, height)), np.uint8)
        cornered.append(np.where(window > 127, film, 0).astype(np.uint8))
    assert separation(tilt, upright, cornered) == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize(("lost", "least"), [(0.16, 0.75), (0.25, 0.9)])
def test_a_lost_side_is_noticed(upright: list[Grey], lost: float, least: float) -> None:
    cut = [apply(film, "cut_off", lost, key=str(place)) for place, film in enumerate(upright)]
    assert separation(cutoff, upright, cut) >= least


@pytest.mark.parametrize("tool", [inversion, rotation, tilt, cutoff])
def test_laterals_and_obliques_are_not_measured(tool: Tool) -> None:
    film = np.random.default_rng(0).integers(0, 255, (90, 80)).astype(np.uint8)
    assert all(tool(Film(film, view=view)) is None for view in ("LATERAL", "LL", "LAO", "XTABLE LATERAL", "SWIMMERS"))
    assert all(tool(Film(film, view=view)) is not None for view in (None, "", " ", "AP", "AP Supine", "pa", "FRONTAL"))


def test_directions_of_the_mirror_image_have_the_opposite_sign() -> None:
    film = np.random.default_rng(1).integers(0, 255, (256, 256)).astype(np.uint8)
    film = np.asarray(cv2.GaussianBlur(film, (0, 0), 9), np.uint8)
    mirrored = np.ascontiguousarray(film[:, ::-1])
    here, there = (chest.lean_features(chest.square(Film(each))) for each in (film, mirrored))
    assert there == pytest.approx(-here, abs=0.02)
    assert np.abs(here).max() > 0.1


def test_reference_learned_from_drawn_bodies_reads_their_angle() -> None:
    bodies = [body(width) for width in range(60, 92, 2)]
    learned = learn((Film(film) for film in bodies), seed=1)
    assert float((learned.template**2).sum()) == pytest.approx(1.0)
    for angle in (-20.0, -6.0, 0.0, 12.0):
        turn = cv2.getRotationMatrix2D((128, 128), angle, 1.0)
        film = Film(np.asarray(cv2.warpAffine(body(75), turn, (256, 256)), np.uint8))
        assert chest.lean_features(chest.square(film)) @ learned.lean == pytest.approx(angle, abs=3)


def body(width: float) -> Grey:
    y, x = np.mgrid[:256, :256].astype(float)
    lungs = sum(
        120 * np.exp(-(((x - c) / 18) ** 2 + ((y - 110) / 60) ** 2)) for c in (128 - width / 2, 128 + width / 2)
    )
    return np.clip(200 - lungs, 0, 255).astype(np.uint8)
