import json

import cv2
import numpy as np
import pytest
from lrrg.benchmark import physics
from lrrg.benchmark.degrade import MODELS, apply, degrade
from lrrg.benchmark.ladder import SHIPPED, TOOL_SEVERITIES, LadderError, read_ladder, write_ladder

ORDERED = [name for name, defect in read_ladder().defects.items() if defect.ordered]


@pytest.fixture(scope="module")
def film():
    """Grain over smooth shapes and sharp edges, 960 x 800."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[0:960, 0:800]
    shapes = 120 + 60 * np.sin(x / 37) * np.cos(y / 53) + 30 * ((x // 40 + y // 60) % 2)
    return np.clip(np.round(shapes + rng.normal(0, 2, shapes.shape)), 0, 255).astype(np.uint8)


def test_every_defect_of_the_ladder_has_a_model():
    assert set(MODELS) == set(read_ladder().defects)


def test_each_aspect_has_defects_seen_and_unseen_in_training():
    defects = read_ladder().defects.values()
    for aspect in ("noise", "blur", "exposure", "collimation", "positioning", "artifact"):
        assert {defect.seen for defect in defects if defect.aspect == aspect} == {True, False}


@pytest.mark.parametrize("defect", sorted(MODELS))
def test_same_film_defect_and_severity_give_the_same_bits_at_any_thread_count(film, defect):
    before, threads = film.copy(), cv2.getNumThreads()
    first = degrade(film, defect, 3, key="a")
    cv2.setNumThreads(1 if threads > 1 else 2)
    second = degrade(film, defect, 3, key="a")
    cv2.setNumThreads(threads)
    assert first.dtype == np.uint8
    assert first.ndim == 2
    assert np.array_equal(first, second)
    assert np.array_equal(film, before)
    assert not np.shares_memory(first, film)
    assert first.shape != film.shape or not np.array_equal(first, film)


@pytest.mark.parametrize("defect", ["quantum_noise", "shutter", "tilt", "overlay_text", "cut_off", "grid_lines"])
def test_the_key_decides_the_draw(film, defect):
    results = {degrade(film, defect, 3, key=str(k)).tobytes() for k in range(8)}
    assert len(results) > 1


@pytest.mark.parametrize("defect", [name for name in ORDERED if name != "cut_off"])
def test_higher_severities_lie_farther_from_the_film(film, defect):
    distance = [np.abs(degrade(film, defect, s, key="b").astype(int) - film).mean() for s in (1, 2, 3, 4, 5)]
    assert distance[0] > 0
    assert distance[-1] > distance[2] > distance[0]


def test_cut_off_loses_the_stated_part_of_a_side(film):
    lost = [1 - degrade(film, "cut_off", s, key="c").size / film.size for s in (1, 2, 3, 4, 5)]
    assert lost == pytest.approx(read_ladder()["cut_off"].ladder, abs=0.003)


def test_a_side_too_short_to_lose_anything_is_still_a_film_of_its_own():
    film = np.full((64, 64), 9, np.uint8)
    assert not np.shares_memory(apply(film, "cut_off", 0.001, key="c"), film)


def test_a_blade_covers_its_depth():
    film = np.full((1000, 800), 128, np.uint8)
    for key in map(str, range(12)):
        covered = degrade(film, "shutter", 5, key=key) != 128
        sides = [covered[0].all(), covered[-1].all(), covered[:, 0].all(), covered[:, -1].all()]
        depths = [
            covered[:, 400].argmin(),
            covered[::-1, 400].argmin(),
            covered[500].argmin(),
            covered[500, ::-1].argmin(),
        ]
        lengths = (1000, 1000, 800, 800)
        assert any(sides)
        for shut, depth, length in zip(sides, depths, lengths, strict=True):
            assert depth == (pytest.approx(0.22 * length, abs=2) if shut else 0)


def test_quantum_noise_has_the_deviation_of_its_photons():
    film = np.full((500, 500), 100, np.uint8)
    noisy = physics.add_quantum_noise(film, 2000.0, np.random.default_rng(0)).astype(float)
    photons = 2000 * 100 ** (-100 / 255)
    assert noisy.std() == pytest.approx(255 / np.log(100) / np.sqrt(photons), rel=0.02)


def test_a_smaller_film_of_the_same_dose_is_less_noisy():
    small, large = np.full((509, 424), 120, np.uint8), np.full((3056, 2544), 120, np.uint8)
    ratio = degrade(large, "quantum_noise", 5, key="d").std() / degrade(small, "quantum_noise", 5, key="d").std()
    assert ratio == pytest.approx(6, rel=0.12)


def test_intensity_and_display_are_inverse():
    greys = np.arange(256, dtype=np.uint8)[None]
    assert np.array_equal(physics.display(physics.intensity(greys)), greys)


@pytest.mark.parametrize("defect", ["defocus", "motion"])
@pytest.mark.parametrize("severity", [2, 3, 4])
def test_blur_leaves_the_noise_of_a_flat_patch_as_it_was(defect, severity):
    rng = np.random.default_rng(5)
    flat = np.clip(np.round(rng.normal(110, 5, (800, 800))), 0, 255).astype(np.uint8)
    blurred = degrade(flat, defect, severity, key="e")
    finest = [film.astype(float) - cv2.GaussianBlur(film.astype(float), (0, 0), 1) for film in (flat, blurred)]
    assert finest[1].std() == pytest.approx(finest[0].std(), rel=0.12)


@pytest.mark.parametrize("sigma", [1.5, 3.0, 4.0, 4.7, 6.0, 12.0, 20.0])
def test_defocus_is_a_gaussian_of_its_sigma(sigma):
    point = np.zeros((401, 401), np.uint16)
    point[200, 200] = 65535
    spread = physics.defocus(np.repeat(point.max(axis=0)[None], 401, axis=0), sigma)[200].astype(float)
    x = np.arange(401) - 200
    assert np.sqrt((spread * x**2).sum() / spread.sum()) == pytest.approx(sigma, rel=0.035)


def test_motion_smears_along_its_path_only():
    film = np.full((3056, 600), 100, np.uint8)
    film[1500:1503, 300] = 255
    values = physics.move(physics.intensity(film), 64.0, 0.0)
    rows, columns = np.nonzero(values != values[0, 0])
    assert np.unique(columns).tolist() == [300]
    assert 60 <= np.ptp(rows) <= 70


def test_tool_severities_carry_the_parameters_of_the_tool_benchmark():
    ladder = read_ladder()
    at = lambda name: [ladder[name].value(TOOL_SEVERITIES[s]) for s in (1, 2, 3)]  # noqa: E731
    assert at("quantum_noise") == [1.25, 0.6, 0.3]
    assert at("defocus") == [3, 6, 12]
    assert at("motion") == [12, 24, 48]
    assert at("under_exposure") == at("over_exposure") == [25, 50, 80]
    assert at("low_contrast") == [0.7, 0.5, 0.3]
    assert at("shutter") == [0.04, 0.08, 0.14]
    assert at("cut_off") == [0.08, 0.16, 0.25]
    assert at("tilt") == [4, 8, 15]
    assert at("jpeg") == [40, 20, 10]


def test_unknown_defects_and_severities_are_refused(film):
    with pytest.raises(LadderError, match="no defect 'rust'"):
        degrade(film, "rust", 1, key="f")
    with pytest.raises(LadderError, match="severity 6"):
        degrade(film, "tilt", 6, key="f")
    with pytest.raises(LadderError, match="no model draws the defect 'rust'"):
        apply(film, "rust", 1.0, key="f")


def test_a_ladder_survives_its_file(tmp_path):
    ladder = read_ladder().with_steps({"tilt": (1.0, 2.0, 3.0, 4.0, 5.0)}, {"films": 12})
    write_ladder(ladder, tmp_path / "mine.json")
    assert read_ladder(tmp_path / "mine.json") == ladder
    assert ladder["tilt"].value(5) == 5.0


def test_the_shipped_ladder_is_written_as_we_write_ladders(tmp_path):
    write_ladder(read_ladder(), tmp_path / "again.json")
    assert json.loads((tmp_path / "again.json").read_text("utf-8")) == json.loads(SHIPPED.read_text("utf-8"))


def test_a_file_that_is_no_ladder_is_named(tmp_path):
    broken = tmp_path / "broken.json"
    broken.write_text('{"name": "x"}')
    with pytest.raises(LadderError, match=r"broken\.json"):
        read_ladder(broken)
