"""The judge's loop: it looks, asks, answers, is contradicted; and every way ends in one verdict without a pixel."""

import asyncio
import base64
import pickle
from dataclasses import replace

import pytest
from lrrg.agent import graph
from lrrg.agent.faults import JudgeReplyError, JudgeUnavailable
from lrrg.agent.forms import Region
from lrrg.agent.nodes import Sending, drawn
from lrrg.agent.policy import Policy
from lrrg.agent.reconcile import needs_measuring, settle
from lrrg.agent.scores import Score
from lrrg.agent.state import ASPECTS, Failure, ImageRef, Reading, Ruling, Verdict
from lrrg.tests.oracle import PICTURES, Scripted, grades, judging
from lrrg.tests.project import policy as grain
from lrrg.tools.looks import REGIONS

IMAGE = ImageRef("one", "/films/one.png", "PA")
GOOD, BAD = 2.0, 5.0
"""Grain that the policy grades 0 and 3."""
DETAIL, FIELD = '{"look":"detail","region":"upper left"}', '{"look":"field"}'


@pytest.fixture
def policy() -> Policy:
    """Goes by grain alone; severe noise alone makes a film low."""
    return Policy.model_validate(grain() | {"rules": [{"aspect": "noise", "severity": 3, "regime": "low"}]})


def measuring(grains: float):
    async def measure(image: ImageRef) -> Reading:
        return Reading("a", "b", 9, "png", 4, 3, 8, "presentation", None, (), {"noise.haar": grains}, 1.0)

    return measure


def judged(policy: Policy, judge: graph.Judging, grains: float = GOOD, image: ImageRef = IMAGE) -> Verdict:
    return asyncio.run(graph.decide(graph.build(measuring(grains), policy, judge), image))


def walk(policy: Policy, judge: graph.Judging, grains: float = GOOD) -> list[tuple[str, dict]]:
    async def go():
        return [step async for step in graph.steps(graph.build(measuring(grains), policy, judge), IMAGE)]

    return asyncio.run(go())


def test_it_answers_at_once(policy):
    oracle = Scripted(grades(positioning=2), sure=0.97)
    found = judged(policy, judging(oracle))
    assert (found.status, found.route) == ("ok", "judge")
    assert found.assessment.severities == dict.fromkeys(ASPECTS, 0) | {"positioning": 2}
    assert found.judgement.rulings["noise"] == Ruling(0, "tools")
    assert found.judgement.rulings["positioning"] == Ruling(2, "judge"), "the tools measured no positioning"
    assert found.judgement.probabilities["positioning"] == pytest.approx((0.03, 0, 0.97, 0))
    assert found.judgement.confidence == pytest.approx(0.97)
    assert found.judgement.steps == ()
    assert "positioning: moderate for the judge" in found.rationale


def test_the_text_all_films_share_comes_before_their_pictures(policy):
    oracle = Scripted(grades())
    judged(policy, judging(oracle))
    system, user = oracle.heard[0]
    assert [part["type"] for part in user["content"]] == ["text", *["image_url"] * 3]
    sent = [part["image_url"]["url"].removeprefix("data:image/png;base64,") for part in user["content"][1:]]
    assert tuple(map(base64.b64decode, sent)) == PICTURES
    assert "radiographer" in system["content"]
    assert user["content"][0]["text"].endswith("View by the catalog: PA")


def test_it_may_look_again_and_is_shown_what_it_asked_for(policy):
    oracle = Scripted(DETAIL, FIELD, grades())
    found = judged(policy, judging(oracle))
    assert [step.request.model_dump_json() for step in found.judgement.steps] == [DETAIL, FIELD]
    assert [step.told for step in found.judgement.steps] == ["seen: detail", "seen: field"]
    assert oracle.forms == ["Turn", "Turn", "Grades"], "after the last look only an answer fits"
    turns = oracle.heard[-1]
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert turns[2]["content"] == DETAIL
    assert [part["type"] for part in turns[3]["content"]] == ["text", "image_url"]
    assert "grade now" in turns[5]["content"][0]["text"]
    assert oracle.heard[0] == oracle.heard[-1][:2], "the conversation only grows, so that its beginning stays cached"


def test_without_looks_only_an_answer_fits(policy):
    oracle = Scripted(grades())
    judged(policy, judging(oracle, looks=0))
    assert oracle.forms == ["Grades"]


@pytest.mark.parametrize(
    ("again", "sure", "status", "ruling"),
    [
        (BAD, 0.97, "ok", Ruling(3, "again")),
        (GOOD, 0.97, "needs_review", Ruling(0, "open")),
        (GOOD, 0.7, "ok", Ruling(0, "tools")),
    ],
)
def test_a_dispute_is_measured_again_and_settled_by_rule(policy, again, sure, status, ruling):
    found = judged(policy, judging(Scripted(grades(noise=3), sure=sure), again={"noise.haar": again}), GOOD)
    assert found.judgement.rulings["noise"] == ruling
    assert found.status == ("needs_review" if ruling.severity == 3 else status), "severe although fitted high"
    assert found.judgement.again == {"noise": 3 if again == BAD else 0}


def test_a_milder_judge_disputes_too(policy):
    found = judged(policy, judging(Scripted(grades(noise=0)), again={"noise.haar": BAD}), BAD)
    assert found.judgement.rulings["noise"] == Ruling(3, "open")
    assert found.status == "needs_review"
    assert "noise: none for the judge, severe for the tools" in found.rationale


def test_what_stays_open_and_decides_nothing_is_nobodys_work(policy):
    without_rules = policy.model_copy(update={"rules": ()})
    found = judged(without_rules, judging(Scripted(grades(noise=2)), again={"noise.haar": GOOD}), GOOD)
    assert found.judgement.rulings["noise"] == Ruling(0, "open")
    assert (found.status, found.judgement.contested) == ("ok", False)


def test_quality_and_regime_stay_the_tools_without_a_fitted_section(policy):
    alone = asyncio.run(graph.decide(graph.build(measuring(BAD), policy), IMAGE))
    found = judged(policy, judging(Scripted(grades(noise=3, artifact=3))), BAD)
    assert (found.assessment.quality, found.assessment.regime) == (alone.assessment.quality, alone.assessment.regime)


SURE_SEVERE, UNSURE, SURE_NONE = Score((0.02, 0, 0, 0.98)), Score((0.25, 0.25, 0.25, 0.25)), Score((0.98, 0, 0, 0.02))


@pytest.mark.parametrize(
    ("aspect", "score", "tools", "again", "ruling", "measured"),
    [
        ("blur", SURE_SEVERE, None, None, Ruling(3, "judge"), False),
        ("blur", SURE_SEVERE, 2, None, Ruling(2, "tools"), False),
        ("blur", UNSURE, 3, None, Ruling(3, "tools"), False),
        ("blur", UNSURE, 1, None, Ruling(1, "tools"), False),
        ("blur", SURE_SEVERE, 0, 2, Ruling(2, "again"), True),
        ("blur", SURE_SEVERE, 0, 0, Ruling(0, "open"), True),
        ("blur", SURE_SEVERE, 0, None, Ruling(0, "open"), True),
        ("positioning", SURE_SEVERE, 0, None, Ruling(3, "judge"), False),
        ("positioning", SURE_NONE, 3, 3, Ruling(3, "open"), True),
        ("artifact", Score((0.3, 0, 0, 0.7)), 0, 0, Ruling(0, "tools"), True),
    ],
)
def test_the_rule(aspect, score, tools, again, ruling, measured):
    assert settle(aspect, score, tools, again) == ruling
    assert needs_measuring(aspect, score, tools) == measured


@pytest.mark.parametrize("code", ["malformed", "truncated", "rejected"])
def test_useless_replies_end_as_a_failed_verdict_that_keeps_the_last(policy, code):
    found = judged(policy, judging(Scripted(JudgeReplyError(code, "why", '{"noise":9'))))
    assert (found.status, found.error_code, found.error_detail, found.reply) == ("failed", code, "why", '{"noise":9')
    assert found.reading is not None, "trying again need not open the file"
    assert found.judgement is None


def test_tokens_that_spell_something_else_are_a_useless_reply(policy):
    oracle = Scripted(grades())

    async def mute(*_: object, **__: object):
        return replace(await Scripted.ask_scored(oracle, *_, **__), tokens=())

    oracle.ask_scored = mute
    found = judged(policy, judging(oracle))
    assert (found.status, found.error_code, found.reply) == ("failed", "malformed", grades())


def test_a_judge_out_of_reach_stops_the_work(policy):
    with pytest.raises(JudgeUnavailable):
        judged(policy, judging(Scripted(JudgeUnavailable("unreachable", "gone"))))


def test_a_film_that_cannot_be_looked_at_ends_with_why(policy):
    gone = Failure("failed", "io-error", "cable")
    found = judged(policy, judging(Scripted(grades()), fails=gone))
    assert (found.status, found.error_code) == ("failed", "io-error")
    found = judged(policy, judging(Scripted(grades(noise=3)), again=gone))
    assert (found.status, found.error_code) == ("failed", "io-error")


@pytest.mark.parametrize(("grains", "why"), [(GOOD, None), (4.6, "uncertain"), (8.0, None)])
def test_triage_sends_only_the_uncertain_and_says_why(policy, grains, why):
    oracle = Scripted(grades(noise=2))
    found = judged(policy, judging(oracle, sending=Sending("uncertain", audit=0)), grains)
    assert (found.judgement and found.judgement.why) == why
    assert found.route == ("judge" if why else "tools")
    assert len(oracle.heard) == bool(why)


def test_an_audit_draws_its_fraction_of_the_clear_films_by_their_ids():
    ids = [f"film{number}" for number in range(4000)]
    chosen = [name for name in ids if Sending("uncertain", 0.05).why(ImageRef(name, ""), False) == "audit"]
    assert 0.04 < len(chosen) / len(ids) < 0.06
    wider = [name for name in ids if Sending("uncertain", 0.1).why(ImageRef(name, ""), False) == "audit"]
    assert set(chosen) < set(wider)
    assert drawn("film1") == drawn("film1")


def test_nothing_in_the_state_or_verdict_holds_a_pixel(policy):
    steps = walk(policy, judging(Scripted(DETAIL, grades(noise=3)), again={"noise.haar": GOOD}))
    assert [node for node, _ in steps] == ["measure", "triage", "judge", "inspect", "judge", "reconcile", "verdict"]
    kept = pickle.dumps([written for _, written in steps])
    for picture in (*PICTURES, b"closer"):
        assert picture not in kept
        assert base64.b64encode(picture) not in kept


def test_regions_are_those_that_can_be_cut():
    assert set(Region.__args__) == set(REGIONS)
