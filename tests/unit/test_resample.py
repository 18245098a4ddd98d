import numpy as np
import pytest
from lrrg.benchmark.resample import by_patient, draw, holm, interval, sign_flip, swap_test


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
    assert np.allclose(first.sums, second.sums)
    assert (first.studies, first.patients) == (len(names), 50)


def test_same_seed_same_interval_whatever_the_chunks(monkeypatch):
    statistics, names = cohort(np.random.default_rng(0), 60)
    sums = by_patient(statistics, names, sorted(set(names))).sums
    (whole,) = draw([sums], mean, draws=500, seed=3)
    monkeypatch.setattr("lrrg.benchmark.resample.CHUNK_VALUES", 600)
    (chunked,) = draw([sums], mean, draws=500, seed=3)
    assert np.allclose(whole, chunked)


def test_paired_conditions_share_their_draws():
    statistics, names = cohort(np.random.default_rng(0), 60)
    sums = by_patient(statistics, names, sorted(set(names))).sums
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
        sums = by_patient(statistics, names, sorted(set(names))).sums
        covered = interval(draw([sums], mean, draws=600, seed=trial)[0])
        hits += covered.low <= 0 <= covered.high
    assert 0.93 <= hits / trials <= 0.97


def test_sign_flip_is_calibrated_and_has_power():
    rng = np.random.default_rng(5)
    null = [sign_flip(rng.normal(size=80), draws=500, seed=i) for i in range(200)]
    assert 0.01 <= np.mean(np.array(null) < 0.05) <= 0.10
    assert sign_flip(rng.normal(0.6, 1, size=80), draws=2000) < 0.01


def test_swap_test_sees_a_better_model_only():
    rng = np.random.default_rng(5)
    statistics, names = cohort(rng, 100)
    order = sorted(set(names))
    first = by_patient(statistics, names, order).sums
    noise = by_patient(np.column_stack([rng.normal(0, 0.3, len(names)), np.zeros(len(names))]), names, order).sums
    assert swap_test(first, first + noise, mean, draws=1000) > 0.05
    better = first + noise + np.column_stack([0.15 * first[:, 1], np.zeros(len(first))])
    assert swap_test(first, better, mean, draws=1000) < 0.01


def test_holm_is_monotone_and_bounded():
    assert holm([0.03, 0.01, 0.9]) == pytest.approx([0.06, 0.03, 0.9])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
