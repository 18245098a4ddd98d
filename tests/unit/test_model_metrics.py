"""Metrics of models outside: direction, range, empty text, labels, options."""

import sys
from pathlib import Path

import numpy as np
import pytest
from lrrg.agent.faults import RefusedURL
from lrrg.benchmark.corpus import Corpus
from lrrg.benchmark.findings import FINDINGS
from lrrg.benchmark.metrics import LABELS
from lrrg.benchmark.model_metrics import ERROR_KINDS, RADCLIQ, SCALES, label_metrics, value_metric
from lrrg.pipelines.errors import ModelMetricError, SettingsError
from lrrg.pipelines.score import model_metrics
from lrrg.pipelines.score.model_metrics import Chexbert, RadEval, sources
from lrrg.pipelines.score.report_judge import ReportErrors, ReportJudge

ABSENT = np.full(14, -2, np.int8)


def by_name(text: str):
    """Labels a finding positive where its name stands."""
    return np.array([1 if name in text else -2 for name in FINDINGS], np.int8)


def nothing(text: str):
    """A labeler that finds nothing."""
    return ABSENT


def scored(metric, corpus: Corpus) -> float:
    return float(metric.value(corpus.statistics(metric.statistics).sum(0)))


@pytest.mark.parametrize("name", SCALES)
def test_a_value_is_the_mean_over_studies_and_is_never_turned_around(name: str):
    metric = value_metric(name, {("a", "x"): 0.25, ("b", "y"): 0.75})
    assert scored(metric, Corpus(["a", "b"], ["x", "y"], nothing)) == 0.5
    assert metric.better == ("lower" if name in ("radcliq_v1", "judge_errors") else "higher")


@pytest.mark.parametrize("name", SCALES)
def test_an_empty_report_gets_the_worst_value_and_is_not_asked_about(name: str):
    metric = value_metric(name, {})
    worst = metric.bounds[metric.better == "lower"]
    assert scored(metric, Corpus(["", " \n"], ["x", "y"], nothing)) == pytest.approx(worst)


def test_a_pair_without_a_value_is_no_silent_gap():
    with pytest.raises(KeyError):
        scored(value_metric("green", {}), Corpus(["a"], ["x"], nothing))


def test_radcliqs_ends_follow_from_its_published_coefficients():
    means, scales = np.array([0.53792312, 0.61757256, 0.76479421]), np.array([0.30282584, 0.22430938, 0.25394391])
    weights = np.array([-3.77083683e-01, -3.70300100e-01, -2.52616218e-01])
    ends = [float(weights @ ((value - means) / scales)) for value in (1, 0)]
    assert pytest.approx(ends, abs=1e-4) == RADCLIQ


def test_the_judges_range_is_what_its_form_allows():
    schema = ReportErrors.model_json_schema()["properties"]
    assert len(schema) == ERROR_KINDS
    assert sum(each["maximum"] for each in schema.values()) == SCALES["judge_errors"].bounds[1]


def test_another_labelers_metrics_are_the_same_arithmetic_on_other_labels():
    texts, references = ["Edema", "Edema Fracture", "clear"], ["Edema", "Edema Pneumonia", "Fracture"]
    ours, theirs = Corpus(texts, references, by_name), Corpus(texts, references, nothing)
    for metric, other in zip(LABELS, label_metrics("chexbert", by_name), strict=True):
        assert other.name == f"chexbert_{metric.name}"
        np.testing.assert_equal(scored(other, theirs), scored(metric, ours))


WORKER = f"""
import json, sys
sent, received = sys.argv[sys.argv.index("--pairs") + 1], sys.argv[sys.argv.index("--values") + 1]
names = {list(FINDINGS)!r}
order = sorted(names, reverse=True)
columns = [side + ":" + name for side in ("reference", "hypothesis") for name in order]
def labels(text): return [1 if name in text else -2 for name in order]
with open(received, "w") as out:
    header = {{"columns": columns, "versions": {{"torch": "1"}}, "sha256": {{"chexbert": "f" * 64}}}}
    print(json.dumps(header), file=out)
    for line in open(sent):
        pair = json.loads(line)
        values = labels(pair["reference"]) + labels(pair["hypothesis"])
        print(json.dumps({{"id": pair["id"], "values": values}}), file=out)
"""


def test_labels_find_their_finding_whatever_the_workers_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "chexbert_worker.py").write_text(WORKER)
    monkeypatch.setattr(model_metrics, "WORKERS", tmp_path)
    texts, references = ["Edema", "Fracture", ""], ["Edema", "Edema", "Fracture"]
    pairs = set(zip(texts[:2], references[:2], strict=True))
    found = Chexbert(tmp_path / "chexbert.pth", sys.executable)([*pairs, ("Fracture", "Fracture")])
    values = {metric.name: scored(metric, Corpus(texts, references, nothing)) for metric in found.metrics}
    # Edema: 1 true, 1 missed; fracture: 1 false, 1 missed; the empty report mentions nothing.
    assert values["chexbert_micro_f1_14_uncertain_positive"] == pytest.approx(2 / 5)
    assert set(found.shown) <= values.keys()
    assert found.signature == {"chexbert": "torch-1#chexbert-ffffffffffff"}


def test_a_value_of_undeclared_scale_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "radeval_worker.py").write_text(WORKER)
    monkeypatch.setattr(model_metrics, "WORKERS", tmp_path)
    with pytest.raises(ModelMetricError, match="not declared") as caught:
        RadEval(["green"], sys.executable)([("a", "b")])
    assert caught.value.code == "malformed"


def test_options_need_their_other_half_and_a_url_of_this_machine():
    with pytest.raises(SettingsError, match="--bridge-python"):
        sources(Path("chexbert.pth"), None, None, None, None)
    with pytest.raises(SettingsError, match="--bridge-python python3: nothing is asked of it"):
        sources(None, None, "python3", None, None)
    with pytest.raises(SettingsError, match="go together"):
        sources(None, None, None, "http://127.0.0.1:1/v1", None)
    with pytest.raises(RefusedURL):
        sources(None, None, None, "http://judge.example/v1", "m")
    found = sources(Path("c.pth"), "green,rouge", "python3", "http://127.0.0.1:1/v1", "m")
    assert [type(source) for source in found] == [Chexbert, RadEval, ReportJudge]
    assert sources(None, None, None, None, None) == []


def test_a_host_is_allowed_in_the_settings(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LRRG_CLIENT__ALLOW_HOSTS", '["judge.example"]')
    (judge,) = sources(None, None, None, "http://judge.example/v1", "m")
    assert isinstance(judge, ReportJudge)
    assert judge.limits.allow_hosts == ("judge.example",)
