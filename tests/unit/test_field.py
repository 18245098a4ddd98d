"""The collimated field on drawn films: shutters are found, air and de-identification boxes are not."""

import cv2
import numpy as np
import pytest
from lrrg.benchmark.mimic import equalise
from lrrg.tools.field import Field, find_field
from lrrg.tools.film import Grey

HEIGHT, WIDTH = 256, 213


def chest() -> Grey:
    """A soft torso with two lungs on black air, noise included."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(float)
    torso = 190 / (1 + np.exp((np.hypot((x - 106) / 95, (y - 170) / 150) - 1) * 20))
    lungs = sum(90 * np.exp(-(((x - c) / 26) ** 2 + ((y - 120) / 55) ** 2)) for c in (65, 150))
    noise = np.random.default_rng(0).normal(0, 3, torso.shape)
    return np.clip(torso - lungs + noise, 0, 255).astype(np.uint8)


def find(film: Grey, *, equalised: bool = False) -> Field:
    twice = cv2.resize(film, (2 * WIDTH, 2 * HEIGHT), interpolation=cv2.INTER_LINEAR)
    return find_field(np.asarray(twice, np.uint8), film, equalised=equalised)


def shuttered(side: int, depth: float, slope_degrees: float, grey: int) -> tuple[Grey, Grey]:
    """The chest behind one shutter (0 top, 1 right, 2 bottom, 3 left), and the true field."""
    turned = np.ascontiguousarray(np.rot90(chest(), side))
    height, width = turned.shape
    edge = depth * height + np.tan(np.deg2rad(slope_degrees)) * (np.arange(width) - width / 2)
    hidden = np.arange(height)[:, None] < edge
    film, field = np.where(hidden, grey, turned), np.where(hidden, 0, 255)
    return np.rot90(film, -side).astype(np.uint8).copy(), np.rot90(field, -side).astype(np.uint8).copy()


def test_bare_chest_has_no_shutter() -> None:
    field = find(chest())
    assert field.probability < 0.2
    assert field.depths == (0, 0, 0, 0)
    assert field.mask.min() == 255


# Black over the black air beside the neck leaves no long step: the top is tried in white only.
@pytest.mark.parametrize(("side", "grey"), [(0, 255), (1, 0), (1, 255), (2, 0), (2, 255), (3, 0), (3, 255)])
@pytest.mark.parametrize("slope", [-4.0, 0.0, 2.0])
def test_one_shutter_is_found_on_its_side(side: int, grey: int, slope: float) -> None:
    film, truth = shuttered(side, 0.14, slope, grey)
    field = find(film)
    assert field.probability > 0.9
    assert field.depths[side] == pytest.approx(0.14, abs=0.02)
    assert sum(field.depths) == field.depths[side]
    assert field.mask[truth == 0].mean() < 255 * 0.02
    assert field.mask[truth > 0].mean() > 255 * 0.94


def test_a_gradual_fall_off_is_no_shutter() -> None:
    """As high as the step of a shutter, over a fifth of the film."""
    away = np.clip((np.arange(WIDTH) - 10) / 40, 0, 1)
    fading, shut = (chest() * across // 1 for across in (away, away > 0.5))
    assert find(shut.astype(np.uint8)).probability > 0.9
    assert find(fading.astype(np.uint8)).probability < 0.5


def test_an_equalised_film_shows_its_shutter() -> None:
    film, _ = shuttered(3, 0.14, 1.0, 0)
    assert find(equalise(film), equalised=True).depths == pytest.approx((0, 0, 0, 0.14), abs=0.02)
    assert find(equalise(chest()), equalised=True).depths == (0, 0, 0, 0)


def test_depth_grows_with_the_shutter() -> None:
    depths = [max(find(shuttered(2, depth, 1.0, 0)[0]).depths) for depth in (0.04, 0.08, 0.14, 0.22, 0.3)]
    assert depths == pytest.approx([0.04, 0.08, 0.14, 0.22, 0.3], abs=0.02)


def test_four_shutters_leave_the_window_between_them() -> None:
    film = np.zeros((HEIGHT, WIDTH), np.uint8)
    film[60:-60, 45:-45] = chest()[60:-60, 45:-45] // 2 + 100
    field = find(film)
    assert field.depths == pytest.approx((60 / 256, 45 / 213, 60 / 256, 45 / 213), abs=0.02)
    assert field.mask[:56].max() == 0
    assert field.mask[70:-70, 55:-55].min() == 255


@pytest.mark.parametrize("box", [(10, 30, 20, 90), (0, 18, 0, 70), (100, 120, 60, 110), (230, 256, 120, 213)])
def test_deidentification_boxes_are_not_shutters(box: tuple[int, int, int, int]) -> None:
    film = chest()
    top, bottom, left, right = box
    film[top:bottom, left:right] = 0
    assert find(film).depths == (0, 0, 0, 0)


@pytest.mark.parametrize("angle", [-15.0, -5.0, 4.0, 25.0])
def test_black_corners_of_a_turned_export_are_outside_and_no_shutter(angle: float) -> None:
    bright = np.maximum(chest(), 30)
    turn = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), angle, 1.0)
    turned = np.asarray(cv2.warpAffine(bright, turn, (WIDTH, HEIGHT)), np.uint8)
    truth = np.asarray(cv2.warpAffine(np.full_like(bright, 255), turn, (WIDTH, HEIGHT)), np.uint8)
    field = find(turned)
    assert field.depths == (0, 0, 0, 0)
    assert field.mask[truth == 0].mean() < 255 * 0.01
    assert field.mask[truth == 255].mean() > 255 * 0.93


def test_black_air_above_the_shoulders_stays_in_the_field() -> None:
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    shoulders = np.hypot(x - 106, (y - 130) * 0.9) < 105
    film = np.where(shoulders, np.maximum(chest(), 60), 0).astype(np.uint8)
    assert find(film).mask.mean() > 255 * 0.99


def test_tiny_film_has_a_mask_of_its_own_shape() -> None:
    field = find_field(np.full((6, 4), 90, np.uint8), np.full((3, 2), 90, np.uint8), equalised=True)
    assert field.mask.shape == (3, 2)
    assert field.probability < 0.2
