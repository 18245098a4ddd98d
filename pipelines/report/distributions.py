"""What the page draws of every measure, and the codes it recounts regimes from."""

import base64
from typing import Any

import numpy as np

from ...agent.policy import DOMAINS, Policy, Severity
from ...tools import TOOLS
from .grid import Grid, codes, grid, histogram
from .population import FACETS, Codes, Floats, Population

QUALITY_SPAN = (0.0, 1.0)


def packed(column: Codes) -> str:
    """A column of codes as text."""
    return base64.b64encode(np.ascontiguousarray(column, np.uint8).tobytes()).decode()


def facets(films: Population) -> dict[str, Any]:
    """Names and codes of everything the page counts by."""
    return {name: {"names": films.names[name], "codes": packed(films.codes[name])} for name in FACETS}


def quality(films: Population, policy: Policy) -> dict[str, Any]:
    """Distribution of quality with the two cuts between regimes."""
    cuts = (policy.regimes.low, policy.regimes.high)
    over = grid(films.quality, cuts, QUALITY_SPAN)
    return {
        "codes": packed(codes(films.quality, over.edges, 1)),
        **_drawn(films.quality, over),
        **_cut(over, cuts, 1),
    }


def measures(films: Population, policy: Policy) -> list[dict[str, Any]]:
    """Every measure with its distribution in each intensity domain and the policy's cuts on it."""
    present = [domain for domain in DOMAINS if domain in films.names["domain"]]
    return [
        {
            "name": each.name,
            "family": each.family,
            "summary": each.summary,
            "unit": each.unit,
            "better": each.better,
            "by": {domain: shown for domain in present if (shown := _distribution(films, policy, domain, each.name))},
        }
        for each in TOOLS
        if each.name in films.measures
    ]


def _distribution(films: Population, policy: Policy, domain: str, measure: str) -> dict[str, Any] | None:
    inside = films.of_domain(domain)
    raw = np.where(inside, films.measures[measure], np.nan)
    if np.isnan(raw).all():
        return None
    rows = [row for row in policy.severities if (row.domain, row.measure) == (domain, measure)]
    if not rows:
        return {"on": "value", **_drawn(raw, grid(raw)), "cuts": []}
    on = rows[0].on
    values = films.z(policy, domain, measure) if on == "z" else raw
    same = [row for row in rows if row.on == on]
    over = grid(values, tuple(cut for row in same for cut in row.cuts))
    return {"on": on, **_drawn(values, over), "cuts": [_graded(values, over, row) for row in same]}


def _graded(values: Floats, over: Grid, row: Severity) -> dict[str, Any]:
    """One row of the policy: its cuts as edges and the code of every film."""
    return {
        "aspect": row.aspect,
        **_cut(over, row.cuts, row.direction),
        "codes": packed(codes(values, over.edges, row.direction)),
    }


def _cut(over: Grid, cuts: tuple[float, ...], direction: int) -> dict[str, Any]:
    """Which edges the cuts are."""
    return {
        "edges": over.edges.tolist(),
        "direction": direction,
        "at": [int(np.searchsorted(over.edges, cut)) for cut in cuts],
    }


def _drawn(values: Floats, over: Grid) -> dict[str, Any]:
    return histogram(values, over)._asdict()
