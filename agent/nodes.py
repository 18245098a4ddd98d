"""What each node of the agent's graph does: measure, triage, verdict."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Literal

from langgraph.types import Command

from ..tools.positioning import is_frontal
from .policy import Policy, assess
from .state import Assessment, Failure, ImageRef, Reading, State, Status, Verdict

Measure = Callable[[ImageRef], Awaitable[Reading | Failure]]
"""Reads and measures one file."""

SEVERITY_NAMES = ("none", "mild", "moderate", "severe")
CONTRADICTION = 3
"""Severity at which one aspect contradicts a high fitted quality: a person should look."""


class Measuring:
    """The node that spends the time: one call opens, decodes and measures the file.

    A reading that is already in the state is kept, so that a new policy decides anew without opening files.
    """

    def __init__(self, measure: Measure):
        self._measure = measure

    async def __call__(self, state: State) -> Command[Literal["triage", "verdict"]]:
        """Put the reading, or why there is none, into the state."""
        found = state["reading"] if "reading" in state else await self._measure(state["image"])
        if isinstance(found, Failure):
            return Command(update={"failure": found}, goto="verdict")
        return Command(update={"reading": _seen_as(found, state["image"].view or found.view)}, goto="triage")


def _seen_as(reading: Reading, view: str | None) -> Reading:
    """The reading under its view; most files do not tell the tools that they hold no frontal film, the catalog does."""
    if is_frontal(view):
        return replace(reading, view=view)
    measures = {name: value for name, value in reading.measures.items() if not name.startswith("positioning.")}
    return replace(reading, view=view, measures=measures)


class Triage:
    """The node that asks the policy, and sends only uncertain films on to `doubtful`."""

    def __init__(self, policy: Policy, doubtful: Literal["judge", "verdict"]):
        self._policy = policy
        self._doubtful: Literal["judge", "verdict"] = doubtful

    async def __call__(self, state: State) -> Command[Literal["judge", "verdict"]]:
        """Put the assessment into the state."""
        assert "reading" in state
        reading = state["reading"]
        assessment = assess(self._policy, reading.measures, reading.intensity_domain, reading.view)
        uncertain = self._policy.uncertain(assessment) or is_contradictory(assessment)
        return Command(update={"assessment": assessment}, goto=self._doubtful if uncertain else "verdict")


async def verdict(state: State) -> dict[str, Verdict]:
    """Write the last word: every image, measurable or not, ends with one verdict."""
    return {"verdict": _failure(state) if "failure" in state else _finding(state)}


def _failure(state: State) -> Verdict:
    assert "failure" in state
    status, code, detail = state["failure"]
    return Verdict(state["image"].image_id, status, error_code=code, error_detail=detail)


def _finding(state: State) -> Verdict:
    assert "reading" in state
    assert "assessment" in state
    found = state["assessment"]
    status: Status = "needs_review" if is_contradictory(found) else "ok"
    return Verdict(state["image"].image_id, status, "tools", state["reading"], found, rationale(found))


def is_contradictory(assessment: Assessment) -> bool:
    """Whether one aspect is severe although the fitted quality is high."""
    return assessment.regime == "high" and any(each >= CONTRADICTION for each in assessment.severities.values())


def rationale(assessment: Assessment) -> str:
    """One line for a person: the regime, the quality and every defect, worst first."""
    defects = sorted((-severity, aspect) for aspect, severity in assessment.severities.items() if severity)
    named = ", ".join(f"{SEVERITY_NAMES[-severity]} {aspect}" for severity, aspect in defects)
    return f"{assessment.regime} (quality {assessment.quality:.2f}): {named or 'no defect'}"
