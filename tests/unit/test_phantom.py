import cv2
import numpy as np
import pytest
from lrrg.benchmark.phantom import phantom
from lrrg.benchmark.phantom_findings import FINDINGS

HEIGHT = 425  # ten pixels a centimetre


@pytest.fixture(scope="module")
def clean():
    return phantom(7, height=HEIGHT).stored.astype(int)


def region(film, x, y, half=1.0):
    """Pixels of a square about (x, y) in cm; the origin is the middle of the upper border."""
    column, row, side = film.shape[1] / 2 + 10 * x, 10 * y, 10 * half
    return film[int(row - side) : int(row + side), int(column - side) : int(column + side)]


def test_a_film_has_twelve_bits_and_the_shape_of_a_cassette(clean):
    film = phantom(7, height=HEIGHT)
    assert film.stored.dtype == np.uint16
    assert film.stored.shape == (425, 354)
    assert 0 <= clean.min() < 200
    assert 3000 < clean.max() <= 4095


def test_air_is_dark_lungs_are_grey_and_the_mediastinum_is_bright(clean):
    air, lung = np.median(clean[:15, :15]), np.median(region(clean, -8, 14))
    mediastinum, abdomen = np.median(region(clean, 0, 24)), np.median(region(clean, -6, 38))
    assert air < 300 < lung < 0.8 * mediastinum
    assert lung < 0.8 * abdomen


def test_equal_seeds_give_equal_films_and_others_differ():
    assert np.array_equal(phantom(3, height=HEIGHT).stored, phantom(3, height=HEIGHT).stored)
    assert not np.array_equal(phantom(3, height=HEIGHT).stored, phantom(4, height=HEIGHT).stored)


def test_one_person_keeps_the_anatomy_over_several_films():
    first, second = (phantom(seed, person=9, height=HEIGHT) for seed in (1, 2))
    assert first.anatomy == second.anatomy
    assert not np.array_equal(first.stored, second.stored)


@pytest.mark.parametrize("finding", sorted(set(FINDINGS)))
def test_every_finding_changes_the_film_where_it_belongs(finding):
    without, with_it = (
        cv2.GaussianBlur(phantom(5, height=HEIGHT, findings=which).stored.astype(np.float32), (0, 0), 3)
        for which in ((), (finding,))
    )
    change = np.abs(with_it - without)
    left, right = change[:, 187:].sum(), change[:, :167].sum()
    assert change.max() > 60
    if finding.endswith("_left"):
        assert left > 3 * right
    if finding.endswith("_right"):
        assert right > 3 * left


def test_an_enlarged_heart_is_wider():
    normal, large = (phantom(5, height=HEIGHT, findings=which).anatomy.heart for which in ((), ("cardiomegaly",)))
    assert large > normal + 0.25


def test_less_dose_is_more_noise(clean):
    def grain(film):
        patch = region(film, -6, 38, 2).astype(float)
        return (patch - cv2.GaussianBlur(patch, (0, 0), 2)).std()

    quarter = phantom(7, height=HEIGHT, dose=25 / 16).stored.astype(int)
    assert grain(quarter) == pytest.approx(4 * grain(clean), rel=0.2)


def test_resolution_leaves_the_anatomy_in_place():
    small, large = (phantom(5, height=h).stored.astype(np.float32) for h in (HEIGHT, 2 * HEIGHT))
    shrunk = cv2.resize(large, small.shape[::-1], interpolation=cv2.INTER_AREA)
    smooth = [cv2.GaussianBlur(film, (0, 0), 8).ravel() for film in (small, shrunk)]
    assert np.corrcoef(smooth)[0, 1] > 0.99
