import numpy as np
import pytest
from lrrg.benchmark.degrade import degrade
from lrrg.benchmark.mimic import as_mimic
from lrrg.benchmark.phantom import phantom
from lrrg.pipelines.films import labelled_films
from lrrg.tools.depth import to_eight_bit
from lrrg.tools.film import Film
from lrrg.tools.image import decode
from lrrg.tools.looks import REGIONS, details, looks, region, working_view

OVERVIEW, CROP = 168, 112


@pytest.fixture(scope="module")
def chest():
    return to_eight_bit(phantom(11, height=900).stored)


def noise(pixels):
    """Haar diagonal detail's robust deviation."""
    a, b, c, d = (pixels[i::2, j::2].astype(float) for i in (0, 1) for j in (0, 1))
    return np.median(np.abs(a - b - c + d)) / 2


def test_an_overview_and_two_native_details(chest):
    found = looks(Film(chest), OVERVIEW, CROP)
    assert [look.name for look in found] == ["overview", "detail A", "detail B"]
    assert [look.pixels.shape for look in found] == [(168, 168), (112, 112), (112, 112)]
    assert all(look.pixels.dtype == np.uint8 for look in found)
    for _, detail in found[1:]:
        windows = np.lib.stride_tricks.sliding_window_view(chest, (CROP, CROP))
        corner = np.argwhere((windows[:, :, 0] == detail[0]).all(2) & (windows[:, :, -1] == detail[-1]).all(2))
        assert len(corner) == 1, "a detail is a part of the film, pixel by pixel"


def test_the_overview_is_the_whole_film_without_bars(chest):
    bright = np.full((300, 500), 180, np.uint8)
    bright[100:200, 100:400] = 90
    whole = looks(Film(bright), OVERVIEW, CROP)[0].pixels
    assert whole[0, 0] == whole[-1, -1] == whole[0, -1] == 180
    assert (whole == 90).mean() == pytest.approx(100 * 300 / (300 * 500), abs=0.02)


def test_details_lie_apart_inside_the_film_and_away_from_the_rim(chest):
    (ax, ay), (bx, by) = details(chest, CROP)
    assert max(abs(ax - bx), abs(ay - by)) >= CROP - 4
    for x, y in ((ax, ay), (bx, by)):
        assert CROP / 2 <= x <= chest.shape[1] - CROP / 2
        assert 0.12 * 900 - 4 <= y <= 0.80 * 900


@pytest.mark.parametrize("defect", ["quantum_noise", "electronic_noise"])
def test_noise_does_not_move_the_details(films_root, defect):
    """Else a noisier film would show other anatomy, and its noise could not be compared with a clean one's."""
    films = [film for film in labelled_films(films_root) if film.source == "nih" and film.label == "good"][:12]
    kept = 0
    for film in films:
        clean = decode(film.path.read_bytes(), max_pixels=10**8).pixels
        noisy = degrade(clean, defect, 4, key=film.path.name)
        moved = [min(np.hypot(x - u, y - v) for u, v in details(noisy, CROP)) for x, y in details(clean, CROP)]
        kept += sum(distance < CROP / 4 for distance in moved)
    assert kept >= 0.9 * 2 * len(films)


def test_a_bright_label_does_not_attract_a_detail(chest):
    marked = chest.copy()
    marked[150:185:6, 560:640] = 255
    assert details(marked, CROP) == details(chest, CROP)


def test_noise_and_blur_survive_in_the_details(chest):
    clean = looks(Film(chest), OVERVIEW, CROP)[1].pixels
    noisy = looks(Film(degrade(chest, "quantum_noise", 3, key="a")), OVERVIEW, CROP)[1].pixels
    assert noise(noisy) > 1.5 * noise(clean)


@pytest.mark.parametrize("shape", [(64, 64), (64, 900), (900, 70), (113, 112), (5000, 64)])
def test_small_and_long_films_are_continued_by_their_mirror_image(shape):
    grain = np.random.default_rng(1).integers(60, 190, shape).astype(np.uint8)
    for _, pixels in looks(Film(grain), OVERVIEW, CROP)[1:]:
        assert pixels.shape == (CROP, CROP)
        assert pixels.min() >= 60, "no black is added"


def test_large_films_are_seen_at_the_working_view():
    film = Film(np.random.default_rng(1).integers(0, 255, (3056, 2544)).astype(np.uint8))
    assert working_view(film).shape == (1024, 852)
    assert np.array_equal(working_view(film), film.view1024)


def test_detector_values_are_equalised_as_the_archive_does_and_no_others(chest):
    assert np.array_equal(working_view(Film(chest, "presentation")), chest)
    assert np.abs(working_view(Film(chest, "linear")).astype(int) - as_mimic(chest)).mean() < 3


def test_a_named_region_is_cut_natively(chest):
    found = region(Film(chest), "upper left", CROP)
    assert found.name == "upper left"
    x, y = chest.shape[1] / 6, chest.shape[0] / 6
    top, left = round(y - CROP / 2), round(x - CROP / 2)
    assert np.array_equal(found.pixels, chest[top : top + CROP, left : left + CROP])
    assert len({region(Film(chest), name, CROP).pixels.tobytes() for name in REGIONS}) == 9
    with pytest.raises(KeyError):
        region(Film(chest), "elsewhere", CROP)
