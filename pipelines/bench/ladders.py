"""Every good film, clean and spoiled step by step, in both intensity domains, through every measure."""

import multiprocessing
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...benchmark.degrade import degrade
from ...benchmark.ladder import TOOL_SEVERITIES, read_ladder
from ...benchmark.mimic import as_mimic
from ...tools import TOOLS, Domain, Film, measure
from ..engines.worker import settle
from ..films import LabelledFilm, read_film
from ..settings import ReadSettings
from .claims import BOTH, DEFECTS, TEXTBOOK
from .textbook import MEASURES

SEVERITIES = (1, 2, 3)
WORKERS = 2
MIN_SIDE = 1000
"""Smaller films cannot hold severity 1: a blur of 3 px at 3056 is less than one of their pixels."""

Key = tuple[Domain, str, int]


class Rungs(NamedTuple):
    """All measures of one film's ladder: values by (domain, defect, severity); the clean film is (domain, "", 0)."""

    film: LabelledFilm
    values: dict[Key, dict[str, float]]


def climb(films: Iterable[LabelledFilm]) -> Iterator[Rungs]:
    """Measure the ladders of films, two at a time, in no certain order."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, mp_context=context, initializer=settle) as pool:
        for done in as_completed([pool.submit(_ladder, film) for film in films]):
            rungs = done.result()
            if rungs.values:
                yield rungs


def _ladder(film: LabelledFilm) -> Rungs:
    grey = read_film(film.path, ReadSettings()).pixels  # pyright: ignore[reportCallIssue]
    values: dict[Key, dict[str, float]] = {}
    if max(grey.shape) >= MIN_SIDE:
        for defect, severity, spoiled in _spoiled(grey, film.path.stem):
            for domain in BOTH:
                values[domain, defect, severity] = _measured(spoiled, domain, film.view, defect)
    return Rungs(film, values)


def _spoiled(grey: NDArray[np.uint8], key: str) -> Iterator[tuple[str, int, NDArray[np.uint8]]]:
    yield "", 0, grey
    for defect in DEFECTS:
        for severity in SEVERITIES if read_ladder()[defect].ordered else SEVERITIES[:1]:
            yield defect, severity, degrade(grey, defect, TOOL_SEVERITIES[severity], key=key)


def _measured(grey: NDArray[np.uint8], domain: Domain, view: str, defect: str) -> dict[str, float]:
    film = Film(as_mimic(grey) if domain == "equalised" else grey, domain, view=view or None)
    values = {f"{found.tool}.{found.metric}": found.value for found in measure(film, TOOLS)}
    shown = (each.measure for each in TEXTBOOK if not defect or defect in (*each.answers, *each.leaves))
    return values | {name: MEASURES[name](film.view1024) for name in shown}
