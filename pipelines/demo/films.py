"""Small clean films, drawn to teach the demo's report models to see: in place of what a published model has seen."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ...benchmark.cases import Case
from ...benchmark.ladder import read_ladder
from ...benchmark.mimic import mimic_jpeg
from ...benchmark.phantom import View, phantom
from ...benchmark.phantom_findings import FINDINGS, Finding
from ...benchmark.reports import report
from ...benchmark.spec import Spec
from ..question import CONTEXT
from ..splits.export import Materialised, export
from ..view import Advance
from .mirror import mapping

PREVALENCE = 0.25
"""Of each finding: a film that shows several teaches more than one that shows none."""
FOLLOWED, UNCHANGED = 0.5, 0.6
"""Of people have an earlier examination; of those show now what they showed then, as in the mirror."""
HEIGHT = 112
PEOPLE = 1_000_000
"""Seed of the first person; the mirror's are all above ten million."""


class Drawn(NamedTuple):
    """One film's name and what a report on it says."""

    name: str
    view: View
    context: dict[str, Any]
    findings: str
    prior: str


def write_films(folder: Path, number: int, workers: int, advance: Advance) -> Path:
    """Draw films of as many people, all of split `train` and high, and write them as a benchmark's folder.

    Args:
        folder: for `films/` and `splits/`.
        number: of films.
        workers: processes that draw.
        advance: told of every film.

    Returns:
        The folder `splits`.
    """
    films = folder / "films"
    films.mkdir(parents=True, exist_ok=True)
    drawn: list[Drawn] = []
    with mapping(workers) as apply:
        for one in apply(partial(_write, films), range(PEOPLE, PEOPLE + number)):
            drawn.append(one)
            advance(1)
    _export(drawn, films, folder / "splits")
    return folder / "splits"


def _write(films: Path, person: int) -> Drawn:
    rng = np.random.default_rng([person, 7])
    view: View = "AP" if rng.random() < 0.5 else "PA"
    shown = _findings(rng)
    prior = _earlier(shown, rng) if rng.random() < FOLLOWED else ""
    said = report(shown, rng, portable=view == "AP", prior=bool(prior))
    name = f"drawn{person}"
    stored = phantom(person, height=HEIGHT, view=view, findings=shown).stored
    (films / f"{name}.jpg").write_bytes(mimic_jpeg((stored >> 4).astype(np.uint8)))
    context = {"indication": said.indication, "technique": said.technique, "comparison": said.comparison}
    return Drawn(name, view, {**dict.fromkeys(CONTEXT), **context}, said.findings, prior)


def _findings(rng: np.random.Generator) -> list[Finding]:
    return [each for each in FINDINGS if rng.random() < PREVALENCE]


def _earlier(shown: list[Finding], rng: np.random.Generator) -> str:
    return report(shown if rng.random() < UNCHANGED else _findings(rng), rng, portable=False, prior=False).findings


def _export(drawn: Sequence[Drawn], films: Path, splits: Path) -> None:
    by_name = {each.name: each for each in drawn}
    cases = [
        Case(name, name, name, each.findings, (), "high", "train", name, each.view, prior=each.prior)
        for name, each in by_name.items()
    ]
    export(
        Materialised(
            cases=cases,
            paths={name: str((films / f"{name}.jpg").resolve()) for name in by_name},
            reports={name: each.context for name, each in by_name.items()},
            spec=Spec(),
            recipe={"recipe_id": "drawn", "policy": None},
            ladder=read_ladder(),
            defects=(),
            fingerprints=dict.fromkeys(by_name, ""),
            views={name: {name: each.view} for name, each in by_name.items()},
        ),
        splits,
        ("parquet",),
    )
