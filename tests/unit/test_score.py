"""Scoring on simulated cohorts whose truth is known."""

from dataclasses import replace

import numpy as np
import pytest
from lrrg.benchmark.cases import Case, Cell, aligned, group, large_enough, twin_rows
from lrrg.benchmark.corpus import Corpus
from lrrg.benchmark.endpoints import primary_endpoints
from lrrg.benchmark.errors import PredictionError
from lrrg.benchmark.findings import FINDINGS
from lrrg.benchmark.metrics import METRICS, Metric, averaged, ratio
from lrrg.benchmark.score import Roles, draw_scores, rows_of, twin_tests

VALUE = Metric("value", lambda corpus: averaged([float(text) for text in corpus.hypotheses]), ratio)


def label_by_name(text: str):
    """Test labeler: a finding is positive where its name stands in the text."""
    return np.array([1 if name in text else -2 for name in FINDINGS], np.int8)


def natural(rng, patients: int, effect: float, confounding: float) -> tuple[list[Case], list[float]]:
    """Studies whose regime depends on how ill the patient is; illness alone lowers the score by `confounding`."""
    cases: list[Case] = []
    scores: list[float] = []
    for patient in range(patients):
        illness = rng.random()
        for study in range(rng.geometric(0.2)):
            low = rng.random() < 0.1 + 0.6 * illness
            name = f"s{patient}-{study}"
            regime = "low" if low else "high"
            cases.append(Case(name, name, f"p{patient}", "", ("T1",), regime))
            scores.append(0.6 - confounding * illness - effect * low + rng.normal(0, 0.1))
    return cases, scores


def twins(rng, patients: int, effect: float) -> tuple[list[Case], list[float]]:
    cases: list[Case] = []
    scores: list[float] = []
    for patient in range(patients):
        base = 0.6 - 0.3 * rng.random()
        for regime, loss in (("high", 0.0), ("low", effect)):
            study = f"s{patient}"
            cases.append(Case(f"{study}:{regime}", study, f"p{patient}", "", ("T2",), regime, pair=study))
            scores.append(base - loss + rng.normal(0, 0.05))
    return cases, scores


def gap(cases: list[Case], scores: list[float], track: str, seed: int = 0):
    cells = group(cases)
    corpora = {"model": Corpus([str(score) for score in scores], [""] * len(cases), label_by_name)}
    drawn = draw_scores(VALUE, corpora, cases, cells, draws=800, seed=seed)
    rows = rows_of(VALUE, drawn, set(cells), Roles(floor="model"))
    return next(row for row in rows if row.quantity == "gap" and row.track == track and row.view == "all")


def test_twins_see_no_effect_where_confounding_fakes_one():
    rng = np.random.default_rng(1)
    naive = gap(*natural(rng, 250, effect=0.0, confounding=0.4), "T1")
    paired = gap(*twins(rng, 250, effect=0.0), "T2")
    assert naive.low > 0, "the naive gap must be fooled, or this test shows nothing"
    assert paired.low <= 0 <= paired.high


def test_twins_recover_a_real_effect():
    found = gap(*twins(np.random.default_rng(2), 300, effect=0.05), "T2")
    assert found.low <= 0.05 <= found.high
    assert found.low > 0


def test_predictions_must_answer_every_case_once():
    cases, _ = twins(np.random.default_rng(0), 3, 0.0)
    answers = [(case.case_id, "text") for case in cases]
    assert aligned(cases, reversed(answers), "file") == ["text"] * 6
    for broken, code in (
        (answers[1:], "missing"),
        ([*answers, answers[0]], "doubled"),
        ([*answers, ("x", "")], "foreign"),
    ):
        with pytest.raises(PredictionError) as error:
            aligned(cases, broken, "predictions.jsonl")
        assert error.value.code == code
        assert "predictions.jsonl" in str(error.value)


def test_small_cells_are_suppressed():
    cases, _ = natural(np.random.default_rng(0), 12, 0.0, 0.0)
    cells = group(cases)
    assert large_enough(cases, cells) == set(), "12 patients are too few whatever the studies"


def synthetic(rng, patients: int, loss: float, keeps: float):
    """Clean and degraded versions of studies; the reference loses findings with `loss`, the model with `keeps` less."""
    cases: list[Case] = []
    answers: dict[str, list[str]] = {"sft": [], "dual": []}
    for patient in range(patients):
        names = [FINDINGS[i] for i in rng.choice(14, 3, replace=False)]
        study = f"s{patient}"
        for severity in range(3):
            tracks = ("T4", "T5") if severity == 0 else ("T4",)
            defect = "blur" if severity else ""
            own = (f"{study}:{severity}", study, f"p{patient}", " ".join(names), tracks, "high")
            case = Case(*own, view="PA", defect=defect, severity=severity)
            cases.append(case)
            for model, rate in (("sft", loss), ("dual", loss - keeps)):
                lost = rng.random(3) < 0.1 + rate * severity / 2
                answers[model].append(" ".join(name for name, gone in zip(names, lost, strict=True) if not gone))
    references = [case.reference for case in cases]
    return cases, {model: Corpus(texts, references, label_by_name) for model, texts in answers.items()}


def test_difference_in_differences_and_endpoints_see_a_model_that_withstands():
    cases, corpora = synthetic(np.random.default_rng(3), 150, loss=0.5, keeps=0.4)
    cells = group(cases)
    roles = Roles(floor="sft", reference="sft", unseen=frozenset({"blur"}))
    metric = METRICS["micro_f1_14_uncertain_positive"]
    rows = rows_of(metric, draw_scores(metric, corpora, cases, cells, draws=500, seed=0), set(cells), roles)
    found = {(row.model, row.quantity, row.defect): row for row in rows}
    assert found["dual", "difference_in_differences", "blur"].low > 0
    assert found["dual", "relative_corruption_error", "blur"].high < 1
    assert found["sft", "mean_corruption_error", "unseen"].value == pytest.approx(1)
    endpoints = primary_endpoints(corpora, cases, cells, reference="sft", unseen=roles.unseen, draws=500, seed=0)
    assert [(each.model, each.endpoint) for each in endpoints] == [("dual", "P1"), ("dual", "P2")]
    assert endpoints[0].low > 0
    assert endpoints[0].p_holm < 0.01


def test_endpoints_claim_nothing_for_an_equal_model():
    cases, corpora = synthetic(np.random.default_rng(4), 150, loss=0.5, keeps=0.0)
    first = primary_endpoints(
        corpora, cases, group(cases), reference="sft", unseen=frozenset({"blur"}), draws=500, seed=0
    )[0]
    assert first.low <= 0 <= first.high
    assert first.p_holm > 0.05


def test_endpoints_claim_nothing_where_no_report_has_a_finding():
    cases, _ = synthetic(np.random.default_rng(4), 40, loss=0.5, keeps=0.0)
    nothing = [""] * len(cases)
    corpora = {model: Corpus(nothing, nothing, label_by_name) for model in ("sft", "dual")}
    found = primary_endpoints(
        corpora, cases, group(cases), reference="sft", unseen=frozenset({"blur"}), draws=100, seed=0
    )
    assert [each.endpoint for each in found] == ["P1", "P2"]
    assert all(np.isnan(each.value) and each.p_holm == 1 for each in found)


def test_cells_hold_every_view_and_defect():
    case = Case("a", "s", "p", "", ("T1", "T5"), "low", view="AP", aspects=("blur",))
    assert set(group([case])) == {
        Cell("T1", "low"),
        Cell("T1", "low", "AP"),
        Cell("T1", "low", "all", "blur"),
        Cell("T5"),
        Cell("T5", view="AP"),
    }


def test_a_twin_is_the_clean_film_or_the_high_one_of_a_pair():
    clean = Case("s1", "s1", "p", "x", ("T1", "T4", "T3"), "high", image_id="a", pair="q")
    cases = [
        clean,
        replace(clean, case_id="s1:noise:1", tracks=("T4",), defect="noise", severity=1),
        Case("s2", "s2", "p", "x", ("T1", "T3"), "low", image_id="b", pair="q"),
        Case("s3", "s3", "p", "x", ("T1",), "low", image_id="c"),
    ]
    assert twin_rows(cases) == [-1, 0, 0, -1], "a degraded film is nobody's better twin"


@pytest.mark.parametrize(("effect", "significant"), [(0.0, False), (0.05, True)])
def test_twin_gaps_have_a_paired_p_value(effect: float, significant: bool):
    cases, scores = twins(np.random.default_rng(8), 100, effect)
    cells = group(cases)
    corpora = {"model": Corpus([str(score) for score in scores], [""] * len(cases), label_by_name)}
    (row,) = twin_tests(VALUE, corpora, cases, cells, set(cells), draws=1000, seed=0)
    assert (row.track, row.regime, row.quantity) == ("T2", "all", "gap_p")
    assert (row.value < 0.01) == significant
    assert twin_tests(VALUE, corpora, cases, cells, set(), draws=1000, seed=0) == [], "suppressed cells have no test"


def ladder_rows(areas: dict[str, float], floor_value: float, seed: int = 0):
    """Rows of one model whose clean score is 0.8 and whose defects leave `areas`, with noise, beside a floor."""
    rng = np.random.default_rng(seed)
    cases: list[Case] = []
    ours: list[str] = []
    for patient in range(60):
        for defect, level in {"": 0.8, **areas}.items():
            name = f"s{patient}"
            severity = int(bool(defect))
            case = Case(f"{name}:{defect}", name, f"p{patient}", "", ("T4",), "high", defect=defect, severity=severity)
            cases.append(case)
            ours.append(str(level + rng.normal(0, 0.1)))
    floor = [str(floor_value + rng.normal(0, 0.1)) for _ in cases]
    corpora = {name: Corpus(texts, [""] * len(cases), label_by_name) for name, texts in (("m", ours), ("floor", floor))}
    cells = group(cases)
    drawn = draw_scores(VALUE, corpora, cases, cells, draws=400, seed=seed)
    rows = rows_of(VALUE, drawn, set(cells), Roles(floor="floor"))
    return {(row.model, row.quantity, row.defect): row for row in rows}


def test_the_interval_of_the_worst_defect_is_that_of_one_defect():
    rows = ladder_rows(dict.fromkeys("abcdefgh", 0.6), 0.1)
    worst = rows["m", "worst_defect", "all"]
    areas = [rows["m", "area_under_severity", each] for each in "abcdefgh"]
    lowest = min(areas, key=lambda row: row.value)
    assert (worst.value, worst.low, worst.high) == (lowest.value, lowest.low, lowest.high)


def test_retention_above_the_floor_needs_a_model_above_it():
    assert ladder_rows({"a": 0.6}, 0.4)["m", "retention_above_floor", "a"].value == pytest.approx(0.5, abs=0.1)
    assert ("m", "retention_above_floor", "a") not in ladder_rows({"a": 0.6}, 0.8)
    assert ("m", "retention_above_floor", "a") not in ladder_rows({"a": 0.6}, 0.9)


def test_a_share_of_too_few_is_not_shown():
    cases, _ = natural(np.random.default_rng(0), 60, 0.0, 0.0)
    cells = group(cases)
    rare = Metric("rare", lambda corpus: np.array([(0, row < 20) for row in range(len(cases))], float), ratio)
    corpora = {"model": Corpus(["x"] * len(cases), [""] * len(cases), label_by_name)}
    drawn = draw_scores(rare, corpora, cases, cells, draws=50, seed=0)["model"]
    assert large_enough(cases, cells), "the cells are large, what the share is about is not"
    assert all(np.isnan(values).all() for values in drawn.values())


def test_low_films_of_one_natural_defect_get_their_own_gap():
    cases, scores = natural(np.random.default_rng(6), 250, effect=0.1, confounding=0.0)
    noisy = [replace(case, aspects=("noise",)) if case.regime == "low" else case for case in cases]
    cells = group(noisy)
    corpora = {"model": Corpus([str(score) for score in scores], [""] * len(noisy), label_by_name)}
    drawn = draw_scores(VALUE, corpora, noisy, cells, draws=200, seed=0)
    rows = rows_of(VALUE, drawn, large_enough(noisy, cells), Roles(floor="model"))
    gaps = {row.defect: row for row in rows if row.quantity == "gap"}
    assert gaps["noise"].value == gaps[""].value, "every low film is a noisy one here"
    assert gaps["noise"].low > 0
