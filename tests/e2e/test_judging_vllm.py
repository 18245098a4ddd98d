"""A run with the compact judge on a real vLLM server, which is killed under way."""

import json
import signal
from contextlib import nullcontext
from pathlib import Path

import pytest
from lrrg.agent.forms import Detail, Grades, Turn
from lrrg.agent.state import ASPECTS
from lrrg.pipelines import settings
from lrrg.pipelines.annotate import Order, annotate
from lrrg.tests.project import Project, start_project, write_films
from lrrg.tests.served import Served

FILMS = 24
SAID = "SELECT image_id, aspect, [p0, p1, p2, p3] FROM judgements ORDER BY ALL"
DECIDED = "SELECT image_id, status, route, rationale, settled, rulings, again FROM verdict ORDER BY ALL"
ROUNDING = 1e-3
"""Of a probability: what other requests a batch holds moves its last digits."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    write_films(tmp_path / "films", FILMS, height=640, width=520)
    return start_project(tmp_path, tmp_path / "films")


def run(project: Project, server: Served, killed_after: int | None = None) -> None:
    """Annotate; the server gets SIGTERM when so many verdicts are there."""
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
        judge={"urls": (server.url,)},
    )
    annotate(project.db, chosen, Order(), lambda *_: nullcontext(advance))


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
    import asyncio

    from lrrg.agent.client import Client

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
