"""The agent against a bare load generator, at a scripted server."""

import asyncio
import json
from collections import Counter
from pathlib import Path

import pytest
from lrrg.agent.faults import JudgeUnavailable
from lrrg.benchmark.mimic import mimic_jpeg
from lrrg.benchmark.phantom import phantom
from lrrg.pipelines.bench.judge import Kept, bench_judge
from lrrg.pipelines.bench.replay import replay
from lrrg.pipelines.cli import app
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.settings import Settings, load
from lrrg.tests.scripted import GRADES, Act, fails, resets, serving, stops_midway
from typer.testing import CliRunner


def settings(url: str) -> Settings:
    return load(annotate={"workers": 1}, client={"concurrency": 2}, judge={"urls": (url,)})


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    for seed in range(3):
        (folder / f"{seed}.jpg").write_bytes(mimic_jpeg(phantom(seed, height=400).stored))
    return folder


def bench(url: str, films: Path) -> Kept:
    return bench_judge(films, settings(url), 3, 2, lambda done: None)


def test_both_send_the_same_requests_and_each_goes_first_once(films: Path):
    with serving(GRADES) as server:
        kept = bench(server.url, films)
    bodies = [json.dumps(body, sort_keys=True) for body in server.asked]
    # Once to warm up, twice by the agent, twice by the generator; the three films differ.
    assert Counter(bodies) == dict.fromkeys(bodies, 5)
    assert len(set(bodies)) == 3
    bare, agent = kept.arms
    assert (bare.requests, agent.requests, len(kept.rounds)) == (6, 6, 2)
    assert kept.summary()["kept"] == pytest.approx(agent.rate / bare.rate, abs=1e-3)
    assert 0 < bare.p50 <= bare.p95
    assert bare.cpu < agent.cpu


def test_a_server_that_refuses_is_no_benchmark(films: Path):
    with serving(fails(400)) as server, pytest.raises(SettingsError, match="no judgement"):
        bench(server.url, films)
    with pytest.raises(JudgeUnavailable):
        bench(server.url, films)


@pytest.mark.parametrize("act", [fails(400), stops_midway, resets])
def test_a_server_that_does_not_answer_a_replayed_request_is_named(act: Act):
    request = b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}"
    with serving(act) as server, pytest.raises(SettingsError, match=server.url):
        asyncio.run(replay([request] * 3, settings(server.url)))


@pytest.mark.parametrize(
    ("urls", "said"),
    [
        (("http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1"), "one server of a judge"),
        (("https://127.0.0.1:1/v1",), "speaks plain HTTP"),
    ],
)
def test_one_server_that_speaks_plainly_is_needed(urls: tuple[str, ...], said: str, films: Path):
    chosen = load(annotate={"workers": 1}, judge={"urls": urls})
    with pytest.raises(SettingsError, match=said):
        bench_judge(films, chosen, 3, 2, lambda done: None)
    assert CliRunner().invoke(app, ["bench", "judge"]).exit_code == 2
