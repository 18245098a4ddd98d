import itertools

import numpy as np
import pytest
from lrrg.benchmark.resample import by_patient, draw, holm, swap_test
from lrrg.benchmark.statistics import interval


def mean(sums):
    return sums[..., 0] / sums[..., 1]


def cohort(rng, patients: int, patient_sd: float = 0.3, mean_value: float = 0.0):
    """Per-study values with a shared patient effect and a skewed number of studies a patient."""
    sizes = np.clip(rng.geometric(0.15, patients), 1, 46)
    names = np.repeat([f"p{i}" for i in range(patients)], sizes)
    values = mean_value + np.repeat(rng.normal(0, patient_sd, patients), sizes) + rng.normal(0, 0.9, sizes.sum())
    return np.column_stack([values, np.ones(len(values))]), names


def test_order_of_studies_does_not_matter():
    statistics, names = cohort(np.random.default_rng(0), 50)
    order = sorted(set(names))
    shuffled = np.random.default_rng(1).permutation(len(names))
    first = by_patient(statistics, names, order)
    second = by_patient(statistics[shuffled], names[shuffled], order)
    assert first.shape == (50, 2)
    assert first[:, 1].sum() == len(names)
    assert np.allclose(first, second)


def test_same_seed_same_interval_whatever_the_chunks(monkeypatch):
    statistics, names = cohort(np.random.default_rng(0), 60)
    sums = by_patient(statistics, names, sorted(set(names)))
    (whole,) = draw([sums], mean, draws=500, seed=3)
    monkeypatch.setattr("lrrg.benchmark.resample.CHUNK_VALUES", 600)
    (chunked,) = draw([sums], mean, draws=500, seed=3)
    assert np.allclose(whole, chunked)


def test_swapping_in_chunks_gives_the_same_p_value_in_less_memory(monkeypatch):
    rng = np.random.default_rng(2)
    first, second = (np.column_stack([rng.normal(side, 1, 200), np.ones(200)]) for side in (0, 0.15))
    whole = swap_test(first, second, mean, draws=1001, seed=4)
    assert 0.01 < whole < 0.9
    shapes = []

    def watched(sums):
        shapes.append(sums.shape)
        return mean(sums)

    monkeypatch.setattr("lrrg.benchmark.resample.CHUNK_VALUES", 2000)
    assert swap_test(first, second, watched, draws=1001, seed=4) == whole
    assert max(shape[0] for shape in shapes if len(shape) == 2) == 10


def test_patients_without_a_study_in_a_condition_change_nothing_but_whose_draw_it_is():
    sums = np.array([[1.0, 1.0], [0.0, 0.0], [-3.0, 1.0], [0.0, 0.0]])
    (drawn,) = draw([sums], lambda total: total[..., 0], draws=200, seed=1)
    weights = np.random.default_rng(1).multinomial(4, np.full(4, 1 / 4), size=200)
    assert np.allclose(drawn[1:], weights @ sums[:, 0])


def test_paired_conditions_share_their_draws():
    statistics, names = cohort(np.random.default_rng(0), 60)
    sums = by_patient(statistics, names, sorted(set(names)))
    worse = sums.copy()
    worse[:, 0] -= 0.1 * worse[:, 1]
    first, second = draw([sums, worse], mean, draws=200)
    assert np.allclose(first - second, 0.1)


@pytest.mark.slow
def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(7)
    trials, hits = 1000, 0
    for trial in range(trials):
        statistics, names = cohort(rng, 290)
        sums = by_patient(statistics, names, sorted(set(names)))
        covered = interval(draw([sums], mean, draws=600, seed=trial)[0])
        hits += covered.low <= 0 <= covered.high
    assert 0.93 <= hits / trials <= 0.97


def test_swapping_twins_is_calibrated_and_has_power():
    rng = np.random.default_rng(5)

    def p_value(effect: float, draws: int, seed: int = 0) -> float:
        high, low = (np.column_stack([rng.normal(mean_value, 1, 80), np.ones(80)]) for mean_value in (effect, 0))
        return swap_test(high, low, mean, draws=draws, seed=seed)

    null = np.array([p_value(0, 500, seed) for seed in range(200)])
    assert 0.01 <= np.mean(null < 0.05) <= 0.10
    assert p_value(0.8, 2000) < 0.01


def test_swapping_equals_every_sign_flip_of_the_differences():
    rng = np.random.default_rng(6)
    high, low = (np.column_stack([rng.normal(0.4 * side, 1, 8), np.ones(8)]) for side in (1, 0))
    differences = (high - low)[:, 0]
    flips = np.array(list(itertools.product((-1, 1), repeat=8))) @ differences
    exact = np.mean(np.abs(flips) >= abs(differences.sum()) - 1e-12)
    assert swap_test(high, low, mean, draws=20_000) == pytest.approx(exact, abs=0.02)


def test_without_a_score_nothing_is_significant():
    nothing = np.zeros((20, 2))
    with np.errstate(invalid="ignore"):
        assert np.isnan(swap_test(nothing, nothing + 1, mean, draws=100))


def test_swap_test_sees_a_better_model_only():
    rng = np.random.default_rng(5)
    statistics, names = cohort(rng, 100)
    order = sorted(set(names))
    first = by_patient(statistics, names, order)
    noise = by_patient(np.column_stack([rng.normal(0, 0.3, len(names)), np.zeros(len(names))]), names, order)
    assert swap_test(first, first + noise, mean, draws=1000) > 0.05
    better = first + noise + np.column_stack([0.15 * first[:, 1], np.zeros(len(first))])
    assert swap_test(first, better, mean, draws=1000) < 0.01


def test_holm_is_monotone_and_bounded():
    assert holm([0.03, 0.01, 0.9]) == pytest.approx([0.06, 0.03, 0.9])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
