"""The agent's graph: which way each image goes, and that every way ends in a verdict."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from langsmith.utils import get_env_var, tracing_is_enabled
from lrrg.agent import graph, nodes
from lrrg.agent.policy import DOMAINS, Policy
from lrrg.agent.state import Assessment, Failure, ImageRef, Reading
from lrrg.tests.oracle import Scripted, grades, judging

IMAGE = ImageRef("one", "/films/one.png", "PA")
READING = Reading("ab", "cd", 9, "png", 4, 3, 8, "presentation", "AP", (), {"blur.width": 0.0}, 1.0)


@pytest.fixture
def policy() -> Policy:
    """Blur alone decides: quality falls from .98 to .02 as its width grows from 0 to 8; severity 3 from width 6 on."""
    everywhere = [{"domain": domain, "measure": "blur.width"} for domain in DOMAINS]
    scale = {"group": "unknown", "transform": "identity", "median": 0.0, "scale": 1.0, "films": 9}
    return Policy.model_validate(
        {
            "name": "test",
            "version": 1,
            "views": {},
            "reference": [row | scale for row in everywhere],
            "severities": [
                row | {"aspect": "blur", "on": "value", "direction": 1, "cuts": (2, 4, 6)} for row in everywhere
            ],
            "terms": [row | {"direction": 1, "low": 0, "high": 8, "weight": 1.0} for row in everywhere],
            "bias": dict.fromkeys(DOMAINS, -4.0),
            "regimes": {"low": 0.4, "high": 0.7},
            "rules": [],
            "band": (0.3, 0.8),
        }
    )


def measuring(found: Reading | Failure | Exception):
    """A measure that counts how often it was asked."""

    async def measure(image: ImageRef) -> Reading | Failure:
        measure.calls += 1
        if isinstance(found, Exception):
            raise found
        return found

    measure.calls = 0
    return measure


def blurred(width: float) -> Reading:
    return replace(READING, measures={"blur.width": width})


def walk(built: Any) -> list[str]:
    async def go():
        return [node async for node, _ in graph.steps(built, IMAGE)]

    return asyncio.run(go())


@pytest.mark.parametrize(("width", "regime"), [(0, "high"), (3.5, "borderline"), (8, "low")])
def test_the_policy_decides(policy, width, regime):
    found = asyncio.run(graph.decide(graph.build(measuring(blurred(width)), policy), IMAGE))
    assert (found.image_id, found.status, found.route) == ("one", "ok", "tools")
    assert found.assessment.regime == regime
    assert found.rationale.startswith(regime)


def test_the_catalogs_view_outranks_the_files(policy):
    found = asyncio.run(graph.decide(graph.build(measuring(READING), policy), IMAGE))
    assert found.reading.view == "PA"
    found = asyncio.run(graph.decide(graph.build(measuring(READING), policy), replace(IMAGE, view=None)))
    assert found.reading.view == "AP"


@pytest.mark.parametrize(
    ("view", "kept"), [("PA", True), ("AP SUPINE", True), ("FRONTAL", True), (None, True), ("LATERAL", False)]
)
@pytest.mark.parametrize("stored", [True, False])
def test_a_lateral_by_the_catalog_has_no_positioning_although_its_file_names_no_view(policy, view, kept, stored):
    found = replace(READING, view=None, measures={"blur.width": 1.0, "positioning.inversion": 0.4})
    image = replace(IMAGE, view=view)
    done = asyncio.run(graph.decide(graph.build(measuring(found), policy), image, found if stored else None))
    assert ("positioning.inversion" in done.reading.measures) == kept
    assert done.reading.measures["blur.width"] == 1.0


@pytest.mark.parametrize(
    "failure", [Failure("unreadable", "corrupt", "bad scan"), Failure("failed", "timeout", "60 s")]
)
def test_a_failure_ends_as_a_verdict_with_its_code(policy, failure):
    built = graph.build(measuring(failure), policy)
    found = asyncio.run(graph.decide(built, IMAGE))
    assert (found.status, found.error_code, found.error_detail) == failure[:3]
    assert found.reading is None
    assert walk(built) == ["measure", "verdict"]


def test_a_stored_reading_is_not_measured_again(policy):
    measure = measuring(READING)
    found = asyncio.run(graph.decide(graph.build(measure, policy), IMAGE, blurred(8)))
    assert found.assessment.regime == "low"
    assert found.reading.view == "PA"
    assert measure.calls == 0


def test_a_bug_in_a_tool_is_not_swallowed(policy):
    with pytest.raises(ZeroDivisionError):
        asyncio.run(graph.decide(graph.build(measuring(ZeroDivisionError()), policy), IMAGE))


def test_a_severe_defect_on_a_film_fitted_high_needs_review(policy):
    mild_weights = tuple(term.model_copy(update={"weight": 0.1}) for term in policy.terms)
    lenient = policy.model_copy(update={"terms": mild_weights})
    found = asyncio.run(graph.decide(graph.build(measuring(blurred(7)), lenient), IMAGE))
    assert found.assessment.regime == "high"
    assert found.status == "needs_review"
    assert "severe blur" in found.rationale


def test_rationale_names_defects_worst_first():
    found = Assessment(0.2, "low", {"noise": 1, "blur": 3, "exposure": 0}, {}, {})
    assert nodes.rationale(found) == "low (quality 0.20): severe blur, mild noise"


@pytest.mark.parametrize(
    ("regime", "said"),
    [
        ("low", "low (quality 0.20): no graded defect; contrast.lung and contrast.coarse weigh most"),
        ("high", "high (quality 0.20): no graded defect"),
    ],
)
def test_rationale_names_what_weighs_most_on_a_film_that_is_not_high(regime, said):
    weights = {"contrast.coarse": 1.5, "noise.haar": 1.2, "contrast.lung": 4.0, "blur.reblur": -6.0}
    assert nodes.rationale(Assessment(0.2, regime, {"noise": 0}, weights, {})) == said


def test_rationale_passes_over_weights_that_hardly_count():
    found = Assessment(0.95, "borderline", {"blur": 3}, {"blur.reblur": 0.4}, {})
    assert nodes.rationale(found) == "borderline (quality 0.95): severe blur"


def test_nothing_is_traced_whatever_the_environment_says(policy, monkeypatch):
    for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("LANGSMITH_API_KEY", "key")
    monkeypatch.setenv("LANGSMITH_ENDPOINT", "http://127.0.0.1:9")
    get_env_var.cache_clear()
    assert tracing_is_enabled()
    asked: list[bool] = []

    async def measure(image: ImageRef) -> Reading:
        asked.append(bool(tracing_is_enabled()))
        return READING

    built = graph.build(measure, policy)
    asyncio.run(graph.decide(built, IMAGE))
    walk(built)
    assert asked == [False, False]
    get_env_var.cache_clear()


def test_the_picture_shows_the_wiring(policy):
    drawn = graph.mermaid(graph.build(measuring(READING), policy))
    assert {"measure -.-> triage", "measure -.-> verdict", "triage -.-> verdict"} <= set(
        drawn.replace("\t", "").replace("&nbsp;", " ").replace(";", "").splitlines()
    )
    assert "judge" not in drawn
    judged = graph.mermaid(graph.build(measuring(READING), policy, judging(Scripted(grades()))))
    assert {"triage -.-> judge", "judge -.-> inspect", "inspect -.-> judge", "judge -.-> reconcile"} <= set(
        judged.replace("\t", "").replace(";", "").splitlines()
    )
