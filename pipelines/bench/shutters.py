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
from ..examples import read_film
from ..films import LabelledFilm
from ..settings import ReadSettings
from ..view import Advance
from .claims import short

LABELS = Path(__file__).with_name("shutters.csv")
WANTED = 0.95
COLUMNS = ("source", "with", "without", "unsure", "wanted", "presentation", "equalised")


def seen_by_eye() -> dict[str, str]:
    """`yes`, `no` or `unsure` by file name."""
    with LABELS.open(newline="", encoding="utf-8") as stream:
        return {row["file"]: row["shutter"] for row in csv.DictReader(stream)}


def against_eyes(films: Sequence[LabelledFilm], advance: Advance) -> list[tuple[object, ...]]:
    """One row a source, as `COLUMNS`: AUROC of the shutter probability on films of the reporting half.

    In brackets the 95 % interval over patients.
    """
    labels = seen_by_eye()
    shown = [film for film in films if film.reporting and film.path.name in labels]
    return [
        _row(name, [film for film in shown if film.source == name], labels, advance)
        for name in sorted({film.source for film in shown})
    ]


def _row(source: str, films: Sequence[LabelledFilm], labels: dict[str, str], advance: Advance) -> tuple[object, ...]:
    told = [labels[film.path.name] for film in films]
    sure = [film for film, label in zip(films, told, strict=True) if label != "unsure"]
    truth = np.array([labels[film.path.name] == "yes" for film in sure])
    found = np.array([_probabilities(film, advance) for film in sure])
    patients = [film.patient for film in sure]
    both = 0 < truth.sum() < len(truth)
    areas = [_area(found[:, domain], truth, patients) if both else "" for domain in (0, 1)]
    with_one = int(truth.sum())
    return (source, with_one, len(truth) - with_one, told.count("unsure"), short(WANTED), *areas)


def _area(found: NDArray[np.float64], truth: NDArray[np.bool_], patients: Sequence[str]) -> str:
    area = cluster_bootstrap(lambda rows: auroc(found[rows], truth[rows]), patients)
    return f"{short(area.value)} ({short(area.low)}–{short(area.high)})"


def _probabilities(film: LabelledFilm, advance: Advance) -> tuple[float, float]:
    """Shutter probability of a film as it came and as MIMIC-CXR-JPG would hold it."""
    grey = read_film(film.path, ReadSettings()).pixels  # pyright: ignore[reportCallIssue]
    advance()
    films = Film(grey, "presentation"), Film(as_mimic(grey), "equalised")
    as_it_came, equalised = (collimation.probability(each) or 0.0 for each in films)
    return as_it_came, equalised
