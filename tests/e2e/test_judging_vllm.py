"""Runs with the compact judge on a real vLLM server: killed under way, and asked with the long prompt and its looks."""

import asyncio
import json
import re
import signal
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from lrrg.agent.client import Client
from lrrg.agent.forms import Detail, Grades, Request, Turn
from lrrg.agent.state import ASPECTS
from lrrg.pipelines import settings
from lrrg.pipelines.annotate.explain import explain
from lrrg.pipelines.annotate.stage import Order, annotate
from lrrg.pipelines.engines import judging
from lrrg.pipelines.serving.models import COMPACT
from lrrg.prompts import load
from lrrg.tests.project import Project, start_project, write_films
from lrrg.tests.served import Served
from pydantic import TypeAdapter

FILMS, FEW = 24, 6
SAID = "SELECT image_id, aspect, [p0, p1, p2, p3] FROM judgements ORDER BY ALL"
DECIDED = "SELECT image_id, status, route, rationale, settled, rulings, again FROM verdict ORDER BY ALL"
ROUNDING = 1e-3
"""Of a probability: what other requests a batch holds moves its last digits."""
VOCABULARY = json.loads((COMPACT / "tokenizer.json").read_text(encoding="utf-8"))["model"]["vocab"]
GRADING = [number for token, number in VOCABULARY.items() if re.match(r'\{?"?n', token)]
"""Tokens that grades begin with, `{"noise":`, and no look."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    write_films(tmp_path / "films", FILMS, height=640, width=520)
    return start_project(tmp_path, tmp_path / "films")


def run(
    project: Project, server: Served, killed_after: int | None = None, limit: int | None = None, **judge: Any
) -> None:
    """Annotate so many films; the server gets SIGTERM when so many verdicts are there."""
    done = 0

    def advance(number: int = 1, **_: int) -> None:
        nonlocal done
        done += number
        if done == killed_after:
            front = server.front()
            assert front is not None
            front.send_signal(signal.SIGTERM)

    chosen = settings.load(
        agent={"policy": str(project.policy)},
        annotate={"workers": 1, "batch_rows": 4, "batch_seconds": 0.5},
        client={"patience": 1200},  # of a killed server, which loads all over again
        judge={"urls": (server.url,), **judge},
    )
    annotate(project.db, chosen, Order(limit), lambda *_: nullcontext(advance))


@pytest.mark.timeout(1800)
def test_a_server_killed_under_way_changes_nothing(project, tmp_path, judge_server):
    undisturbed = Project(project.films, tmp_path / "undisturbed.duckdb")
    undisturbed.db.write_bytes(project.db.read_bytes())
    undisturbed.policy.write_bytes(project.policy.read_bytes())
    run(undisturbed, judge_server)
    run(project, judge_server, killed_after=FILMS // 3)
    assert project.nothing_lost_nothing_doubled()
    assert project.query("SELECT DISTINCT route, error_code FROM verdict") == [("judge", None)]
    assert project.query(DECIDED) == undisturbed.query(DECIDED)
    said, before = project.query(SAID), undisturbed.query(SAID)
    assert len(said) == FILMS * len(ASPECTS)
    for (*here, p), (*there, q) in zip(said, before, strict=True):
        assert here == there
        assert sum(p) == pytest.approx(1)
        assert p == pytest.approx(q, abs=ROUNDING)


def test_the_recipe_names_the_weights_that_answered(project, judge_server):
    run(project, judge_server)
    ((judge,),) = project.query("SELECT (body -> '$.judge')::VARCHAR FROM recipes WHERE latest")
    asked = json.loads(judge)
    assert asked["model"] == judge_server.model
    assert len(asked["revision"]) == 12, "of the folder's bytes"
    assert asked["prompt"] == "quality_judge_compact.v1"


@pytest.mark.parametrize("looks", [0, 2])
def test_the_grammar_of_both_forms_holds_a_real_model(judge_server, looks):
    """A model that never saw a request for another look may still only reply in the form."""
    form = Turn if looks else Grades

    async def ask():
        async with Client(judge_server.url, None) as client:
            text = {"role": "user", "content": "Grade."}
            return await asyncio.gather(
                *(client.ask_scored([text], form, max_tokens=128, seeds=(seed,)) for seed in range(4))
            )

    for answer in asyncio.run(ask()):
        said = answer.form.root if isinstance(answer.form, Turn) else answer.form
        assert isinstance(said, Grades | Detail)


class Curious(Client):
    """A client whose requests make the first words of a grade unlikely: weights that never learnt to ask then do.

    The schema holds all the same: where no look is left, the grades are all that may be said.
    """

    def _body(self, *what: Any) -> dict[str, Any]:
        return super()._body(*what) | {"logit_bias": dict.fromkeys(GRADING, -100)}


def test_judge_and_inspect_take_turns_on_a_real_server(project, judge_server, monkeypatch):
    """The long prompt with its two looks, through the whole pipeline; what it asks to see is the model's own choice."""
    monkeypatch.setattr(judging, "Client", Curious)
    before, looks = judge_server.cache(), load("quality_judge.v1").front["looks"]
    run(project, judge_server, limit=FEW, prompt="quality_judge.v1")
    asked, hit = (now - then for now, then in zip(judge_server.cache(), before, strict=True))
    assert project.query("SELECT route, error_code, count(*) FROM verdict GROUP BY ALL") == [("judge", None, FEW)]
    for said, p in project.query("SELECT judge_steps, [p0, p1, p2, p3] FROM judgements JOIN verdict USING (image_id)"):
        steps = json.loads(said)
        assert len(steps) == looks, "it asks as often as it may, and is then held to grades"
        assert all(TypeAdapter(Request).validate_python(step["asked"]) and step["told"] for step in steps)
        assert sum(p) == pytest.approx(1)
    assert hit / asked > 0.7, "the text that all films share is read once"


def test_explain_shows_the_looks_of_a_real_server(judge_server, monkeypatch, tmp_path):
    monkeypatch.setattr(judging, "Client", Curious)
    write_films(tmp_path, 1)
    chosen = settings.load(judge={"urls": (judge_server.url,), "prompt": "quality_judge.v1"})
    (film,), told = tmp_path.iterdir(), list[tuple[str, dict[str, Any]]]()
    explain(film, chosen, "PA", lambda step, found: told.append((step, found)))
    turns = ["judge", "inspect"] * load("quality_judge.v1").front["looks"]
    assert [step for step, _ in told] == ["measure", "triage", *turns, "judge", "reconcile", "verdict"]
    assert all(found["told"] for step, found in told if step == "inspect")
    (graded,) = (found["grades"] for _, found in told if "grades" in found)
    assert [row["aspect"] for row in graded] == list(ASPECTS)
