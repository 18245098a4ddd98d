"""One picture of what the agent says: films of a demo with the defect that was put in and the verdict on it."""

import csv
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

from ...agent.state import ASPECTS
from ..store import Result

QUERY = f"""SELECT l.image_id, r.path || '/' || l.path AS path, l.regime, l.quality,
    [{", ".join(f"l.{aspect}" for aspect in ASPECTS)}] AS severities
FROM labels AS l JOIN image AS i USING (image_id) JOIN root AS r USING (root_id) ORDER BY l.image_id"""
COLOURS = {"high": "#009E73", "borderline": "#E69F00", "low": "#D55E00"}
SHOWN = ("", *ASPECTS)


def draw(truth: Path, found: Result, out: Path) -> None:
    """Write a picture of one clean film and the worst film of each aspect.

    Args:
        truth: the demo's table of defects.
        found: what `QUERY` gave.
        out: the picture, PNG.
    """
    with truth.open(newline="", encoding="utf-8") as lines:
        known = {row["dicom_id"]: row for row in csv.DictReader(lines)}
    films = found.records()
    chosen = [_worst(films, known, aspect) for aspect in SHOWN]
    figure, panels = plt.subplots(1, len(chosen), figsize=(2.1 * len(chosen), 3.1), facecolor="white")
    for panel, film in zip(panels, chosen, strict=True):
        panel.axis("off")
        if film is None:
            continue
        panel.imshow(cv2.imread(film["path"], cv2.IMREAD_GRAYSCALE), cmap="gray", vmin=0, vmax=255)
        truth_row = known[film["image_id"]]
        defect = truth_row["defect"].replace("_", " ")
        panel.set_title(f"{defect} {truth_row['severity']}" if defect else "clean", fontsize=9)
        panel.text(0.5, -0.04, _said(film), transform=panel.transAxes, ha="center", va="top", fontsize=8)
        panel.text(
            *(0.5, 0.03, film["regime"]),
            transform=panel.transAxes,
            ha="center",
            fontsize=9,
            color="white",
            bbox={"facecolor": COLOURS[film["regime"]], "edgecolor": "none", "boxstyle": "round"},
        )
    figure.savefig(out, dpi=110, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)


def _worst(films: list[dict[str, Any]], known: dict[str, dict[str, str]], aspect: str) -> dict[str, Any] | None:
    """The film with the severest known defect of an aspect; the first of equals."""
    of_aspect = [film for film in films if known[film["image_id"]]["aspect"] == aspect]
    return max(of_aspect, key=lambda film: int(known[film["image_id"]]["severity"]), default=None)


def _said(film: dict[str, Any]) -> str:
    named = [f"{name} {severity}" for name, severity in zip(ASPECTS, film["severities"], strict=True) if severity]
    return "\n".join([f"quality {film['quality']:.2f}", *(named or ["no defect"])])
