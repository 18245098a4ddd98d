"""How a judge's scores join what the tools say."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lrrg.agent.policy import Policy, assess, combine, load
from lrrg.agent.rows import Judged
from lrrg.agent.scores import Score
from lrrg.agent.state import ASPECTS
from lrrg.tests.stored import policy
from pydantic import ValidationError

CERTAIN = {"noise": Score((0.0, 0.0, 0.0, 1.0)), "blur": Score((0.5, 0.5, 0.0, 0.0))}


def section(**changes: Any) -> Judged:
    body = {
        "model": "judge",
        "revision": "0f3c",
        "prompt_sha256": "ab",
        "temperatures": {"blur": 2.0},
        "bias": -0.5,
        "tools": 0.9,
        "weights": {"noise": 0.6, "blur": 0.4},
        "regimes": {"low": 0.35, "high": 0.8},
    }
    return Judged.model_validate({**body, **changes})


def judged(**changes: Any) -> Policy:
    return Policy(**{**dict(policy()), "judge": section(**changes)})


def test_a_judge_joins_by_the_written_formula():
    tools = assess(judged(), {"noise.two": 1.5, "blur.one": 2.0}, "presentation", "AP")
    both = combine(judged(), tools, CERTAIN)
    odds = -0.5 + 0.9 * math.log(1 / tools.quality - 1) + 0.6 * 3 + 0.4 * 0.5
    assert both.quality == pytest.approx(1 / (1 + math.exp(odds)))
    assert both.contributions["judge.noise"] == pytest.approx(1.8)
    assert {name: 0.9 * value for name, value in tools.contributions.items()}.items() <= both.contributions.items()
    assert (both.severities, both.z) == (tools.severities, tools.z)


def test_without_a_section_the_tools_decide():
    tools = assess(policy(), {"noise.two": 1.5}, "presentation", "AP")
    assert combine(policy(), tools, CERTAIN) is tools
    assert policy().calibrated(CERTAIN) == CERTAIN


def test_temperatures_and_shifts_hold_by_aspect():
    skewed = {"noise": Score((0.1, 0.2, 0.3, 0.4)), "blur": Score((0.64, 0.16, 0.16, 0.04))}
    found = judged(shifts={"noise": math.log(2)}).calibrated(skewed)
    assert found["noise"].probabilities == pytest.approx((1 / 19, 4 / 19, 6 / 19, 8 / 19))
    assert found["blur"].probabilities == pytest.approx((4 / 9, 2 / 9, 2 / 9, 1 / 9))


@given(st.dictionaries(st.sampled_from(ASPECTS), st.integers(0, 3)), st.sampled_from(ASPECTS), st.integers(0, 3))
def test_a_worse_grade_never_makes_a_film_better(grades, aspect, grade):
    one = judged(weights=dict.fromkeys(ASPECTS, 0.5))
    tools = assess(one, {"noise.two": 0.5}, "equalised", "PA")

    def quality(given: dict) -> float:
        scores = {name: Score(tuple(float(k == digit) for k in range(4))) for name, digit in given.items()}
        return combine(one, tools, scores).quality

    assert (quality(grades | {aspect: grade}) <= quality(grades)) == (grade >= grades.get(aspect, 0))


def test_rules_outrank_the_judges_quality():
    one = judged(bias=-20.0)
    tools = assess(one, {}, "presentation", "AP")
    assert combine(one, tools, {}).regime == "high"
    ruled = combine(one, type(tools)(**{**vars(tools), "severities": {"noise": 3}}), {})
    assert (ruled.regime, ruled.quality) == ("low", combine(one, tools, {}).quality)


@pytest.mark.parametrize(
    "other", [(None, None, ""), ("other", "0f3c", "ab"), ("judge", "x", "ab"), ("judge", "0f3c", "x")]
)
def test_a_section_holds_for_its_own_judge_alone(other):
    one = judged()
    assert one.for_judge("judge", "0f3c", "ab") is one
    assert one.for_judge(*other) == policy()
    assert one.for_judge(*other).sha256 == policy().sha256 != one.sha256


def test_a_policy_with_a_section_survives_its_file(tmp_path):
    path = tmp_path / "own.json"
    path.write_text(judged(revision=None).text())
    assert load(path) == judged(revision=None)


@pytest.mark.parametrize(
    "wrong", [{"weights": {"noise": -0.1}}, {"temperatures": {"noise": 0.0}}, {"tools": -1.0}, {"weights": {"x": 1.0}}]
)
def test_a_senseless_section_is_refused(wrong):
    with pytest.raises(ValidationError):
        section(**wrong)
