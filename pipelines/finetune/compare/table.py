"""From reports to the table: the benchmark's own scores a run, and paired differences over runs."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from ....benchmark.cases import Cell, group
from ....benchmark.corpus import Corpus
from ....benchmark.labeler import label
from ....benchmark.metrics import METRICS
from ....benchmark.score import CLEAN, Roles, draw_scores, rows_of
from .films import NORMAL, Films
from .task import TESTED, TESTED_SEEN, cases

WRITTEN = ("micro_f1_14_uncertain_positive", "rouge_l")
"""Of `lrrg score`. Label F1 does not see sides, and naming everything earns two thirds of it here; ROUGE-L does."""
LOSS = "cross_entropy"
"""Nats a token of the true report: not what is read in the end, but far less a matter of chance."""
SHOWN = (*WRITTEN, LOSS)
RUN, FLOOR = "run", "constant"
DRAWS = 100
"""Bootstrap samples, the least there may be: intervals here are over runs."""
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
SINGLE = {"seen": TESTED_SEEN, "unseen": TESTED}
Reports = Mapping[str, list[str]]
"""A run's reports by condition."""
Scores = dict[str, dict[str, float]]
"""A run's scores by metric and column."""


class Line(NamedTuple):
    """A row's mean, and its difference to its opponent over the same runs with a 95 % interval, in hundredths."""

    row: str
    metric: str
    score: str
    mean: float
    difference: float
    half_width: float
    better_runs: int
    runs: int


def table(scores: Mapping[str, Sequence[Scores]], opponents: Mapping[str, str]) -> list[Line]:
    """Every score of every row.

    The gap's difference is the benchmark's difference in differences with its sign turned: below zero is less lost.

    Args:
        scores: of each run (see `score`) by row, the same seeds in the same order; later ones may lack.
        opponents: row that each row is compared with.
    """
    lines: list[Line] = []
    for metric, row, name in product(SHOWN, scores, SCORES):
        pairs = zip(scores[row], scores[opponents[row]], strict=False)  # the runs that both have
        values = 100 * np.array([[each[metric][name] for each in pair] for pair in pairs])
        if not np.isnan(values).any():  # what is no model has no losses
            lines.append(_line(row, metric, name, values))
    return lines


def _line(row: str, metric: str, name: str, values: np.ndarray) -> Line:
    """`values`: shape (runs, 2), the row's and the baseline's."""
    differences = values[:, 0] - values[:, 1]
    runs = len(differences)
    half = float(T_975[runs] * differences.std(ddof=1) / np.sqrt(runs)) if runs > 1 else float("nan")
    less_is_better = metric == LOSS or name.startswith("gap")
    better = int((differences < 0).sum() if less_is_better else (differences > 0).sum())
    return Line(row, metric, name, float(values[:, 0].mean()), float(differences.mean()), half, better, runs)


def score(test: Films, reports: Reports, losses: Mapping[str, float]) -> Scores:
    """Scores of one run by metric and column: fractions, those of `lrrg score` on all of its reports, and nats.

    Args:
        test: the films.
        reports: by condition.
        losses: nats a token by condition; none for what is no model.
    """
    every = cases(test, list(reports))
    references = [case.reference for case in every]
    labels: dict[str, np.ndarray] = {}
    # What derived rows are called by; the columns here are derived from neither.
    texts = {RUN: [text for written in reports.values() for text in written], FLOOR: [NORMAL] * len(every)}
    corpora = {name: Corpus(written, references, label, _labels=labels) for name, written in texts.items()}
    cells = group(every)
    found: Scores = {LOSS: _losses(losses)}
    for metric in WRITTEN:
        drawn = draw_scores(METRICS[metric], corpora, every, cells, draws=DRAWS, seed=0)
        rows = rows_of(METRICS[metric], drawn, set(cells), Roles(FLOOR, RUN, frozenset(TESTED)))
        values = {(Cell(*row[1:6]), row.quantity): row.value for row in rows if row.model == RUN}
        found[metric] = {name: values[key] for name, key in SCORES.items()}
    return found


def _losses(found: Mapping[str, float]) -> dict[str, float]:
    if not found:
        return dict.fromkeys(SCORES, float("nan"))
    means = {name: float(np.mean([found[each] for each in of])) for name, of in SINGLE.items()}
    gaps = {"gap": found["low"] - found["clean"], "gap_natural": found["natural"] - found["clean"]}
    return {name: found[name] for name in ("clean", "low", "natural")} | means | gaps


def by_row(lines: Sequence[Line]) -> dict[str, list[list[str]]]:
    """Tables for people by metric: a row's name and runs, then its scores as `mean (difference ± half width)`."""
    tables: dict[str, dict[str, list[str]]] = {}
    for line in lines:
        compared = f" ({line.difference:+.1f} ± {line.half_width:.1f})" if line.half_width or line.difference else ""
        cells = tables.setdefault(line.metric, {}).setdefault(line.row, [line.row, str(line.runs)])
        cells.append(f"{line.mean:.1f}{compared}")
    return {metric: list(rows.values()) for metric, rows in tables.items()}
