"""A run with a judge whose server misbehaves: every image ends as exactly one row, the same as undisturbed."""

import hashlib
import json
import threading
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from lrrg.agent.faults import JudgeUnavailable
from lrrg.agent.state import ASPECTS
from lrrg.pipelines import settings
from lrrg.pipelines.annotate.stage import Order, annotate, count_pending
from lrrg.pipelines.cli import app
from lrrg.pipelines.engines.outcome import Outcome
from lrrg.pipelines.errors import StoreError
from lrrg.prompts import load
from lrrg.tests.oracle import grades, spelling
from lrrg.tests.project import Project, policy, start_project, write_films
from lrrg.tests.scripted import AGES, Act, Handler, fails, hangs, resets, says, serving, stops_midway
from typer.testing import CliRunner

FILMS = 10
DETAIL = '{"look":"detail","region":"upper left"}'
PNG = "iVBORw0KGgo"
"""How every PNG begins in base64."""


@pytest.fixture(scope="module")
def catalogued(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Films in a database without a verdict; tests work on copies of it."""
    folder = tmp_path_factory.mktemp("catalogued")
    write_films(folder / "films", FILMS)
    return start_project(folder, folder / "films")


@pytest.fixture(scope="module")
def undisturbed(catalogued: Project, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a run gives with a server that behaves."""
    project = copy(catalogued, tmp_path_factory.mktemp("undisturbed"))
    with serving(answers) as server:
        run(project, server.url)
    return project.table()


@pytest.fixture
def project(catalogued: Project, tmp_path: Path) -> Project:
    return copy(catalogued, tmp_path)


def copy(project: Project, folder: Path) -> Project:
    made = Project(project.films, folder / "films.duckdb")
    made.db.write_bytes(project.db.read_bytes())
    made.policy.write_bytes(project.policy.read_bytes())
    return made


def run(
    project: Project,
    *urls: str,
    order: Order = Order(),  # noqa: B008 - frozen
    read_seconds: float = AGES,
    **judge: Any,
) -> Outcome:
    settled = chosen(project, *urls, read_seconds=read_seconds, **judge)
    return annotate(project.db, settled, order, lambda *_: nullcontext(lambda *_, **__: None))


def chosen(project: Project, *urls: str, read_seconds: float = AGES, **judge: Any) -> settings.Settings:
    """Of a client that waits for a slow machine, but never long between two attempts."""
    patient = {"connect_seconds": AGES, "read_seconds": read_seconds, "patience": AGES}
    return settings.load(
        agent={"policy": str(project.policy)},
        annotate={"workers": 1, "batch_rows": 2, "batch_seconds": 0.2, "tool_timeout": AGES},
        client={**patient, "longest_wait": 0.05, "concurrency": 2},
        judge={"urls": urls, **judge},
    )


def answers(handler: Handler, body: dict[str, Any]) -> None:
    """Grade a film by its own bytes, after one more look at a third of them."""
    seen = hashlib.sha256(json.dumps(body["messages"][1]).encode()).digest()
    if seen[0] % 3 == 0 and len(body["messages"]) == 2:
        spelling(DETAIL)(handler, body)
        return
    spelling(grades(**{aspect: byte % 4 for aspect, byte in zip(ASPECTS, seen, strict=False)}))(handler, body)


def after(number: int, *acts: Act) -> list[Act]:
    """Answer so many requests, then play the acts, then answer for ever."""
    return [*[answers] * number, *acts, answers]


def test_every_film_is_judged_and_no_pixel_is_kept(project):
    with serving(answers) as server:
        run(project, server.url)
    assert project.nothing_lost_nothing_doubled()
    assert project.query("SELECT DISTINCT route, judge_why FROM verdict") == [("judge", "all")]
    assert project.query("SELECT count(*), count(DISTINCT aspect) FROM judgements") == [(6 * FILMS, 6)]
    wrong = "SELECT image_id FROM judgements WHERE abs(p0 + p1 + p2 + p3 - 1) > 1e-9 OR expected NOT BETWEEN 0 AND 3"
    assert project.query(wrong) == []
    assert project.query("SELECT judge FROM recipes WHERE latest") == [("judge",)]
    steps = [
        json.loads(each) for (each,) in project.query("SELECT judge_steps FROM verdict WHERE judge_steps NOT NULL")
    ]
    assert steps
    assert all(
        step == [{"asked": json.loads(DETAIL), "told": "The upper left ninth at full sharpness."}] for step in steps
    )
    for table in ("verdict", "labels", "run", "recipe"):
        assert not [row for row in project.query(f"FROM {table}") if PNG in str(row)]
    assert all(PNG in str(body) for body in server.asked), "the pictures did travel"


def test_the_settled_severities_are_the_labels(project):
    with serving(answers) as server:
        run(project, server.url)
    for aspect in ASPECTS:
        differ = (
            f"SELECT * FROM labels JOIN judgements USING (image_id) WHERE aspect = '{aspect}' AND {aspect} <> severity"
        )
        assert project.query(differ) == []
    assert project.query("SELECT * FROM labels WHERE judge_confidence NOT BETWEEN 0.25 AND 1") == []
    again = "FROM derived('verdict') EXCEPT FROM verdict"
    assert project.query(again) == []


@pytest.mark.parametrize(
    "acts",
    [
        (fails(429, Retry_After="0"),),
        (fails(503),) * 4,
        (resets,),
        (stops_midway,),
        (spelling("no JSON"),),
        (says('{"noise":', finish="length"),),
    ],
    ids=["429 with Retry-After", "burst of 503", "reset", "half a reply", "malformed once", "truncated once"],
)
def test_what_passes_leaves_no_trace(project, undisturbed, acts):
    with serving(*after(3, *acts)) as server:
        run(project, server.url)
    assert project.table() == undisturbed


def test_a_hang_leaves_no_trace(project, undisturbed):
    with serving(*after(3, hangs)) as server:
        run(project, server.url, read_seconds=10.0)  # the first look at the server has to be answered in time too
    assert project.table() == undisturbed


def test_a_request_called_wrong_costs_its_own_film_and_can_be_tried_again(project, undisturbed):
    with serving(*after(3, fails(400))) as server:
        run(project, server.url)
        assert project.query("SELECT error_code, count(*) FROM failures GROUP BY ALL") == [("rejected", 1)]
        assert project.nothing_lost_nothing_doubled()
        assert run(project, server.url).counts.total() == 0
        run(project, server.url, order=Order(retry_failed=True))
    assert project.table() == undisturbed


@pytest.mark.parametrize(
    ("act", "code", "reply"),
    [
        (spelling('{"noise":9}'), "malformed", '{"noise":9}'),
        (says('{"noise":', finish="length"), "truncated", '{"noise":'),
    ],
)
def test_useless_replies_are_kept_for_the_record(project, undisturbed, act, code, reply):
    with serving(act) as server:
        outcome = run(project, server.url)
    assert outcome.counts == {"failed": FILMS}
    kept = project.query("SELECT DISTINCT error_code, judge_reply, judge, route FROM verdict")
    assert kept == [(code, reply, None, "tools")]
    assert len(server.asked) == 3 * FILMS, "three seeds, and no more"
    with serving(answers) as server:
        run(project, server.url, order=Order(retry_failed=True))
    assert project.table() == undisturbed


def test_a_server_that_dies_stops_the_run_and_the_next_one_goes_on(project, undisturbed):
    with serving(*[answers] * 6, resets) as server:
        with pytest.raises(JudgeUnavailable):
            run(project, server.url)
        assert project.query("SELECT exit_code FROM run") == [(4,)]
        (done,) = project.query("SELECT count(*) FROM verdict")[0]
        assert 0 < done < FILMS
        assert project.query("SELECT DISTINCT status FROM verdict WHERE status = 'failed'") == []
    with serving(answers) as server:
        assert run(project, server.url).counts.total() == FILMS - done
    assert project.table() == undisturbed


def test_a_server_that_comes_back_goes_unnoticed(project, undisturbed):
    def dies(handler: Handler, body: dict[str, Any]) -> None:
        handler.server.closing.set()
        threading.Timer(0.3, handler.server.closing.clear).start()
        resets(handler, body)

    with serving(*after(5, dies)) as server:
        run(project, server.url)
    assert project.table() == undisturbed


def test_two_servers_share_the_films(project, undisturbed):
    with serving(answers) as one, serving(answers) as other:
        run(project, one.url, other.url)
        assert one.asked
        assert other.asked
    assert project.table() == undisturbed


@pytest.mark.parametrize("fault", ["another answers", "another is served"])
def test_the_wrong_model_ends_the_run_before_any_row(project, fault):
    act, model = (says(grades(), model="other"), None) if fault == "another answers" else (answers, "7B")
    with serving(act) as server, pytest.raises(JudgeUnavailable) as raised:
        run(project, server.url, model=model)
    assert raised.value.code == "wrong-model"
    assert project.query("SELECT count(*) FROM verdict") == [(0,)]


def test_a_new_policy_decides_anew_without_asking_again(project):
    with serving(answers) as server:
        run(project, server.url)
        asked = len(server.asked)
        said = project.query("SELECT image_id, judge, judge_steps FROM verdict ORDER BY ALL")
        project.policy.write_text(json.dumps(policy(bias=1.0)), encoding="utf-8")
        assert run(project, server.url).counts.total() == FILMS
        assert len(server.asked) == asked
        latest = "SELECT image_id, judge, judge_steps FROM verdict WHERE recipe_id = latest_recipe() ORDER BY ALL"
        assert project.query(latest) == said
        run(project, server.url, looks=1)
        assert len(server.asked) > asked, "with another number of looks it might say something else"


def test_films_that_only_the_judge_needs_are_not_called_missing_when_their_disk_is_gone(tmp_path):
    write_films(tmp_path / "films", 3)
    project = start_project(tmp_path, tmp_path / "films")
    run(project)
    project.films.rename(tmp_path / "away")
    with serving(answers) as server:
        with pytest.raises(StoreError, match="nothing is there"):
            run(project, server.url)
        assert project.query("SELECT DISTINCT status FROM verdict") == [("ok",)]
        (tmp_path / "away").rename(project.films)
        assert run(project, server.url).counts.total() == 3
    assert project.query("SELECT DISTINCT route FROM labels") == [("judge",)]


def test_only_uncertain_films_and_an_audit_reach_the_judge(project):
    reached = "SELECT DISTINCT route, judge_why FROM verdict WHERE recipe_id = latest_recipe()"
    with serving(answers) as server:
        run(project, server.url, when="uncertain", audit=0.0)
        assert project.query(reached) == [("judge", "uncertain")], "all of these films have some grain"
        project.policy.write_text(json.dumps(policy(bias=-30.0)), encoding="utf-8")
        run(project, server.url, when="uncertain", audit=0.0)
        assert project.query(reached) == [("tools", None)]
        run(project, server.url, when="uncertain", audit=1.0)
        assert project.query(reached) == [("judge", "audit")]


def test_what_can_change_a_verdict_makes_another_recipe_and_what_cannot_does_not(project):
    with serving(answers) as server, serving(answers) as other:
        pending = [
            run(project, server.url).counts.total(),
            count_pending(project.db, chosen(project, other.url), Order()),
            count_pending(project.db, chosen(project, server.url, looks=1), Order()),
            count_pending(project.db, chosen(project, server.url, prompt="quality_judge_compact.v1"), Order()),
            count_pending(project.db, chosen(project, server.url, when="uncertain"), Order()),
        ]
        server.models = {"judge": "/weights/judge", "judge@2": "/weights/judge"}
        pending.append(count_pending(project.db, chosen(project, server.url), Order()))
    assert pending == [FILMS, 0, FILMS, FILMS, FILMS, FILMS]


@pytest.mark.parametrize(
    ("options", "code"),
    [(("--judge", "http://example.com/v1"), 2), (("--judge", "http://127.0.0.1:9/v1"), 4)],
)
def test_a_judge_that_may_not_or_cannot_be_asked_is_said_in_one_line(project, options, code):
    done = project.lrrg("annotate", *options)
    assert (done.returncode, done.stderr.count("\n")) == (code, 1)
    assert project.query("SELECT count(*) FROM run") == [(0,)]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({"model": "7B"}, "fitted to 7B (judge), and you ask judge (judge)"),
        ({"revision": "older"}, "fitted to judge (older), and you ask judge (judge)"),
        ({"revision": None}, "fitted to judge (revision unknown), and you ask judge (judge)"),
        ({"prompt_sha256": "0" * 64}, "fitted to judge (judge), and you ask that judge with another prompt"),
    ],
)
def test_a_policy_that_knows_another_judge_is_said_before_any_work(project, changed, said):
    section = {"model": "judge", "revision": "judge", "prompt_sha256": load("quality_judge.v1").sha256}
    section |= {"temperatures": {}, "bias": 0.0, "tools": 1.0, "weights": {}, "regimes": {"low": 0.4, "high": 0.7}}
    project.policy.write_text(json.dumps({**policy(), "judge": section | changed}), encoding="utf-8")
    film = str(project.films / "film001.jpg")
    with serving(answers) as server:
        asking = ["--judge", server.url, "--policy", str(project.policy)]
        verbs = ["annotate", "--dry-run", "--db", str(project.db)], ["explain", film]
        done = [CliRunner().invoke(app, [*verb, *asking]) for verb in verbs]
        alone = CliRunner().invoke(app, ["annotate", "--dry-run", "--db", str(project.db), *asking[2:]])
    for each in done:
        assert each.exit_code == 0
        assert said is None or said in each.stderr
        assert ("left out" in each.stderr) == (said is not None)
        assert "left out" not in each.stdout
    assert alone.stderr == "", "who asks no judge knows that none is heard"


def test_explain_shows_what_the_judge_did(project):
    film = str(project.films / "film001.jpg")
    with serving(spelling(DETAIL), answers) as server:
        done = project.run(["explain", film, "--judge", server.url, "--json"], {})
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [step["step"] for step in told] == ["measure", "triage", "judge", "inspect", "judge", "reconcile", "verdict"]
    assert told[2]["asks for"] == json.loads(DETAIL)
    assert told[3]["told"] == "The upper left ninth at full sharpness."
    assert [row["aspect"] for row in told[4]["grades"]] == list(ASPECTS)
    assert {row["by"] for row in told[5]["rulings"]} <= {"tools", "judge", "again", "open"}
    assert PNG not in done.stdout
