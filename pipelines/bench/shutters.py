"""Shutters seen by eye: films that were collimated as they came, against the collimation finder.

`shutters.csv` says of 222 films whether a straight edge of a shutter, a cassette or a turned export runs along most of
a side. One reader, no radiologist, labelled contact sheets without seeing any measure; where a soft or a hair-thin rim
made that a matter of taste the film is `unsure` and is not counted.
"""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...benchmark.mimic import as_mimic
from ...benchmark.statistics import auroc, cluster_bootstrap
from ...tools import Film, collimation
from ..films import LabelledFilm, read_film
from ..settings import ReadSettings
from ..view import Advance
from .claims import short

LABELS = Path(__file__).with_name("shutters.csv")
TARGET = 0.95
UNSURE = "unsure"
COLUMNS = ("source", "with", "without", "unsure", "target", "presentation", "equalised")


def seen_by_eye() -> dict[str, str]:
    """`yes`, `no` or `unsure` by file name."""
    with LABELS.open(newline="", encoding="utf-8") as stream:
        return {row["file"]: row["shutter"] for row in csv.DictReader(stream)}


def against_eyes(films: Sequence[LabelledFilm], advance: Advance) -> list[tuple[object, ...]]:
    """One row a source and one of all films together, as `COLUMNS`: AUROC of the shutter probability.

    Films of the reporting half; in brackets the 95 % interval over patients.
    """
    labels = seen_by_eye()
    shown = [film for film in films if film.reporting and film.path.name in labels]
    found = {film: _probabilities(film, advance) for film in shown if labels[film.path.name] != UNSURE}
    sources = sorted({film.source for film in shown})
    scopes = [(name, [film for film in shown if film.source == name]) for name in sources]
    together = [("all", shown)] if len(sources) > 1 else []
    return [(name, *_row(chosen, labels, found)) for name, chosen in [*scopes, *together]]


def _row(
    films: Sequence[LabelledFilm], labels: dict[str, str], found: dict[LabelledFilm, tuple[float, float]]
) -> tuple[object, ...]:
    sure = [film for film in films if film in found]
    truth = np.array([labels[film.path.name] == "yes" for film in sure], bool)
    areas = [_area([found[film][k] for film in sure], truth, sure) for k in (0, 1)]
    return (int(truth.sum()), int((~truth).sum()), len(films) - len(sure), short(TARGET), *areas)


def _area(found: Sequence[float], truth: NDArray[np.bool_], films: Sequence[LabelledFilm]) -> str:
    """Empty where all films are of one kind; `no` marks what misses the target."""
    if truth.all() or not truth.any():
        return ""
    values = np.array(found)
    area = cluster_bootstrap(lambda rows: auroc(values[rows], truth[rows]), [film.patient for film in films])
    missed = " no" if area.value < TARGET else ""
    return f"{short(area.value)} ({short(area.low)}–{short(area.high)}){missed}"


def _probabilities(film: LabelledFilm, advance: Advance) -> tuple[float, float]:
    """Shutter probability of a film as it came and as MIMIC-CXR-JPG would hold it."""
    grey = read_film(film.path, ReadSettings()).pixels  # pyright: ignore[reportCallIssue]
    advance()
    films = Film(grey, "presentation"), Film(as_mimic(grey), "equalised")
    as_it_came, equalised = (collimation.probability(each) or 0.0 for each in films)
    return as_it_came, equalised
