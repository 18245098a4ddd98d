from dataclasses import replace

import numpy as np
import pytest
from lrrg.benchmark.cases import Case, group
from lrrg.benchmark.confounding import IMBALANCED, adjusted_gaps, adjustment, overlap, standardisation
from lrrg.benchmark.corpus import Corpus
from lrrg.benchmark.metrics import Metric, averaged, ratio
from lrrg.benchmark.score import Roles, draw_scores, rows_of

VALUE = Metric("value", lambda corpus: averaged([float(text) for text in corpus.hypotheses]), ratio)


def cohort(seed: int, effect: float) -> tuple[list[Case], Corpus]:
    """Portable films are low more often and score worse; given that, quality costs `effect`."""
    rng = np.random.default_rng(seed)
    cases, texts = [], []
    for study in range(1500):
        portable = rng.random() < 0.5
        low = rng.random() < (0.6 if portable else 0.2)
        covariates = {"portable": float(portable), "ap": float(portable), "positives": 0.0, "hour": rng.uniform(0, 24)}
        name = f"s{study}"
        regime = "low" if low else "high"
        cases.append(Case(name, name, f"p{study // 3}", "", ("T1",), regime, covariates=covariates))
        texts.append(str(0.7 - 0.3 * portable - effect * low + rng.normal(0, 0.1)))
    return cases, Corpus(texts, texts, lambda text: np.zeros(14, np.int8))


@pytest.mark.parametrize("effect", [0.0, 0.1])
def test_adjusted_gaps_recover_the_effect_that_the_raw_gap_misses(effect: float):
    cases, corpus = cohort(3, effect)
    adjusted = adjustment(cases)
    assert adjusted is not None
    rows = {row.quantity: row for row in adjusted_gaps(VALUE, {"m": corpus}, cases, adjusted, draws=500, seed=0)}
    assert not rows["gap_raw"].low <= effect <= rows["gap_raw"].high
    for name in ("gap_standardised", "gap_overlap"):
        assert rows[name].low <= effect <= rows[name].high


def test_weights_balance_what_they_know():
    adjusted = adjustment(cohort(4, 0.0)[0])
    assert adjusted is not None
    portable = next(row for row in adjusted.balance if row.covariate == "portable")
    assert abs(portable.raw) > 0.5
    assert abs(portable.standardised) < 1e-9
    assert abs(portable.overlap) < IMBALANCED
    assert adjusted.effective["overlap"][1] < adjusted.low.sum()


def test_strata_with_one_regime_carry_no_weight():
    weights = standardisation(np.array([True, False, False, True]), np.array([0, 0, 1, 0]))
    assert weights.tolist() == [1.5, 3.0, 0.0, 1.5]


def test_overlap_weights_stay_finite_where_a_covariate_separates():
    weights = overlap(np.array([True] * 5 + [False] * 5), np.repeat([[1.0], [0.0]], 5, axis=0))
    assert np.isfinite(weights).all()


def test_no_covariates_no_adjustment():
    assert adjustment([Case("a", "a", "p", "", ("T1",), "low")]) is None


def test_the_raw_gap_is_the_gap_whatever_the_range_of_the_metric():
    cases, corpus = cohort(5, 0.1)
    adjusted = adjustment(cases)
    assert adjusted is not None
    wide = replace(VALUE, bounds=(0.0, 10.0))
    cells = group(cases)
    drawn = draw_scores(wide, {"m": corpus}, cases, cells, draws=100, seed=0)
    gap = next(row for row in rows_of(wide, drawn, set(cells), Roles(floor="m")) if row.quantity == "gap")
    raw = next(iter(adjusted_gaps(wide, {"m": corpus}, cases, adjusted, draws=100, seed=0)))
    assert raw.quantity == "gap_raw"
    assert (raw.value, raw.low, raw.high) == pytest.approx((gap.value, gap.low, gap.high))


def test_regimes_that_share_no_stratum_have_no_standardised_gap():
    cases, corpus = cohort(6, 0.1)
    apart = [replace(case, covariates={**case.covariates, "ap": float(case.regime == "low")}) for case in cases]
    adjusted = adjustment(apart)
    assert adjusted is not None
    assert adjusted.effective["standardised"] == (0, 0)
    assert all(np.isnan(row.standardised) for row in adjusted.balance)
    rows = adjusted_gaps(VALUE, {"m": corpus}, apart, adjusted, draws=100, seed=0)
    assert {row.quantity for row in rows} == {"gap_raw", "gap_overlap"}
