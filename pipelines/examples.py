"""Measured films to fit and check a policy on: as they came, as MIMIC-CXR-JPG would hold them, spoiled on purpose."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import NamedTuple

from ..benchmark.degrade import degrade
from ..benchmark.ladder import Ladder
from ..benchmark.mimic import as_mimic
from ..tools import TOOLS, Film, measure
from ..tools.film import Grey
from .errors import SettingsError
from .films import LabelledFilm, read_film
from .settings import ReadSettings
from .view import Advance


class Example(NamedTuple):
    """The measures of one film in one intensity domain."""

    film: LabelledFilm
    domain: str
    measures: Mapping[str, float]
    defect: str = ""
    """Ladder defect the film was spoiled with; empty where it is as it came."""
    severity: int = 0
    """Severity on that ladder, 1 to 5; 0 where the film is as it came."""


def unlabelled(paths: Iterable[Path], read: ReadSettings, advance: Advance) -> tuple[list[Example], list[str]]:
    """Measure films nobody judged, as they came.

    Returns:
        The measured films, and one message for each that cannot be read.
    """
    found, unreadable = [], []
    for path in paths:
        try:
            seen = read_film(path, read)
        except SettingsError as error:
            unreadable.append(str(error))
        else:
            found.append(_example(LabelledFilm(path, "", "", seen.view or "", ""), seen, "", 0))
        advance()
    return found, unreadable


def examples(films: Iterable[LabelledFilm], read: ReadSettings, advance: Advance) -> list[Example]:
    """Measure every film as it came and, unless it came equalised, after the transform of MIMIC-CXR-JPG."""
    found: list[Example] = []
    for film in films:
        found += [_example(film, each, "", 0) for each in _domains(read_film(film.path, read))]
        advance()
    return found


def ladders(
    films: Sequence[LabelledFilm], ladder: Ladder, severities: Iterable[int], read: ReadSettings, advance: Advance
) -> list[Example]:
    """Measure every film spoiled with every defect of a ladder, in both domains; a defect without degrees once."""
    found: list[Example] = []
    steps = [(name, s) for name, each in ladder.defects.items() for s in (severities if each.ordered else (5,))]
    for film in films:
        clean = read_film(film.path, read)
        for defect, severity in steps:
            spoiled = degrade(clean.pixels, defect, severity, key=film.path.name, ladder=ladder)
            found += [_example(film, each, defect, severity) for each in _domains(Film(spoiled, clean.domain))]
        advance()
    return found


def bases(films: Iterable[LabelledFilm], number: int) -> list[LabelledFilm]:
    """Good films to spoil, taken from every source in turn, one a patient: at most `number`."""
    by_source: dict[str, dict[str, LabelledFilm]] = defaultdict(dict)
    for film in films:
        if film.label == "good":
            by_source[film.source].setdefault(film.patient, film)
    turns = zip_longest(*(each.values() for _, each in sorted(by_source.items())))
    return [film for film in chain.from_iterable(turns) if film is not None][:number]


def _domains(film: Film) -> Iterator[Film]:
    yield film
    if film.domain != "equalised":
        equalised: Grey = as_mimic(film.pixels if film.stored is None else film.stored)
        yield Film(equalised, "equalised")


def _example(film: LabelledFilm, seen: Film, defect: str, severity: int) -> Example:
    measures = {f"{each.tool}.{each.metric}": each.value for each in measure(seen, TOOLS)}
    return Example(film, seen.domain, measures, defect, severity)
