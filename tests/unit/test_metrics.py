import numpy as np
import pytest
from lrrg.benchmark.corpus import Corpus
from lrrg.benchmark.findings import FINDINGS
from lrrg.benchmark.metrics import METRICS

EDEMA, EFFUSION, NORMAL, DEVICES = "Edema", "Pleural Effusion", "No Finding", "Support Devices"


def label_by_name(text: str):
    """Test labeler: a finding is positive where its name stands, uncertain where a question mark follows it."""
    return np.array([-1 if f"{name}?" in text else 1 if name in text else -2 for name in FINDINGS], np.int8)


def score(name: str, pairs: list[tuple[str, str]], **known) -> float:
    corpus = Corpus([ours for ours, _ in pairs], [theirs for _, theirs in pairs], label_by_name, **known)
    metric = METRICS[name]
    return float(metric.value(corpus.statistics(metric.statistics).sum(0)))


TEXTS = (
    f"{EDEMA} is seen .",
    f"{EFFUSION} and {EDEMA} .",
    f"{NORMAL} today , clear .",
    f"{DEVICES} in {EDEMA} .",
)
NEITHER = {"length_ratio": 1.0, "limitation_mentioned": 0.0}


@pytest.mark.parametrize("name", METRICS)
def test_identical_reports_reach_the_best_value_and_order_is_irrelevant(name: str):
    metric = METRICS[name]
    found = score(name, [(text, text) for text in (*TEXTS, *TEXTS)], priors=[False] * 8, twins=[-1] * 4 + [0, 1, 2, 3])
    turned = [(text, text) for text in (*TEXTS[::-1], *TEXTS[::-1])]
    assert score(name, turned, priors=[False] * 8, twins=[4, 5, 6, 7] + [-1] * 4) == pytest.approx(found)
    if name != "cider":  # identical text reaches 10 only where every order has n-grams that are not in all references
        best = NEITHER[name] if metric.better == "neither" else metric.bounds[metric.better == "higher"]
        assert found == pytest.approx(best, abs=1e-6)


def test_empty_text_scores_zero_and_is_counted():
    pairs = [("", f"{EDEMA} is seen"), ("  ", f"{EFFUSION} small")]
    for name in ("bleu_4", "rouge_l", "cider", "micro_f1_14_uncertain_positive", "example_f1_5_uncertain_negative"):
        assert score(name, pairs) == 0
    assert score("empty", pairs) == 1


def test_micro_and_macro_f1_by_hand():
    pairs = [(f"{EDEMA}", f"{EDEMA} {EFFUSION}"), (f"{EDEMA}", f"{EFFUSION}")]
    # Edema: 1 true, 1 false, 0 missed; effusion: 0 true, 0 false, 2 missed.
    assert score("micro_f1_14_uncertain_positive", pairs) == pytest.approx(2 / 5)
    assert score("macro_f1_14_uncertain_positive", pairs) == pytest.approx((2 / 3 + 0) / 2)
    assert score("example_f1_14_uncertain_positive", pairs) == pytest.approx((2 / 3 + 0) / 2)


def test_uncertainty_policies_differ_where_they_must():
    pairs = [(f"{EDEMA}?", f"{EDEMA}")]
    assert score("micro_f1_14_uncertain_positive", pairs) == 1
    assert score("micro_f1_14_uncertain_negative", pairs) == 0


def test_normal_collapse_counts_abnormal_studies_called_normal():
    pairs = [(NORMAL, EDEMA), (EDEMA, EDEMA), (NORMAL, NORMAL), (NORMAL, f"{NORMAL} {DEVICES}")]
    assert score("normal_collapse", pairs) == pytest.approx(1 / 2)


def test_repetition_counts_repeated_trigrams():
    assert score("repetition", [("a b c a b c", "x")]) == pytest.approx(1 / 4)
