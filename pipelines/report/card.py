"""The image card: one film, what the tools saw on it, its measures among good films, and the agent's steps."""

from pathlib import Path
from typing import Any

from ... import __version__
from ...agent.policy import Policy, load
from ...agent.state import ASPECTS
from ..films import read_film
from ..places import Location
from ..settings import Settings
from .against import beyond_usual
from .overlay import picture
from .page import write_page

SIDE = 1024
Steps = list[tuple[str, dict[str, Any]]]


def write_card(image: Location, steps: Steps, settings: Settings, out: Path) -> None:
    """Write the card of an image that `explain` has just decided on. It shows the film: it is for this machine only.

    Args:
        image: the file.
        steps: what `explain` told, in its order.
        settings: those it was decided by.
        out: HTML file; it appears whole or not at all.

    Raises:
        PolicyError: the policy does not exist.
    """
    policy = load(settings.agent.policy)
    told = {name: value for _, found in steps for name, value in found.items()}
    if "measures" in told:
        told["measures"] = _against(told["measures"], policy, told["intensity_domain"])
    data = {
        "title": image.name,
        "version": __version__,
        "aspects": ASPECTS,
        "steps": [{"step": step, "found": _brief(found)} for step, found in steps],
        "told": told,
        "cuts": _cuts(policy, told.get("intensity_domain")),
        "picture": picture(read_film(str(image), settings.read), SIDE, _looked(steps)) if "regime" in told else None,
    }
    write_page(out, "card", f"{image.name}: image quality", data)


def _brief(found: dict[str, Any]) -> dict[str, Any]:
    """What a step found, without the table of measures, which the card shows by itself."""
    return {name: value for name, value in found.items() if name != "measures" and value not in (None, "", [], ())}


def _looked(steps: Steps) -> list[str]:
    """Parts of the film that the judge asked for."""
    asked = [found["asks for"] for _, found in steps if "asks for" in found]
    return [request["region"] for request in asked if "region" in request]


def _against(measures: list[dict[str, Any]], policy: Policy, domain: str) -> list[dict[str, Any]]:
    """Every measure with what it adds beyond a usual film."""
    added = {row["measure"]: row["adds"] for row in measures if row["adds"] is not None}
    beyond = beyond_usual(added, policy, domain)
    return [{**row, "beyond": beyond.get(row["measure"])} for row in measures]


def _cuts(policy: Policy, domain: str | None) -> dict[str, Any]:
    """The policy's cuts by measure in one intensity domain."""
    rows = [row for row in policy.severities if row.domain == domain]
    return {row.measure: row.model_dump(include={"aspect", "on", "direction", "cuts"}) for row in rows}
