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
    """Every measure with its distributions in each intensity domain and the policy's cuts on them."""
    present = [domain for domain in DOMAINS if domain in films.names["domain"]]
    known = {each.name: each for each in TOOLS}
    named = [name for name in known if name in films.measures]
    named += [name for name in films.measures if name not in known]  # verdicts of an older lrrg
    return [
        {
            "name": name,
            "summary": known[name].summary if name in known else "",
            "unit": known[name].unit if name in known else "",
            "by": {domain: _distributions(films, policy, domain, name) for domain in present},
        }
        for name in named
    ]


def _distributions(films: Population, policy: Policy, domain: str, measure: str) -> list[dict[str, Any]]:
    """One distribution a scale (raw value, robust z) that has cuts; the raw values where none has."""
    raw = np.where(films.of_domain(domain), films.measures[measure], np.nan)
    if np.isnan(raw).all():
        return []
    rows = [row for row in policy.severities if (row.domain, row.measure) == (domain, measure)]
    made = []
    for on in dict.fromkeys(row.on for row in rows) or ("value",):
        same = [row for row in rows if row.on == on]
        values = films.z(policy, domain, measure) if on == "z" else raw
        over = grid(values, tuple(cut for row in same for cut in row.cuts))
        made.append({"on": on, **_drawn(values, over), "cuts": [_graded(values, over, row) for row in same]})
    return made


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
