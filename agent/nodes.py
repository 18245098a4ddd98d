"""What the nodes do that every image passes: measure, triage, verdict."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Literal

from langgraph.types import Command

from ..tools.positioning import is_frontal
from .policy import Policy, assess
from .scores import Score
from .state import (
    Aspect,
    Assessment,
    Failure,
    ImageRef,
    Judgement,
    Reading,
    Recalled,
    Route,
    Ruling,
    State,
    Status,
    Verdict,
    Why,
)

Measure = Callable[[ImageRef], Awaitable[Reading | Failure]]
"""Reads and measures one file."""

SEVERITY_NAMES = ("none", "mild", "moderate", "severe")
CONTRADICTION = 3
"""Severity at which one aspect contradicts a high fitted quality: a person should look."""
WEIGHTY = 1.0
"""Log-odds from which a measure's contribution is worth naming: it makes low quality e times as likely."""
NAMED = 2
"""Measures a rationale names at most."""


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
        said = {"scores": found.scores, "steps": found.steps} if isinstance(found, Recalled) else {}
        reading = _seen_as(found, state["image"].view or found.view)
        return Command(update={"reading": reading, **said}, goto="triage")


def _seen_as(reading: Reading, view: str | None) -> Reading:
    """The reading under its view; most files do not tell the tools that they hold no frontal film, the catalog does."""
    if is_frontal(view):
        return replace(reading, view=view)
    measures = {name: value for name, value in reading.measures.items() if not name.startswith("positioning.")}
    return replace(reading, view=view, measures=measures)


@dataclass(frozen=True)
class Sending:
    """Which films a judge sees.

    Attributes:
        when: `all`, or `uncertain`: those the policy cannot decide.
        audit: fraction of the others that it sees all the same, drawn by image id, so that what would have been missed
            can be estimated.
    """

    when: Literal["all", "uncertain"] = "all"
    audit: float = 0.01

    def why(self, image: ImageRef, uncertain: bool) -> Why | None:
        """Why the judge sees a film; None where it does not."""
        if self.when == "all":
            return "all"
        return "uncertain" if uncertain else "audit" if drawn(image.image_id) < self.audit else None


def drawn(image_id: str) -> float:
    """A number in [0, 1) that depends on the image id alone, so that a rerun audits the same films."""
    return int.from_bytes(hashlib.sha256(f"audit {image_id}".encode()).digest()[:8]) / 2**64


class Triage:
    """The node that asks the policy, and sends on to the judge the films it should see."""

    def __init__(self, policy: Policy, sending: Sending | None):
        self._policy = policy
        self._sending = sending

    async def __call__(self, state: State) -> Command[Literal["judge", "verdict"]]:
        """Put the assessment, and why a judge is asked, into the state."""
        assert "reading" in state
        reading = state["reading"]
        assessment = assess(self._policy, reading.measures, reading.intensity_domain, reading.view)
        uncertain = self._policy.uncertain(assessment) or is_contradictory(assessment)
        why = self._sending.why(state["image"], uncertain) if self._sending else None
        if why is None:
            return Command(update={"assessment": assessment}, goto="verdict")
        return Command(update={"assessment": assessment, "why": why}, goto="judge")


async def verdict(state: State) -> dict[str, Verdict]:
    """Write the last word: every image, measurable or not, ends with one verdict."""
    return {"verdict": _failure(state) if "failure" in state else _finding(state)}


def _failure(state: State) -> Verdict:
    assert "failure" in state
    status, code, detail, reply = state["failure"]
    measured = state.get("reading")  # kept, so that trying again need not open the file
    return Verdict(state["image"].image_id, status, reading=measured, error_code=code, error_detail=detail, reply=reply)


def _finding(state: State) -> Verdict:
    assert "reading" in state
    assert "assessment" in state
    found, judgement = state["assessment"], state.get("judgement")
    status: Status = "needs_review" if is_contradictory(found) or (judgement and judgement.contested) else "ok"
    why = rationale(found, judgement)
    route: Route = "judge" if judgement else "tools"
    return Verdict(state["image"].image_id, status, route, state["reading"], found, why, judgement=judgement)


def is_contradictory(assessment: Assessment) -> bool:
    """Whether one aspect is severe although the fitted quality is high."""
    return assessment.regime == "high" and any(each >= CONTRADICTION for each in assessment.severities.values())


def rationale(assessment: Assessment, judgement: Judgement | None = None) -> str:
    """One line for a person.

    The regime, the quality, every defect, worst first; of a film that is not high, the measures that weigh most, since
    what lowers its quality need not be a graded defect; and what the judge saw otherwise.
    """
    defects = sorted((-severity, aspect) for aspect, severity in assessment.severities.items() if severity)
    named = ", ".join(f"{SEVERITY_NAMES[-severity]} {aspect}" for severity, aspect in defects)
    said = f"{assessment.regime} (quality {assessment.quality:.2f}): {named or 'no graded defect'}"
    disputes = (
        [_dispute(aspect, ruling, judgement) for aspect, ruling in judgement.rulings.items()] if judgement else []
    )
    return "; ".join(filter(None, [said, _heaviest(assessment), *disputes]))


def _heaviest(assessment: Assessment) -> str:
    if assessment.regime == "high":
        return ""
    weighty = {name: added for name, added in assessment.contributions.items() if added >= WEIGHTY}
    heaviest = sorted(weighty, key=lambda name: -weighty[name])[:NAMED]
    return f"{' and '.join(heaviest)} weigh{'s' if len(heaviest) == 1 else ''} most" if heaviest else ""


def _dispute(aspect: Aspect, ruling: Ruling, judgement: Judgement) -> str:
    seen = SEVERITY_NAMES[Score(judgement.probabilities[aspect]).grade]
    stands = SEVERITY_NAMES[ruling.severity]
    return {
        "open": f"{aspect}: {seen} for the judge, {stands} for the tools, and measuring again did not settle it",
        "again": f"{aspect}: {stands} when measured again, nearer to the judge's {seen}",
        "judge": f"{aspect}: {seen} for the judge" if ruling.severity else "",
        "tools": "",
    }[ruling.by]
