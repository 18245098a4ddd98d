"""What the agent says of good films and of the ladders' films: verdicts that people get, not what a measure could do.

AUROC asks whether any cut point would tell a defect; here the policy's own cut points do.
"""

from collections.abc import Iterable, Sequence

from ...agent.policy import Policy, assess
from ...agent.state import ASPECTS, Assessment
from ...benchmark.ladder import read_ladder
from ...tools import Domain
from ..examples import Example
from .claims import DEFECTS, short
from .ladders import SEVERITIES, Key, Rungs

COLUMNS = ("aspect", "what was put in", "severity 1 or more", "severity 2 or more", "regime not high")
NOTHING, ANY = "nothing", "any"
LEAST = (1, 2)
"""Severities from which on a verdict counts as naming an aspect."""


def verdicts(
    policy: Policy, good: Iterable[Example], ladders: Sequence[Rungs], domain: Domain
) -> list[tuple[object, ...]]:
    """Rows of `COLUMNS`: first what good films are said to have, then each defect's shares at severities 1/2/3.

    Args:
        policy: what to judge by.
        good: good films as they came; those of other domains are left out.
        ladders: films spoiled step by step.
        domain: intensity domain of the rows.
    """
    clean = [assess(policy, each.measures, domain, each.film.view) for each in good if each.domain == domain]
    rows: list[tuple[object, ...]] = [(*_row(aspect, NOTHING, [clean])[:-1], "") for aspect in ASPECTS]
    rows.append(_row(ANY, NOTHING, [clean]))
    for aspect in ASPECTS:
        for defect in DEFECTS:
            if read_ladder()[defect].aspect == aspect:
                rows.append(_row(aspect, defect.replace("_", " "), _assessed(policy, ladders, domain, defect)))
    return rows


def _assessed(policy: Policy, ladders: Sequence[Rungs], domain: Domain, defect: str) -> list[list[Assessment]]:
    """The films of each severity; a defect without degrees has one."""
    keys: list[Key] = [(domain, defect, severity) for severity in SEVERITIES]
    return [
        [assess(policy, each.values[key], domain, each.film.view) for each in ladders if key in each.values]
        for key in keys
        if any(key in each.values for each in ladders)
    ]


def _row(aspect: str, name: str, steps: Sequence[Sequence[Assessment]]) -> tuple[object, ...]:
    named = ([_share(_worst(each, aspect) >= least for each in films) for films in steps] for least in LEAST)
    not_high = [_share(each.regime != "high" for each in films) for films in steps]
    return (aspect, name, *("/".join(map(short, shares)) for shares in (*named, not_high)))


def _worst(assessment: Assessment, aspect: str) -> int:
    found = assessment.severities
    return max(found.values(), default=0) if aspect == ANY else found.get(aspect, 0)


def _share(hits: Iterable[bool]) -> float:
    found = list(hits)
    return sum(found) / len(found) if found else float("nan")
