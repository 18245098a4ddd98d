"""`lrrg bench tools`: how well each tool answers its defect and no other, what the agent makes of it, and speed.

Only patients of the reporting half count here; parameters were chosen on the others. Sources differ in export and pixel
size, so clean and spoiled films are compared within a source and the pairs of all sources pooled.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...agent.policy import Policy
from ...benchmark.statistics import auroc, cluster_bootstrap
from ...tools import Domain
from ..errors import SettingsError
from ..examples import Example, examples
from ..films import labelled_films
from ..policy.check import patients_table
from ..settings import ReadSettings
from ..view import Advance
from .claims import BOTH, CLAIMS, TEXTBOOK, Claim, short
from .ladders import MIN_SIDE, SEVERITIES, Rungs, climb
from .shutters import COLUMNS as SHUTTERS
from .shutters import against_eyes
from .speed import speed
from .verdicts import COLUMNS, verdicts

MIN_FILMS = 3
"""Good films a source must have to be compared with itself."""


class Grid(NamedTuple):
    """A table as the terminal view and JSON want it."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[object, ...]]


def report(root: Path, policy: Policy, advance: Advance) -> list[Grid]:
    """Measure everything on the labelled films below `root`.

    Args:
        root: folder of labelled films.
        policy: whose verdicts on good and spoiled films are shown.
        advance: told of every film.

    Raises:
        SettingsError: no labelled films, or too few good ones of the reporting half and size.
    """
    films = labelled_films(root)
    good = [film for film in films if film.label == "good" and film.reporting]
    measured = examples([film for film in films if film.label], ReadSettings(), advance)  # pyright: ignore[reportCallIssue]
    quality = _quality(measured)
    shutters = Grid(
        "Shutters that films came with, as seen by eye: AUROC of the shutter probability",
        SHUTTERS,
        against_eyes(films, advance),
    )
    ladders: list[Rungs] = []
    for rungs in climb(good):
        ladders.append(rungs)
        advance()
    sources = [name for name in sorted({each.film.source for each in ladders}) if _count(ladders, name) >= MIN_FILMS]
    if not sources:
        raise SettingsError(f"{root}: fewer than {MIN_FILMS} good films of {MIN_SIDE} px in each source; add films")
    counted = ", ".join(f"{_count(ladders, name)} {name}" for name in sources)
    answers = [_answers(ladders, sources, counted, domain) for domain in BOTH]
    clean = [each for each in measured if each.film.label == "good" and each.film.reporting]
    said = [_verdicts(policy, clean, ladders, domain) for domain in BOTH]
    return [*answers, *said, shutters, _textbook(ladders, sources, counted), _speed(), quality]


def _count(ladders: Sequence[Rungs], source: str) -> int:
    return sum(each.film.source == source for each in ladders)


def _answers(ladders: Sequence[Rungs], sources: Sequence[str], films: str, domain: Domain) -> Grid:
    rows: list[tuple[object, ...]] = []
    for claim in CLAIMS:
        if domain in claim.domains:
            pooled = _areas(ladders, sources, claim.measure, domain, claim.defect, claim.sign)
            each = [_areas(ladders, [name], claim.measure, domain, claim.defect, claim.sign) for name in sources]
            met = "yes" if _met(claim, pooled) else "no"
            sure = _interval(ladders, sources, claim, domain) if claim.most == 1.0 else ""
            rows.append((claim.measure, claim.defect, claim.target, _shown(pooled), met, sure, *map(_shown, each)))
    columns = ("measure", "defect", "target", "AUROC", "met", "95 % at 1", *sources)
    return Grid(f"Tools against defects of severity 1/2/3, {domain} films ({films})", columns, rows)


def _textbook(ladders: Sequence[Rungs], sources: Sequence[str], films: str) -> Grid:
    rows: list[tuple[object, ...]] = []
    for each in TEXTBOOK:
        for defects, target in ((each.answers, "1"), (each.leaves, ".50")):
            for defect in defects:
                areas = (_areas(ladders, sources, each.measure, domain, defect, each.sign) for domain in BOTH)
                rows.append((each.measure, defect, target, *map(_shown, areas)))
    columns = ("textbook measure", "defect", "target", *BOTH)
    return Grid(f"Why textbook measures stay out: AUROC at severity 1/2/3 ({films})", columns, rows)


def _speed() -> Grid:
    rows: list[tuple[object, ...]] = [(name, f"{ms:.2f}", f"{ratio:.2f}") for name, ms, ratio in speed()]
    return Grid("CPU on a film of 2544 x 3056 px, JPEG quality 95", ("step", "ms", "of imdecode"), rows)


def _verdicts(policy: Policy, clean: Sequence[Example], ladders: Sequence[Rungs], domain: Domain) -> Grid:
    counted = f"{sum(each.domain == domain for each in clean)} good ones, {len(ladders)} spoiled at severity 1/2/3"
    title = f"What {policy.name} v{policy.version} says of {domain} films ({counted}): share of them"
    return Grid(title, COLUMNS, verdicts(policy, clean, ladders, domain))


def _quality(films: Sequence[Example]) -> Grid:
    rows = patients_table(films)
    columns = tuple(rows[0])
    title = "Quality against readers, low against good films of patients the model had not seen"
    return Grid(title, columns, [tuple(row[name] for name in columns) for row in rows])


def _areas(
    ladders: Sequence[Rungs],
    sources: Sequence[str],
    measure: str,
    domain: Domain,
    defect: str,
    sign: int,
    severities: Sequence[int] = SEVERITIES,
) -> list[float]:
    """AUROC of `sign * measure` for films with the defect, by severity; pairs of one source only.

    A defect without degrees gives one figure. NaN where no film of any source has the measure.
    """
    found = []
    for severity in severities:
        if all((domain, defect, severity) not in each.values for each in ladders):
            continue
        clean = [_column(ladders, source, measure, (domain, "", 0)) for source in sources]
        spoiled = [_column(ladders, source, measure, (domain, defect, severity)) for source in sources]
        found.append(_pooled(clean, spoiled, sign))
    return found


def _interval(ladders: Sequence[Rungs], sources: Sequence[str], claim: Claim, domain: Domain) -> str:
    """Of the AUROC at severity 1, over patients."""

    def area(rows: NDArray[np.intp]) -> float:
        drawn = [ladders[i] for i in rows]
        return _areas(drawn, sources, claim.measure, domain, claim.defect, claim.sign, SEVERITIES[:1])[0]

    found = cluster_bootstrap(area, [each.film.patient for each in ladders])
    return f"{short(found.low)}–{short(found.high)}"


def _column(ladders: Sequence[Rungs], source: str, measure: str, key: tuple[Domain, str, int]) -> list[float]:
    films = (each.values.get(key, {}) for each in ladders if each.film.source == source)
    return [values[measure] for values in films if measure in values]


def _pooled(clean: Sequence[list[float]], spoiled: Sequence[list[float]], sign: int) -> float:
    """AUROC over all pairs of one source each: the sources' AUROC weighted by their pairs."""
    areas, pairs = [0.0], [0]
    for negative, positive in zip(clean, spoiled, strict=True):
        if negative and positive:
            truth = [False] * len(negative) + [True] * len(positive)
            areas.append(auroc(sign * np.array(negative + positive), truth))
            pairs.append(len(negative) * len(positive))
    return float(np.average(areas, weights=pairs)) if sum(pairs) else float("nan")


def _met(claim: Claim, areas: Sequence[float]) -> bool:
    """Whether every severity lies within the target, to the two digits printed."""
    bounds = zip(areas, claim.least, strict=False)
    return all(least <= round(area, 2) <= claim.most for area, least in bounds)


def _shown(areas: Sequence[float]) -> str:
    return "/".join(map(short, areas))
