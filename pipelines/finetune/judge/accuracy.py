"""`lrrg finetune judge-accuracy`: what a compact judge is worth on patients, or a whole source, that it never saw."""

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from ....benchmark.degrade import degrade
from ....benchmark.ladder import TOOL_SEVERITIES, read_ladder
from ...calibrate.file import FILE, read_calibration
from ...errors import SettingsError
from ...films import labelled_films
from ...serving.models import COMPACT
from ...settings import ReadSettings
from ...view import Progress
from .bases import Base, read_base
from .evaluate import (
    DRAWS,
    MIXED,
    UNSEEN,
    Graded,
    Rows,
    area,
    by_aspect,
    by_defect,
    by_ladder,
    calibrated,
    ladders,
    mixed,
    steps,
)
from .model import Judge
from .spoil import Spoiled
from .stage import PATIENTS
from .views import DOMAINS, make_views

SEED = 2026
"""Of the test films' defects; training never uses it."""
PART = 24
"""Films that are spoiled, cut and graded at once: a bound on memory."""


def accuracy(
    root: Path, folder: Path | None, read: ReadSettings, progress: Progress, *, draws: int = DRAWS
) -> dict[str, Rows]:
    """Grade films that the judge of `folder`, the shipped one by default, never saw.

    These are the reporting half of the patients or, where training held a source out, all of that source.

    Returns:
        `aspects`: several defects at once; `sources`: the same by source; `ladders`: one defect at a time, by aspect;
        `defects`: the same by defect and severity; `unseen`: defects that were never taught; `labels`: a reader's `low`
        against `good` on films as they came.

    Raises:
        SettingsError: no model in `folder`, or no film that it has not seen.
    """
    folder = folder or COMPACT
    hold_out = _held_out(folder)
    labelled = [film for film in labelled_films(root) if film.label in ("good", "low")]
    unseen = [film for film in labelled if (film.source == hold_out if hold_out else film.reporting)]
    films = [read_base(film, read) for film in unseen]
    good = [film for film in films if film.label == "good"]
    if not good:
        raise SettingsError(f"{root}: no good film that {folder} has not seen")
    judge, calibration = Judge.load(folder), read_calibration(folder / FILE)

    def graded(label: str, number: int, spoiled: Iterator[tuple[Base, Spoiled]]) -> Graded:
        parts = []
        with progress(label, number) as advance:
            while part := list(islice(spoiled, PART)):
                views = make_views(part)
                parts.append(Graded(views, judge.grade(views)))
                advance(len(part))
        return calibrated(Graded.joined(parts), calibration)

    several = graded("several defects", len(good) * MIXED, mixed(good, seed=SEED))
    alone = graded("one defect", len(good) * len(steps()), ladders(good, seed=SEED))
    strange = graded("untaught defects", len(good) * (1 + 3 * len(UNSEEN)), _strange(good))
    plain = graded("films as they came", len(films), ((film, Spoiled(film.grey, film.grades, ())) for film in films))
    return {
        "aspects": [row for domain in ("both", *DOMAINS) for row in by_aspect(several, domain, draws=draws)],
        "sources": [
            row
            for name in sorted({film.source for film in good})
            for row in by_aspect(several, "both", draws=draws, source=name)
        ],
        "ladders": [row for domain in ("both", *DOMAINS) for row in by_ladder(alone, domain, draws=draws)],
        "defects": [row for domain in DOMAINS for row in by_defect(alone, domain)],
        "unseen": [row for domain in DOMAINS for row in by_defect(strange, domain, UNSEEN)],
        "labels": [row for domain in DOMAINS for row in _labels(plain, films, domain, draws)],
    }


def _held_out(folder: Path) -> str | None:
    try:
        return json.loads((folder / PATIENTS).read_text(encoding="utf-8"))["hold_out"]
    except (OSError, ValueError, KeyError) as error:
        raise SettingsError(f"{folder}: not a judge that lrrg finetune judge made ({error})") from error


def _strange(films: Sequence[Base]) -> Iterator[tuple[Base, Spoiled]]:
    """Every film clean and with the defects that were never taught, at the severities of the grades."""
    yield from ((film, Spoiled(film.grey, film.grades, ())) for film in films)
    for film in films:
        for name in UNSEEN:
            for grade, severity in list(TOOL_SEVERITIES.items())[:3]:
                grades = {**film.grades, read_ladder()[name].aspect: grade}
                yield film, Spoiled(degrade(film.grey, name, severity, key=film.name), grades, (name,))


def _labels(graded: Graded, films: Sequence[Base], domain: str, draws: int) -> Rows:
    """A reader's `low` against `good`, by the largest and by the mean expected severity: all, and each source alone."""
    label = {film.name: film.label for film in films}
    here = np.array([row.domain == domain for row in graded.views.rows])
    rows = [row for row in graded.views.rows if row.domain == domain]
    low = np.array([label[row.film] == "low" for row in rows])
    source, patient = (np.array([getattr(row, name) for row in rows]) for name in ("source", "patient"))
    found: Rows = []
    for name in ("all", *sorted(set(source))):
        of = np.full(len(rows), True) if name == "all" else source == name
        if min(low[of].sum(), (~low[of]).sum()) < 2:
            continue
        row: dict[str, Any] = {
            "source": name,
            "domain": domain,
            "low": int(low[of].sum()),
            "good": int((~low[of]).sum()),
        }
        for how, pool in (("worst", np.max), ("mean", np.mean)):
            row[how] = area(pool(graded.severity[here][of], axis=1), low[of], patient[of], draws)
        found.append(row)
    return found
