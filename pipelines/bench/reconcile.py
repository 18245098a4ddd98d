"""`lrrg bench reconcile`: is what the agent makes of judge and tools nearer to the truth than the tools alone?

The truth is known because it was put in: good films, each clean and spoiled with one defect at a known grade. On the
half of the patients that nothing is reported on, the rule's numbers are chosen anew; what they and the written ones
are worth is told on the other half.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ...agent.policy import Policy, assess, load
from ...agent.reconcile import RULE, Bounds, graded_again, needs_measuring, settle
from ...agent.scores import Score
from ...agent.state import ASPECTS, Aspect, Failure, ImageRef, Reading, Ruling
from ...benchmark.degrade import degrade
from ...benchmark.ladder import TOOL_SEVERITIES, read_ladder
from ...benchmark.mimic import as_mimic
from ...benchmark.statistics import Interval, cluster_bootstrap
from ..engines.inspecting import remeasure
from ..engines.judging import Agent, fitted, identify, open_agent
from ..engines.pool import Pool
from ..engines.together import together
from ..errors import SettingsError
from ..examples import bases
from ..films import LabelledFilm, labelled_films, read_film
from ..settings import Settings
from ..view import Advance, Progress

Rows = list[dict[str, Any]]
DEFECTS = ("quantum_noise", "defocus", "motion", "under_exposure", "over_exposure", "shutter", "tilt", "inversion",
           "overlay_text", "grid_lines", "jpeg")  # fmt: skip
"""Seen in both intensity domains."""
GRADES, WORST = (1, 2, 3), 3
GRID = [
    Bounds(far, disputed, sure)
    for far, disputed, sure in product((1, 2), (0.5, 0.6, 0.7, 0.8, 0.9), (0.6, 0.7, 0.8, 0.9, 0.95))
    if disputed <= sure
]
SEED = 2026


class Case(NamedTuple):
    """One film of known grades: 0 in every aspect but one."""

    ref: ImageRef
    film: LabelledFilm
    aspect: str
    """Spoiled; empty where the film is as it came."""
    grade: int


class Heard(NamedTuple):
    """What tools and judge say of a case."""

    case: Case
    tools: Mapping[str, int]
    said: Mapping[Aspect, Score]
    again: Mapping[str, int]
    """By the second measurement; empty where no rule of the grid asks for one."""


class Found(NamedTuple):
    """What it came to.

    Attributes:
        fitted: the rule's numbers that were best on the half that nothing is reported on.
        errors: by half and by who decides, how far from the truth.
        rulings: on the reporting half, who decided how often, and was nearer to the truth.
    """

    fitted: Bounds
    errors: Rows
    rulings: Rows


Decide = Callable[[str, Score, int | None, int | None], Ruling]


def bench_reconcile(root: Path, settings: Settings, number: int, progress: Progress) -> Found:
    """Spoil good films, have tools and judge grade them, and hold every way to decide against what was put in.

    Args:
        root: labelled films.
        settings: with the judge's URLs; it sees every film and has one look.
        number: of good films in each half.
        progress: shows how far it got.

    Raises:
        SettingsError: no judge is named, or a half has no good film.
        JudgeUnavailable: the judge cannot be reached.
    """
    if not settings.judge.urls:
        raise SettingsError("bench reconcile needs a judge; name it with --judge URL")
    judge = settings.judge.model_copy(update={"when": "all", "looks": 0})
    settings = settings.model_copy(update={"judge": judge})
    policy = fitted(load(settings.agent.policy), identify(settings))
    with TemporaryDirectory(prefix="lrrg-bench-") as scratch:
        cases = _cases(root, Path(scratch), number, settings, progress)
        with progress("ask tools and judge", len(cases)) as advance:
            heard = asyncio.run(_hear(cases, policy, settings, advance))
    return found(heard)


def found(heard: Sequence[Heard]) -> Found:
    """Choose the rule's numbers on one half, and tell what every way to decide is worth on both."""
    halves = {name: [each for each in heard if each.case.film.reporting == told] for name, told in HALVES.items()}
    best = min(GRID, key=lambda rule: (_balanced(_errors(halves["fitting"], _by(rule))), rule != RULE))
    ways: dict[str, Decide] = {
        "tools": lambda aspect, score, tools, again: Ruling(tools or 0, "tools"),
        "judge": lambda aspect, score, tools, again: Ruling(score.grade, "judge"),
        "rule as written": _by(RULE),
        "rule as fitted": _by(best),
    }
    errors = [_worth(name, who, part, ways) for name, part in halves.items() for who in ways]
    rulings = [row for who in list(ways)[2:] for row in _rulings(who, halves["reporting"], ways[who])]
    return Found(best, errors, rulings)


HALVES = {"fitting": False, "reporting": True}


def _by(rule: Bounds) -> Decide:
    return lambda aspect, score, tools, again: settle(aspect, score, tools, again, rule)


def _cases(root: Path, scratch: Path, number: int, settings: Settings, progress: Progress) -> list[Case]:
    """Every film clean and with every defect, at grades drawn in turn; every other one as MIMIC-CXR-JPG holds it."""
    labelled = labelled_films(root)
    halves = [bases([film for film in labelled if film.reporting == told], number) for told in HALVES.values()]
    if not all(halves):
        raise SettingsError(f"{root}: no good film in one half of the patients")
    films, ladder = [film for half in halves for film in half], read_ladder()
    cases: list[Case] = []
    with progress("spoil films", len(films)) as advance:
        for turn, film in enumerate(films):
            clean = read_film(film.path, settings.read).pixels
            for place, defect in enumerate(("", *DEFECTS)):
                grade = 0 if not defect else GRADES[(turn + place) % 3] if ladder[defect].ordered else WORST
                grey = clean
                if defect:
                    grey = degrade(clean, defect, TOOL_SEVERITIES[grade], key=film.path.name, ladder=ladder)
                path = scratch / f"{turn}-{defect}.png"
                cv2.imwrite(str(path), as_mimic(grey) if (turn + place // 3) % 2 else grey)
                aspect = ladder[defect].aspect if defect else ""
                cases.append(Case(ImageRef(path.stem, str(path), film.view or None), film, aspect, grade))
            advance()
    return cases


async def _hear(cases: Sequence[Case], policy: Policy, settings: Settings, advance: Advance) -> list[Heard]:
    how = settings.annotate
    async with (
        Pool(how.workers, settings.read, how.tool_timeout) as pool,
        open_agent(policy, settings, pool.ask) as agent,
    ):

        async def one(case: Case) -> Heard:
            heard = await _one(case, policy, agent, pool)
            advance()
            return heard

        return await together(map(one, cases))


async def _one(case: Case, policy: Policy, agent: Agent, pool: Pool) -> Heard:
    verdict = await agent.decide(case.ref)
    reading, judgement = verdict.reading, verdict.judgement
    if reading is None or judgement is None:
        raise SettingsError(f"{case.ref.path}: not judged: {verdict.error_detail}")
    said = policy.calibrated({aspect: Score(each) for aspect, each in judgement.probabilities.items()})
    tools = assess(policy, reading.measures, reading.intensity_domain, reading.view).severities
    asked = any(
        needs_measuring(aspect, each, tools.get(aspect), rule) for aspect, each in said.items() for rule in GRID
    )
    return Heard(case, tools, said, await _again(case, policy, reading, pool) if asked else {})


async def _again(case: Case, policy: Policy, reading: Reading, pool: Pool) -> Mapping[str, int]:
    measures = await pool.ask(case.ref, remeasure)
    if isinstance(measures, Failure):
        raise SettingsError(f"{case.ref.path}: not measured again: {measures.detail}")
    return graded_again(policy, reading, measures)


class _Error(NamedTuple):
    """Grades between what was decided and what was put in."""

    patient: str
    spoiled: bool
    """Whether that aspect was."""
    by: int


def _decided(heard: Collection[Heard], decide: Decide) -> Iterator[tuple[Heard, Aspect, Ruling, int]]:
    for each in heard:
        for aspect in ASPECTS:
            truth = each.case.grade if each.case.aspect == aspect else 0
            ruling = decide(aspect, each.said[aspect], each.tools.get(aspect), each.again.get(aspect))
            yield each, aspect, ruling, truth


def _errors(heard: Collection[Heard], decide: Decide) -> list[_Error]:
    return [
        _Error(each.case.film.patient, each.case.aspect == aspect, abs(ruling.severity - truth))
        for each, aspect, ruling, truth in _decided(heard, decide)
    ]


def _balanced(errors: Sequence[_Error]) -> float:
    """Mean error of spoiled and of sound aspects, each counting one half: there are many more sound ones."""
    return (_mean(errors, True) + _mean(errors, False)) / 2


def _mean(errors: Sequence[_Error], spoiled: bool) -> float:
    return float(np.mean([each.by for each in errors if each.spoiled == spoiled]))


def _worth(half: str, who: str, heard: Sequence[Heard], ways: Mapping[str, Decide]) -> dict[str, Any]:
    errors = _errors(heard, ways[who])
    row = {"half": half, "who": who, "films": len(heard), "spoiled": _mean(errors, True), "sound": _mean(errors, False)}
    saved = _difference(errors, _errors(heard, ways["tools"]))
    told = {name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}
    return told | {"to the tools": f"{saved.value:+.3f} ({saved.low:+.3f} to {saved.high:+.3f})"}


def _difference(errors: Sequence[_Error], tools: Sequence[_Error]) -> Interval:
    """How much the balanced error is above the tools', with its interval over patients."""
    gaps = np.array([one.by - other.by for one, other in zip(errors, tools, strict=True)], float)
    spoiled = np.array([each.spoiled for each in errors])

    def statistic(rows: NDArray[np.intp]) -> float:
        return float((gaps[rows][spoiled[rows]].mean() + gaps[rows][~spoiled[rows]].mean()) / 2)

    return cluster_bootstrap(statistic, [each.patient for each in errors])


def _rulings(who: str, heard: Sequence[Heard], decide: Decide) -> Rows:
    """Of each kind of ruling: how often, and whether what was decided (of what stayed open, the judge) was nearer."""
    counts = Counter[tuple[str, str]]()
    total = 0
    for each, aspect, ruling, truth in _decided(heard, decide):
        total += 1
        other = each.said[aspect].grade if ruling.by == "open" else ruling.severity
        gap = abs(other - truth) - abs((each.tools.get(aspect) or 0) - truth)
        counts[ruling.by, "nearer" if gap < 0 else "farther" if gap > 0 else "alike"] += 1
    rows: Rows = []
    for by in ("tools", "judge", "again", "open"):
        outcomes = {name: counts[by, name] for name in ("nearer", "alike", "farther")}
        number = sum(outcomes.values())
        rows.append({"rule": who, "by": by, "aspects": number, "share": round(number / total, 4), **outcomes})
    return rows
