"""From reports to the table: the benchmark's own scores a run, and paired differences over runs."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from ....benchmark.cases import Cell, group
from ....benchmark.corpus import Corpus
from ....benchmark.labeler import label
from ....benchmark.metrics import METRICS
from ....benchmark.score import CLEAN, Roles, Row, draw_scores, rows_of
from .films import NORMAL, Films
from .task import TESTED, cases

SHOWN = ("micro_f1_14_uncertain_positive", "rouge_l")
"""Label F1 does not see sides, and naming everything earns two thirds of it here; ROUGE-L sees what is written."""
FLOOR = "constant"
T_975 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 7: 2.447, 8: 2.365, 9: 2.306, 10: 2.262}
"""Student's t at 97.5 % by number of runs."""
SCORES: Mapping[str, tuple[Cell, str]] = {
    "clean": (CLEAN, "value"),
    "low": (Cell("T1", "low"), "value"),
    "natural": (Cell("T1h", "low"), "value"),
    "seen": (Cell("T4", "high", "all", "seen"), "mean_area_under_severity"),
    "unseen": (Cell("T4", "high", "all", "unseen"), "mean_area_under_severity"),
    "gap": (Cell("T1", "all"), "gap"),
    "gap_natural": (Cell("T1h", "all"), "gap"),
}
"""Columns: rows of `lrrg score`. Low films are spoilt as the training's are; natural ones as nature may."""
Reports = Mapping[str, list[str]]
"""A run's reports by condition."""


class Line(NamedTuple):
    """A row's mean score, and its difference to the baseline over the same runs with a 95 % interval, in points."""

    row: str
    metric: str
    score: str
    mean: float
    difference: float
    half_width: float
    better_runs: int
    runs: int


def table(test: Films, predictions: Mapping[str, Sequence[Reports]], baseline: str, draws: int) -> list[Line]:
    """Every score of every row.

    The gap's difference is the benchmark's difference in differences with its sign turned: below zero is less lost.

    Args:
        test: the films.
        predictions: runs by row, the same seeds in the same order.
        baseline: row that the others are compared with.
        draws: bootstrap samples of each run's own scores.
    """
    runs = len(next(iter(predictions.values())))
    scored = [
        score(test, {row: each[run] for row, each in predictions.items()}, baseline, draws) for run in range(runs)
    ]
    lines: list[Line] = []
    for metric, row, name in product(SHOWN, predictions, SCORES):
        values = 100 * np.array([[found[metric, each][name] for each in (row, baseline)] for found in scored])
        lines.append(_line(row, metric, name, values))
    return lines


def _line(row: str, metric: str, name: str, values: np.ndarray) -> Line:
    """`values`: shape (runs, 2), the row's and the baseline's."""
    differences = values[:, 0] - values[:, 1]
    runs = len(differences)
    half = float(T_975[runs] * differences.std(ddof=1) / np.sqrt(runs)) if runs > 1 else float("nan")
    better = int((differences < 0).sum() if name.startswith("gap") else (differences > 0).sum())
    return Line(row, metric, name, float(values[:, 0].mean()), float(differences.mean()), half, better, runs)


def score(
    test: Films, reports: Mapping[str, Reports], baseline: str, draws: int
) -> dict[tuple[str, str], dict[str, float]]:
    """Scores of one run of every row, by (metric, row) and column, as fractions."""
    names = list(next(iter(reports.values())))
    every = cases(test, names)
    references = [case.reference for case in every]
    texts = {row: [text for name in names for text in written[name]] for row, written in reports.items()}
    texts[FLOOR] = [NORMAL] * len(every)
    labels: dict[str, np.ndarray] = {}
    corpora = {row: Corpus(written, references, label, _labels=labels) for row, written in texts.items()}
    cells = group(every)
    found: dict[tuple[str, str], dict[str, float]] = {}
    for name in SHOWN:
        drawn = draw_scores(METRICS[name], corpora, every, cells, draws=draws, seed=0)
        rows = rows_of(METRICS[name], drawn, set(cells), Roles(FLOOR, baseline, frozenset(TESTED)))
        found |= {(name, row): _columns(rows, row) for row in reports}
    return found


def _columns(rows: Sequence[Row], model: str) -> dict[str, float]:
    found = {(Cell(*row[1:6]), row.quantity): row.value for row in rows if row.model == model}
    return {name: found[key] for name, key in SCORES.items()}


def by_row(lines: Sequence[Line]) -> dict[str, list[list[str]]]:
    """Tables for people by metric: a row's name, then its scores as `mean (difference ± half width)`."""
    tables: dict[str, dict[str, list[str]]] = {}
    for line in lines:
        compared = f" ({line.difference:+.1f} ± {line.half_width:.1f})" if line.half_width or line.difference else ""
        cells = tables.setdefault(line.metric, {}).setdefault(line.row, [line.row])
        cells.append(f"{line.mean:.1f}{compared}")
    return {metric: list(rows.values()) for metric, rows in tables.items()}
