"""`lrrg bench degrade`: what LRRG-C does to a film, how fast, and how severe that is beside naturally low films."""

import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from ...benchmark.calibrate import MEASURES, calibrate
from ...benchmark.degrade import degrade
from ...benchmark.ladder import Defect, Ladder, LadderError
from ...benchmark.phantom import phantom
from ...benchmark.physics import Grey
from ...tools import TOOLS, Domain, Film, Tool
from ..errors import SettingsError
from ..films import labelled_films, read_film
from ..settings import ReadSettings

SEVERITY = 3
REPEATS = 3
GOOD = 12
"""Good films that are spoilt to solve a ladder; more change little and cost in proportion."""


class DefectRow(NamedTuple):
    """One defect with its severities; `cpu_ms` is the best of three, `films_s_core` its inverse."""

    defect: str
    aspect: str
    training: str
    parameter: str
    severities: str
    cpu_ms: float
    films_s_core: float


class Calibration(NamedTuple):
    """A ladder solved on real films, and why some defects kept their severities."""

    ladder: Ladder
    kept: list[str]


def bench_degrade(ladder: Ladder, height: int = 3056) -> Iterator[DefectRow]:
    """Describe and time every defect of a ladder on one film of `height` rows, on one thread."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    grey = (phantom(0, height=height).stored >> 4).astype(np.uint8)
    try:
        for defect in ladder.defects.values():
            yield _row(defect, min(_timed(grey, defect, ladder) for _ in range(REPEATS)))
    finally:
        cv2.setNumThreads(threads)


def calibrated(ladder: Ladder, films_root: Path) -> Calibration:
    """Solve the severities of a ladder on hand-labelled films, as `benchmark.calibrate` explains.

    Films of the less frequent intensity domains are left out, because their measures do not compare.

    Raises:
        SettingsError: no manifest in `films_root`, a film that cannot be read, or no good one to spoil.
    """
    good, low = _films(films_root)
    pixels, domain = {key: film.pixels for key, film in good.items()}, next(iter(good.values())).domain
    steps, kept = {}, []
    for name, measure in MEASURES.items():
        tool = next(each for each in TOOLS if each.name == measure)
        values = [value for film in low if (value := tool(film)) is not None]
        try:
            steps[name] = calibrate(ladder[name], pixels, values, partial(_measured, tool, domain))
        except LadderError as error:
            kept.append(str(error))
    basis = {"good": len(good), "low": len(low), "defects": sorted(steps)}
    return Calibration(ladder.with_steps(steps, basis), kept)


def _films(root: Path) -> tuple[dict[str, Film], list[Film]]:
    """The first good films by name and all low ones, of the most frequent intensity domain."""
    limits = ReadSettings()  # pyright: ignore[reportCallIssue]
    labelled = [film for film in labelled_films(root) if film.label in ("good", "low")]
    films = [(film, read_film(film.path, limits)) for film in labelled]
    usual = [domain for domain, _ in Counter(film.domain for _, film in films).most_common(1)]
    good = {row.path.stem: film for row, film in films if row.label == "good" and film.domain in usual}
    if not good:
        raise SettingsError(
            f"{root}: no good film among those of the most frequent intensity domain; add some to spoil"
        )
    low = [film for row, film in films if row.label == "low" and film.domain in usual]
    return dict(sorted(good.items())[:: max(1, len(good) // GOOD)][:GOOD]), low


def _measured(tool: Tool, domain: Domain, grey: Grey) -> float | None:
    return tool(Film(grey, domain))


def _timed(grey: Grey, defect: Defect, ladder: Ladder) -> float:
    started = time.process_time()
    degrade(grey, defect.name, SEVERITY, key="bench", ladder=ladder)
    return time.process_time() - started


def _row(defect: Defect, seconds: float) -> DefectRow:
    parameter = f"{defect.parameter} ({defect.unit})" if defect.ordered else ""
    severities = " ".join(f"{value:g}" for value in defect.ladder)
    training = "seen" if defect.seen else "unseen"
    speed = 1 / max(seconds, 1e-6)
    return DefectRow(defect.name, defect.aspect, training, parameter, severities, 1000 * seconds, speed)
