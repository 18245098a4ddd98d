import numpy as np
import pytest
from lrrg.tools import Film
from lrrg.tools.noise import grain, haar, haar_native, relative


def grainy(sigma: float, size: int = 1024) -> np.ndarray:
    return np.clip(128 + np.random.default_rng(1).normal(0, sigma, (size, size)), 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize("sigma", [1.0, 2.5, 8.0, 20.0])
def test_haar_is_the_deviation_of_white_noise(sigma: float):
    assert haar(Film(grainy(sigma))) == pytest.approx(sigma, rel=0.1)
    assert haar_native(Film(grainy(sigma))) == pytest.approx(sigma, rel=0.1)


def test_haar_reads_the_noise_between_saturated_areas():
    half = grainy(4.0)
    half[:, 512:] = 255
    half[:256] = 0
    assert haar(Film(half)) == pytest.approx(4.0, rel=0.1)


def test_haar_ignores_ramps_and_upright_edges():
    smooth = np.tile(np.linspace(20, 230, 1024).round().astype(np.uint8), (1024, 1))
    smooth[:, 500:600] = 240
    assert haar(Film(smooth)) < 0.5


def test_a_saturated_film_has_no_measurable_noise():
    assert haar(Film(np.full((600, 600), 255, np.uint8))) is None
    assert relative(Film(np.full((600, 600), 255, np.uint8))) is None


def test_relative_noise_stays_when_contrast_is_stretched():
    rng = np.random.default_rng(2)
    wave = 25 * np.sin(np.arange(1024) / 20)[None, :] * np.ones((1024, 1)) + rng.normal(0, 5, (1024, 1024))
    plain, stretched = (np.clip(128 + gain * wave, 0, 255).round().astype(np.uint8) for gain in (1, 2.5))
    assert relative(Film(stretched)) == pytest.approx(relative(Film(plain)), rel=0.1)
    assert haar(Film(stretched)) == pytest.approx(2.5 * haar(Film(plain)), rel=0.1)


def test_grain_tells_noise_from_detail_that_is_as_strong():
    noisy = grainy(6.0)
    coarse = np.random.default_rng(5).normal(0, 1, (256, 256))
    detail = np.kron(coarse, np.ones((4, 4)))[1:, 1:]
    detailed = np.clip(128 + 12 * detail, 0, 255).round().astype(np.uint8)
    assert grain(Film(noisy)) == pytest.approx(6.0 * 2, rel=0.15)
    assert grain(Film(detailed)) < grain(Film(noisy)) / 2


def test_the_ratio_in_grain_stays_when_contrast_is_stretched():
    assert grain(Film(grainy(20.0))) == pytest.approx(4 * grain(Film(grainy(5.0))), rel=0.15)


def test_a_chequered_film_has_the_most_noise():
    chequered = Film(np.tile(np.array([[255, 0], [0, 255]], np.uint8), (512, 512)))
    for each in (haar, haar_native, relative, grain):
        assert 0 < each(chequered) <= each.bounds[1]


def test_grain_is_absent_where_the_halved_film_is_too_small():
    assert grain(Film(grainy(4.0, 40))) is None
