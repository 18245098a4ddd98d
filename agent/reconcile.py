"""Judge against tools, aspect by aspect, by one written rule.

1. What the tools cannot measure on this film, the judge grades.
2. They agree where the judge gives less than `disputed` of its probability to grades `far` or more from the tools'
   grade. Then the tools' grade stands: it is reproducible.
3. Tools see only part of what positioning and artifacts are. There a judge that is `sure` of a worse grade is believed:
   measuring again what was not measured would prove nothing.
4. Any other dispute has the film measured again in another way. If that agrees with the judge, it stands.
5. If it does not, the tools' first grade stands, and stays open where the judge is sure.

A person should look where the film's regime hangs on what stayed open.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Literal, NamedTuple

from langgraph.types import Command

from .policy import Policy, assess, combine, worst
from .scores import Score, confidence
from .state import ASPECTS, Aspect, Assessment, Failure, ImageRef, Judgement, Reading, Ruling, State

RULE_VERSION = 1
"""Raised with every change of the rule or its numbers."""


class Bounds(NamedTuple):
    """The rule's numbers.

    A judge that knows nothing gives 0.5 to grades two or more from none or from severe; that is no dispute.
    """

    far: int = 2
    """Grades apart: one calls the film usable in that aspect, the other does not."""
    disputed: float = 0.6
    sure: float = 0.8


RULE = Bounds()
SEEN_IN_PART = frozenset({"positioning", "artifact"})
Remeasure = Callable[[ImageRef], Awaitable[Mapping[str, float] | Failure]]
"""Takes the measures of a film again, in another way; those that have no other way are left out."""


class Reconciling:
    """The node that settles what judge and tools say."""

    def __init__(self, policy: Policy, remeasure: Remeasure):
        self._policy = policy
        self._remeasure = remeasure

    async def __call__(self, state: State) -> Command[Literal["verdict"]]:
        """Put the judgement, and the assessment it leads to, into the state."""
        assert "assessment" in state
        assert "scores" in state
        raw: dict[Aspect, Score] = {aspect: Score(probabilities) for aspect, probabilities in state["scores"].items()}
        said = self._policy.calibrated(raw)
        tools, again = state["assessment"].severities, {}
        if any(needs_measuring(aspect, score, tools.get(aspect)) for aspect, score in said.items()):
            found = await self._again(state)
            if isinstance(found, Failure):
                return Command(update={"failure": found}, goto="verdict")
            again = found
        rulings: dict[Aspect, Ruling] = {
            each: settle(each, said[each], tools.get(each), again.get(each)) for each in ASPECTS if each in said
        }
        settled = replace(state["assessment"], severities={each: ruling.severity for each, ruling in rulings.items()})
        assessment = combine(self._policy, settled, raw)
        judgement = Judgement(
            why=state.get("why", "all"),
            steps=state.get("steps", ()),
            probabilities=state["scores"],
            confidence=confidence(said.values()),
            again=again,
            rulings=rulings,
            contested=self._hangs_on_it(assessment, rulings, said),
        )
        return Command(update={"assessment": assessment, "judgement": judgement}, goto="verdict")

    def _hangs_on_it(self, found: Assessment, rulings: Mapping[Aspect, Ruling], said: Mapping[Aspect, Score]) -> bool:
        """Whether the regime would be another if the judge were right in what stayed open."""
        cuts = self._policy.judge.regimes if self._policy.judge else self._policy.regimes
        judged = {
            each: said[each].grade if ruling.by == "open" else ruling.severity for each, ruling in rulings.items()
        }
        by_quality, by_tools, by_judge = cuts.of(found.quality), *map(self._policy.ruled, (found.severities, judged))
        return worst([by_quality, by_tools]) != worst([by_quality, by_judge])

    async def _again(self, state: State) -> Mapping[str, int] | Failure:
        assert "reading" in state
        reading = state["reading"]
        measures = await self._remeasure(state["image"])
        return measures if isinstance(measures, Failure) else graded_again(self._policy, reading, measures)


def graded_again(policy: Policy, reading: Reading, measures: Mapping[str, float]) -> Mapping[str, int]:
    """Severities by a film's second measurement, of what could be measured the first time."""
    comparable = {name: value for name, value in measures.items() if name in reading.measures}
    return assess(policy, comparable, reading.intensity_domain, reading.view).severities


def needs_measuring(aspect: str, score: Score, tools: int | None, rule: Bounds = RULE) -> bool:
    """Whether the rule needs a second measurement to settle an aspect."""
    return tools is not None and _disputes(score, tools, rule) and not _believed(aspect, score, tools, rule)


def settle(aspect: str, score: Score, tools: int | None, again: int | None, rule: Bounds = RULE) -> Ruling:
    """Settle one aspect.

    Args:
        aspect: its name.
        score: what the judge says.
        tools: severity by the tools; None where they cannot measure it.
        again: severity by the tools measured again in another way; None where it was not.
        rule: its numbers.
    """
    if tools is None:
        return Ruling(score.grade, "judge")
    if not _disputes(score, tools, rule):
        return Ruling(tools, "tools")
    if _believed(aspect, score, tools, rule):
        return Ruling(score.grade, "judge")
    if again is not None and not _disputes(score, again, rule):
        return Ruling(again, "again")
    return Ruling(tools, "open" if _far(score, tools, rule) >= rule.sure else "tools")


def _far(score: Score, grade: int, rule: Bounds) -> float:
    """Probability the judge gives to grades far from one."""
    return sum(p for each, p in enumerate(score.probabilities) if abs(each - grade) >= rule.far)


def _disputes(score: Score, grade: int, rule: Bounds) -> bool:
    return _far(score, grade, rule) >= rule.disputed


def _believed(aspect: str, score: Score, tools: int, rule: Bounds) -> bool:
    return aspect in SEEN_IN_PART and score.grade > tools and _far(score, tools, rule) >= rule.sure
