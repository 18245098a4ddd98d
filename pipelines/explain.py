"""One image, step by step: what the agent measured, how that compares, and why the verdict follows."""

import asyncio
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..agent import graph
from ..agent.policy import Policy, Transform, load
from ..agent.state import Assessment, Failure, ImageRef, Reading, Verdict
from ..tools import TOOLS
from .settings import ReadSettings, Settings
from .worker import ToolError, answer

BACK: Mapping[Transform, Callable[[float], float]] = {"identity": float, "log": math.exp, "log1p": math.expm1}
"""From a policy's scale back to a measure's own unit."""
Tell = Callable[[str, dict[str, Any]], None]


def explain(image: Path, settings: Settings, view: str | None, tell: Tell) -> None:
    """Decide on one file without a database, telling every step as the agent takes it.

    Args:
        image: the file.
        settings: as for a run.
        view: view position (`PA`, `AP`, `LATERAL`, …) where the file does not know it.
        tell: called after each step with its name and what it found, in types that JSON knows.

    Raises:
        PolicyError: the policy does not exist.
        ToolError: a tool broke on the file.
    """
    chosen = load(settings.agent.policy)
    asyncio.run(_walk(chosen, ImageRef(image.stem, str(image), view), settings.read, tell))


async def _walk(chosen: Policy, image: ImageRef, limits: ReadSettings, tell: Tell) -> None:
    reading: Reading | None = None

    async def measure(image: ImageRef) -> Reading | Failure:
        found = answer(image.path, limits)
        if isinstance(found, ToolError):
            raise found
        return found

    async for node, written in graph.steps(graph.build(measure, chosen), image):
        reading = written.get("reading", reading)
        found = {key: value for part in written.values() for key, value in _plain(part).items()}
        if reading and "assessment" in written:
            found = _assessed(reading, written["assessment"], chosen)
        tell(node, found)


def _plain(part: Reading | Failure | Verdict) -> dict[str, Any]:
    """What a step wrote, without what another step tells."""
    if isinstance(part, Verdict):
        return {key: value for key, value in vars(part).items() if key not in ("reading", "assessment")}
    if isinstance(part, Failure):
        return part._asdict()
    return {key: value for key, value in vars(part).items() if key != "measures"}


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
