"""Where severities begin: the cut points of an aspect's measures, set together on one half of the patients."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...agent.policy import TRANSFORMS, Reference, Severity
from ...benchmark.ladder import TOOL_SEVERITIES
from ..examples import Example
from .model import Floats
from .plan import GRADES, VIEWS, Grade

ALARMS = (0.06, 0.03, 0.01)
"""Share of good films that may reach severity 1, 2 and 3 of an aspect, by whichever of its measures."""
BEYOND = 1e-3
"""How far past every film a cut lies that no good film leaves room for."""


class Ladder(NamedTuple):
    """What one grade goes by on the films it is cut on, larger worse."""

    grade: Grade
    good: Floats
    """Of every good film, -inf where it lacks the measure: shape (films,)."""
    spoiled: Mapping[int, Floats]
    """Of the films at each tool severity; 4 is what a defect at its worst, or without degrees, has."""


class Choice(NamedTuple):
    """The cuts that one measure may have for one severity, in ascending order."""

    cuts: Floats
    gain: Floats
    """Share of the worse films that reach each cut, less that of the better ones; every step counts the same."""
    alarms: NDArray[np.bool_]
    """Which good films reach each cut: shape (cuts, films)."""


def severities(films: Sequence[Example], spoiled: Sequence[Example], scales: Sequence[Reference]) -> list[Severity]:
    """Cut points of every grade, on the development half of the patients."""
    found = []
    for domain, grades in GRADES.items():
        good = [each for each in films if _develops(each, domain) and each.film.label == "good"]
        worse = [each for each in spoiled if _develops(each, domain)]
        for aspect in dict.fromkeys(grade.aspect for grade in grades):
            ladders = [_ladder(grade, good, worse, scales) for grade in grades if grade.aspect == aspect]
            seen = [each for each in ladders if np.isfinite(each.good).any() and len(each.spoiled[max(each.spoiled)])]
            found += [_severity(domain, ladder.grade, cuts) for ladder, cuts in zip(seen, _cuts(seen), strict=True)]
    return found


def _develops(each: Example, domain: str) -> bool:
    return each.domain == domain and not each.film.reporting


def _severity(domain: str, grade: Grade, cuts: Sequence[float]) -> Severity:
    return Severity(
        domain=domain,  # pyright: ignore[reportArgumentType]
        aspect=grade.aspect,
        measure=grade.measure,
        on=grade.on,
        direction=grade.direction,
        cuts=tuple(round(grade.direction * cut, 4) for cut in cuts),
    )


def _ladder(grade: Grade, good: Sequence[Example], worse: Iterable[Example], scales: Iterable[Reference]) -> Ladder:
    rows = {(row.domain, row.group): row for row in scales if row.measure == grade.measure}
    steps: dict[int, list[Example]] = {severity: [] for severity in TOOL_SEVERITIES.values()}
    for each in worse:
        if each.defect in grade.defects and grade.measure in each.measures:
            steps[each.severity].append(each)
    spoiled = {tool: _graded(grade, steps[severity], rows) for tool, severity in TOOL_SEVERITIES.items()}
    return Ladder(grade, _graded(grade, good, rows), spoiled)


def _graded(grade: Grade, films: Sequence[Example], rows: Mapping[tuple[str, str], Reference]) -> Floats:
    """What a grade goes by, larger worse, of every film; -inf where it lacks the measure."""
    values = np.full(len(films), -np.inf)
    for k, each in enumerate(films):
        if grade.measure in each.measures:
            value = each.measures[grade.measure]
            if grade.on == "z":
                row = rows[each.domain, VIEWS.get(each.film.view.upper(), "unknown")]
                value = (TRANSFORMS[row.transform](value) - row.median) / row.scale
            values[k] = grade.direction * value
    return values


def _cuts(ladders: Sequence[Ladder]) -> list[list[float]]:
    """Where severity 1, 2 and 3 begin on each measure of one aspect, all larger worse."""
    found: list[list[float]] = [[] for _ in ladders]
    for severity, alarm in enumerate(ALARMS, 1):
        choices = [_choice(each, severity) for each in ladders]
        for begun, cut in zip(found, _together(choices, alarm), strict=True):
            begun.append(max([cut, *begun]))
    return found


def _choice(ladder: Ladder, severity: int) -> Choice:
    steps = {0: ladder.good[np.isfinite(ladder.good)], **ladder.spoiled}
    values = np.unique(np.concatenate(list(steps.values())))
    cuts = np.append((values[1:] + values[:-1]) / 2, values[-1] + BEYOND)
    cuts = cuts[(cuts >= ladder.grade.least) | (cuts > values[-1])]
    better, worse = ([steps[k] for k in steps if (k >= severity) == side and len(steps[k])] for side in (False, True))
    return Choice(cuts, _share(worse, cuts) - _share(better, cuts), ladder.good >= cuts[:, None])


def _share(steps: Sequence[Floats], cuts: Floats) -> Floats:
    """Share of the films that reach each cut, mean over steps."""
    return np.mean([(values >= cuts[:, None]).mean(axis=1) for values in steps], axis=0)


def _together(choices: Sequence[Choice], alarm: float) -> list[float]:
    """One cut a measure, which best tell a severity and worse from all that is better, with few false alarms in all.

    Good films may be called so one by one; each goes to the measure that gains most by it. Where k of n are, a film
    not seen yet is with a chance of (k + 1) / (n + 1), and somewhat more where the measures are many.
    """
    films = choices[0].alarms.shape[1] if choices else 0
    chosen = [len(each.cuts) - 1 for each in choices]
    for allowed in range(max(1, int(alarm * (films + 1)))):
        while (better := _step(choices, chosen, allowed)) is not None:
            chosen[better[0]] = better[1]
    return [float(each.cuts[k]) for each, k in zip(choices, chosen, strict=True)]


def _step(choices: Sequence[Choice], chosen: Sequence[int], allowed: int) -> tuple[int, int] | None:
    """The measure, and its new cut, that gain most with `allowed` false alarms in all; None where nothing gains."""
    best, most = None, 0.0
    for measure, choice in enumerate(choices):
        others = [each.alarms[k] for i, (each, k) in enumerate(zip(choices, chosen, strict=True)) if i != measure]
        alarms = (choice.alarms | np.any(others, axis=0) if others else choice.alarms).sum(axis=1)
        gains = np.where(alarms <= allowed, choice.gain, -1.0) - choice.gain[chosen[measure]]
        cut = int(gains.argmax())
        if gains[cut] > most + 1e-9:
            best, most = (measure, cut), float(gains[cut])
    return best
