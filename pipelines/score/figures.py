"""Figures of a scored benchmark: severity curves and forest plots."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...benchmark.metrics import METRICS
from ...benchmark.score import Row
from .stage import HEADLINE, Scores

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette: told apart by colour-blind readers."""
MARKS = ("o", "s", "^", "D", "v", "P", "X")
FOREST = {"T1": "gap", "T2": "gap", "T3": "gap", "T4": "drop"}
WIDTH = 3.0


def draw(scores: Scores, out: Path) -> list[Path]:
    """Write every figure that has something to show, and remove an earlier one that has not; returns their paths."""
    # Text stays text and ids stay the same: two runs give the same SVG.
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "lrrg", "font.size": 9})
    written: list[Path] = []
    for metric in HEADLINE:
        rows = [row for row in scores.rows if row.metric == metric]
        for kind, figure in (("severity", _severity(rows, scores, metric)), ("forest", _forest(rows, scores, metric))):
            paths = [out / f"{kind}_{metric}{suffix}" for suffix in (".svg", ".png")]
            if figure is not None:
                _save(figure, paths)
                written += paths
            else:
                for path in paths:
                    path.unlink(missing_ok=True)
    return written


def _save(figure: Figure, paths: Sequence[Path]) -> None:
    for path in paths:
        figure.savefig(path, dpi=150, bbox_inches="tight", metadata={"Date": None} if path.suffix == ".svg" else None)
    plt.close(figure)


def _severity(rows: Sequence[Row], scores: Scores, metric: str) -> Figure | None:
    """One panel a defect: the score from the clean film to the worst, one line a model with its interval."""
    clean = {row.model: row for row in rows if row.track == "T4" and row.quantity == "value" and not row.defect}
    degraded = [row for row in rows if row.track == "T4" and row.quantity == "value" and row.defect]
    defects = sorted({row.defect for row in degraded})
    if not defects:
        return None
    columns = min(4, len(defects))
    height = -(-len(defects) // columns)
    figure, grid = plt.subplots(
        height, columns, figsize=(WIDTH * columns, 2.4 * height), sharex=True, sharey=True, squeeze=False
    )
    panels: list[Axes] = [panel for line in grid for panel in line]
    for panel, defect in zip(panels, defects, strict=False):
        for index, model in enumerate(scores.models):
            points = [clean[model], *(row for row in degraded if row.model == model and row.defect == defect)]
            _line(panel, points, index, model)
        panel.set_title(defect.replace("_", " "))
        panel.grid(alpha=0.3)
    for panel in panels[len(defects) :]:
        panel.axis("off")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="upper center", ncols=min(4, len(labels)), bbox_to_anchor=(0.5, 0.0), frameon=False
    )
    figure.supxlabel("severity (0 = clean)", y=0.01)
    figure.supylabel(f"{metric} ({METRICS[metric].better} is better)")
    figure.tight_layout()
    return figure


def _line(panel: Axes, points: Sequence[Row], index: int, model: str) -> None:
    severities = [row.severity for row in points]
    colour, mark = _style(index)
    panel.plot(severities, [row.value for row in points], color=colour, marker=mark, ms=4, label=model)
    low, high = [row.low for row in points], [row.high for row in points]
    panel.fill_between(severities, low, high, color=colour, alpha=0.15, lw=0)


def _style(index: int) -> tuple[str, str]:
    return COLOURS[index % len(COLOURS)], MARKS[index % len(MARKS)]


def _forest(rows: Iterable[Row], scores: Scores, metric: str) -> Figure | None:
    """What quality costs each model: gap or drop with its interval, zero marked."""
    shown = [row for row in rows if FOREST.get(row.track) == row.quantity and row.view == "all"]
    names = sorted({(row.track, row.defect) for row in shown})
    if not names:
        return None
    figure, panel = plt.subplots(figsize=(6, 0.9 + 0.16 * len(names) * (len(scores.models) + 1)))
    for index, model in enumerate(scores.models):
        colour, mark = _style(index)
        offset = (index - (len(scores.models) - 1) / 2) / (len(scores.models) + 1)
        for row in (row for row in shown if row.model == model):
            place = names.index((row.track, row.defect)) + offset
            # A percentile interval can miss its estimate by a rounding error, or by more where a score is biased.
            spread = [[max(0.0, row.value - row.low)], [max(0.0, row.high - row.value)]]
            panel.errorbar(row.value, place, xerr=spread, ms=4, lw=1, color=colour, marker=mark)
        panel.plot([], [], color=colour, marker=mark, label=model)
    panel.axvline(0, color="black", lw=0.8)
    panel.set_yticks(range(len(names)), [f"{track} {defect.replace('_', ' ')}".strip() for track, defect in names])
    panel.invert_yaxis()
    panel.set_xlabel(f"loss of {metric} on low-quality films, as a fraction of its range")
    panel.grid(axis="x", alpha=0.3)
    panel.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    return figure
