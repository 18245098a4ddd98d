import numpy as np
import pytest
from lrrg.benchmark.mimic import equalise
from lrrg.tools import Film, exposure


def ramp(low: int = 20, high: int = 235) -> np.ndarray:
    """Every grey from `low` to `high` equally often, over 512 x 512 pixels."""
    return np.tile(np.linspace(low, high, 512).round().astype(np.uint8), (512, 1))


def test_clipping_and_percentiles_of_a_known_film():
    grey = ramp()
    grey[np.random.default_rng(0).random(grey.shape) < 0.1] = 255
    film = Film(grey)
    assert exposure.clipped_high(film) == pytest.approx(0.1, abs=0.01)
    assert exposure.clipped_low(film) == 0.0
    assert exposure.p01(Film(ramp())) == pytest.approx(22, abs=1.5)
    assert exposure.p50(Film(ramp())) == pytest.approx(127.5, abs=1.5)
    assert exposure.p99(Film(ramp())) == pytest.approx(233, abs=1.5)
    assert exposure.grey_range(Film(ramp())) == pytest.approx(211, abs=3)


def test_entropy_of_equal_shares():
    greys = np.random.default_rng(0).choice(np.arange(0, 256, 16, dtype=np.uint8), (512, 512))
    assert exposure.entropy(Film(greys)) == pytest.approx(4.0, abs=0.01)


def test_plateaus_are_flat_and_told_apart_by_brightness():
    rng = np.random.default_rng(0)
    grey = rng.integers(100, 140, (1024, 1024)).astype(np.uint8)
    grey[100:462, 100:462], grey[520:963, 520:963] = 250, 3
    film = Film(grey, "equalised")
    assert exposure.plateau_high(film) == pytest.approx(0.125, abs=0.03)
    assert exposure.plateau_low(film) == pytest.approx(0.1875, abs=0.03)


def test_local_contrast_scales_with_contrast_and_ignores_brightness():
    wave = 20 * np.sin(np.arange(1024) / 25)[None, :] * np.ones((1024, 1))
    plain, bright, strong = (np.clip(v, 0, 255).astype(np.uint8) for v in (100 + wave, 160 + wave, 120 + 3 * wave))
    assert exposure.local_contrast(Film(bright)) == pytest.approx(exposure.local_contrast(Film(plain)), rel=0.05)
    assert exposure.local_contrast(Film(strong)) == pytest.approx(3 * exposure.local_contrast(Film(plain)), rel=0.1)


def test_equalised_films_have_no_percentiles():
    film = Film(ramp(), "equalised")
    assert all(each(film) is None for each in (exposure.p01, exposure.p50, exposure.p99, exposure.grey_range))
    assert exposure.clipped_high(film) is not None


def test_header_indices_are_measures_where_present():
    film = Film(ramp(), "linear", tags={"DeviationIndex": -2.5, "ExposureIndex": 240.0})
    assert exposure.deviation_index(film) == -2.5
    assert exposure.exposure_index(film) == 240.0
    assert exposure.deviation_index(Film(ramp())) is None


@pytest.mark.parametrize(
    ("keyword", "tool"), [("DeviationIndex", "deviation_index"), ("ExposureIndex", "exposure_index")]
)
@pytest.mark.parametrize("value", [-1e9, 1e9])
def test_header_indices_no_exposure_can_have_are_left_out(keyword: str, tool: str, value: float):
    film = Film(ramp(), "linear", tags={keyword: value})
    assert getattr(exposure, tool)(film) is None


def dim(shift: int) -> np.ndarray:
    """A chest-like film of soft dark air, after so much over-exposure, equalised."""
    across, down = np.meshgrid(np.linspace(-1, 1, 512), np.linspace(-1, 1, 512))
    grain = np.random.default_rng(3).normal(0, 2, (512, 512))
    body = 10 + 200 * np.exp(-(across**2 + 0.3 * down**2) * 3) + grain
    return equalise(np.clip(body - shift, 0, 255).round().astype(np.uint8))


def test_black_pile_grows_with_what_over_exposure_merged():
    piles = [exposure.black_pile(Film(dim(shift), "equalised")) for shift in (0, 25, 50, 80)]
    assert piles == sorted(piles)
    assert piles[1] > piles[0] + 1


def test_black_pile_leaves_black_margins_out():
    plain, framed = dim(0), dim(0)
    framed[:60] = 0
    framed[:, 450:] = 0
    pile = exposure.black_pile(Film(framed, "equalised"))
    assert pile == pytest.approx(exposure.black_pile(Film(plain, "equalised")), abs=0.5)


def test_black_pile_counts_more_where_the_darkest_grey_left_is_textured_anatomy_instead_of_smooth_air():
    smooth, textured = dim(50), dim(50)
    smooth[(smooth > 2) & (smooth < 30)] = 15
    darkest = (textured > 2) & (textured < 30)
    textured[darkest] = np.random.default_rng(4).integers(5, 28, darkest.sum())
    assert exposure.black_pile(Film(textured, "equalised")) > exposure.black_pile(Film(smooth, "equalised")) + 0.3


def test_black_pile_is_absent_where_nothing_but_black_is_left_and_before_equalisation():
    assert exposure.black_pile(Film(np.zeros((300, 300), np.uint8), "equalised")) is None
    assert exposure.black_pile(Film(dim(0))) is None
