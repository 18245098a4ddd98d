"""One image, step by step: what the agent measured, how that compares, and why the verdict follows."""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from ...agent import graph
from ...agent.policy import Policy, Transform, load
from ...agent.scores import Score
from ...agent.state import Assessment, Failure, ImageRef, Judgement, Reading, Verdict
from ...tools import TOOLS
from ..engines.judging import Warn, identify, left_out, open_agent
from ..engines.outcome import Outcome
from ..engines.worker import Found, ToolError, Work, answer
from ..errors import SettingsError
from ..places import Location
from ..settings import Settings

BACK: Mapping[Transform, Callable[[float], float]] = {"identity": float, "log": math.exp, "log1p": math.expm1}
"""From a policy's scale back to a measure's own unit."""
Tell = Callable[[str, dict[str, Any]], None]


def explain(image: Location, settings: Settings, view: str | None, tell: Tell, warn: Warn = lambda lines: None) -> int:
    """Decide on one file without a database, telling every step as the agent takes it.

    Args:
        image: the file.
        settings: as for a run.
        view: view position (`PA`, `AP`, `LATERAL`, …) where the file does not know it.
        tell: called after each step with its name and what it found, in types that JSON knows.
        warn: told where the policy was fitted to another judge than the one asked.

    Returns:
        Exit code: 3 where the film gets no verdict, as from a run that allows no such film, else 0.

    Raises:
        PolicyError: the policy does not exist.
        SettingsError: the policy does not know the view position.
        JudgeUnavailable: the judge cannot be reached.
        ToolError: a tool broke on the file.
    """
    chosen = load(settings.agent.policy)
    if view is not None and view.upper() not in chosen.views:
        raise SettingsError(f"--view {view}: no view position of the policy's; choose from {', '.join(chosen.views)}")
    warn(left_out(chosen, identify(settings)))
    outcome = Outcome(failure_limit=0)
    outcome.note(asyncio.run(_walk(chosen, ImageRef(image.stem, str(image), view), settings, tell)))
    return outcome.exit_code


async def _walk(chosen: Policy, image: ImageRef, settings: Settings, tell: Tell) -> Verdict:
    reading: Reading | None = None
    tools: Mapping[str, int] = {}
    written: dict[str, Any] = {}

    async def ask(image: ImageRef, work: Work[Found]) -> Found | Failure:
        found = answer(image.path, settings.read, work)
        if isinstance(found, ToolError):
            raise found
        return found

    async with open_agent(chosen, settings, ask) as agent:
        async for node, written in graph.steps(agent.graph, image):
            reading = written.get("reading", reading)
            if node == "triage" and reading:
                tools = written["assessment"].severities
                tell(
                    node,
                    _assessed(reading, written["assessment"], chosen)
                    | ({"why": written["why"]} if "why" in written else {}),
                )
            elif node == "reconcile" and "judgement" in written:
                tell(node, settled(written["judgement"], written["assessment"], tools))
            else:
                tell(node, {key: value for name, part in written.items() for key, value in _plain(name, part).items()})
    return written["verdict"]


def _plain(name: str, part: Any) -> dict[str, Any]:
    """What a step wrote under a name, without what another step tells."""
    if isinstance(part, Verdict):
        hidden = ("reading", "assessment", "judgement")
        return {key: value for key, value in vars(part).items() if key not in hidden}
    if isinstance(part, Failure):
        return part._asdict()
    if isinstance(part, Reading):
        return {key: value for key, value in vars(part).items() if key != "measures"}
    if name == "scores":
        return {"grades": [graded(aspect, probabilities) for aspect, probabilities in part.items()]}
    if name == "steps":
        return {"told": part[-1].told}
    return {"asks for": part.model_dump()} if isinstance(part, BaseModel) else {name: part}


def graded(aspect: str, probabilities: Sequence[float]) -> dict[str, Any]:
    """What the judge says of one aspect: its expected severity and how probable each severity is."""
    shares = {f"p{grade}": p for grade, p in enumerate(probabilities)}
    return {"aspect": aspect, "judge": Score(tuple(probabilities)).severity, **shares}


def settled(judgement: Judgement, found: Assessment, tools: Mapping[str, int]) -> dict[str, Any]:
    """How judge and tools were reconciled, one row an aspect, and what that makes of the film."""
    rows = [
        {
            "aspect": aspect,
            "tools": tools.get(aspect),
            "judge": Score(tuple(judgement.probabilities[aspect])).severity,
            "again": judgement.again.get(aspect),
            "severity": ruling.severity,
            "by": ruling.by,
        }
        for aspect, ruling in judgement.rulings.items()
    ]
    summary = {"quality": found.quality, "regime": found.regime, "severities": dict(found.severities)}
    return {**summary, "confidence": judgement.confidence, "rulings": rows}


def _assessed(reading: Reading, found: Assessment, policy: Policy) -> dict[str, Any]:
    """An assessment with every measure beside what is usual, the largest contribution to low quality first."""
    summary = {"quality": found.quality, "regime": found.regime, "severities": dict(found.severities)}
    group = policy.group(reading.view)
    usual = {
        row.measure: BACK[row.transform](row.median)
        for row in policy.reference
        if (row.domain, row.group) == (reading.intensity_domain, group)
    }
    rows = [
        {
            "measure": each.name,
            "value": reading.measures[each.name],
            "unit": each.unit,
            "usual": usual.get(each.name),
            "z": found.z.get(each.name),
            "adds": found.contributions.get(each.name),
        }
        for each in TOOLS
        if each.name in reading.measures
    ]
    rows.sort(key=lambda row: -(row["adds"] or 0.0))
    return {**summary, "reference": f"{reading.intensity_domain}, {group}", "measures": rows}
