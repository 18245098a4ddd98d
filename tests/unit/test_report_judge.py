"""The LLM metric against a scripted server, and the whole of `lrrg score` with it."""

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from lrrg.agent.faults import JudgeUnavailable
from lrrg.agent.server import Limits
from lrrg.benchmark.corpus import Corpus
from lrrg.benchmark.spec import Spec
from lrrg.pipelines.cli import app
from lrrg.pipelines.errors import ModelMetricError
from lrrg.pipelines.score.files import card, markdown
from lrrg.pipelines.score.model_metrics import sources
from lrrg.pipelines.score.report_judge import ReportErrors, ReportJudge
from lrrg.pipelines.score.stage import Options, score
from lrrg.pipelines.splits.stage import materialise
from lrrg.pipelines.store import Store
from lrrg.tests.judged import judged_store
from lrrg.tests.scripted import AGES, fails, says, serving
from typer.testing import CliRunner

KINDS = list(ReportErrors.model_fields)
LIMITS = Limits(connect_seconds=AGES, read_seconds=AGES, concurrency=4)
PAIRS = [(f"candidate {index}", f"reference {index % 3}") for index in range(20)]


def counts(body: dict) -> str:
    """As many missing findings as the candidate has digits `1`, one false finding always."""
    text = body["messages"][1]["content"].partition("Candidate:")[2]
    return json.dumps({kind: {"false_finding": 1, "missing_finding": text.count("1")}.get(kind, 0) for kind in KINDS})


def test_each_pair_is_asked_about_once_and_its_errors_added_up():
    with serving(says(counts)) as server:
        found = ReportJudge(server.url, "judge", LIMITS)([*PAIRS, *PAIRS])
    (metric,) = found.metrics
    assert max(Counter(body["messages"][1]["content"] for body in server.asked).values()) == 1
    assert len(server.asked) == len(PAIRS)
    assert metric.better == "lower"
    assert {body["temperature"] for body in server.asked} == {0}
    assert found.signature["llm-judge"].startswith("judge@report_judge.v1#")
    texts, references = zip(*PAIRS, strict=True)
    values = metric.statistics(Corpus(texts, references, lambda _: pytest.fail("rule14 was asked")))[:, 0]
    assert values.tolist() == [1 + text.count("1") for text in texts]


@pytest.mark.parametrize("reply", ["{}", json.dumps(dict.fromkeys(KINDS, 6)), json.dumps(dict.fromkeys(KINDS, -1))])
def test_one_pair_without_a_valid_reply_stops_the_run(reply: str):
    def mostly(body: dict) -> str:
        return reply if "candidate 7" in body["messages"][1]["content"] else counts(body)

    with serving(says(mostly)) as server, pytest.raises(ModelMetricError) as caught:
        ReportJudge(server.url, "judge", LIMITS)(PAIRS)
    assert caught.value.code == "malformed"
    assert [body["seed"] for body in server.asked if "candidate 7" in body["messages"][1]["content"]] == [0, 1, 2]


def test_a_server_that_is_gone_stops_the_run():
    with serving(fails(404)) as server, pytest.raises(JudgeUnavailable):
        ReportJudge(server.url, "judge", LIMITS)(PAIRS)
    assert len(server.asked) <= 4


@pytest.fixture(scope="module")
def splits(tmp_path_factory) -> Path:
    """A benchmark without synthetic twins."""
    root = tmp_path_factory.mktemp("judge")
    with Store.open(judged_store(root / "verdicts.duckdb")) as store:
        materialise(store, root / "splits", ("parquet",), Spec(synthetic=()))
    return root / "splits"


def test_score_carries_the_judges_metric_through(splits: Path):
    with serving(says(counts)) as server:
        chosen = sources(None, None, None, server.url, "judge")
        scores = score(splits, [], Options(draws=100), lambda done=1, **counts: None, chosen)
    rows = [row for row in scores.rows if row.metric == "judge_errors"]
    assert all(row.value >= 1 for row in rows if row.quantity == "value")
    assert {row.track for row in rows} >= {"T1", "T5"}
    assert "|llm-judge:judge@report_judge.v1#" in scores.signature
    assert "Lower is better: judge_errors." in markdown(scores)
    assert any(row["metric"] == "judge_errors" for row in card(scores)["headline"])


def test_score_stops_where_the_other_environment_lacks_the_package(splits: Path, tmp_path: Path):
    command = ["score", "--splits", str(splits), "--out", str(tmp_path), "--draws", "100"]
    done = CliRunner().invoke(app, [*command, "--radeval", "rouge", "--bridge-python", sys.executable])
    assert isinstance(done.exception, ModelMetricError)
    assert (done.exception.code, list(tmp_path.iterdir())) == ("missing-package", [])
