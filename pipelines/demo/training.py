"""The demo's last chapter: teach a report model to see, fine-tune it in two ways, compare them all with intervals."""

import os
from importlib.util import find_spec
from math import isnan
from pathlib import Path
from typing import Any, NamedTuple

from ...benchmark.cases import Cell
from ..engines.judging import Warn
from ..generate.stage import Options as Asking
from ..generate.stage import generate
from ..score.files import save
from ..score.stage import Options, Scores, score
from ..settings import Settings
from ..splits.export import MANIFEST
from ..view import Progress
from .films import write_films

DEFECTS = ("defocus", "scatter")
"""Synthetic defects of the demo's benchmark for report models: one that training draws, one that it never saw."""
BASE = "base"
"""A model taught on films drawn for it: what a published one brings along."""
MODELS = {"sft": {"name": "sft_balanced"}, "dual_loop": {"name": "dual_loop"}}
LABELS = "micro_f1_14_uncertain_positive"
METRICS = ("rouge_l", LABELS)
FILMS = 1000
"""Drawn to teach the base, and shown 13 times each: with 600 films and 300 steps it does not learn to see."""
IMAGES = {"min_pixels": 56 * 56, "max_pixels": 112 * 112, "side": 512}
TEACHING: dict[str, dict[str, Any]] = {
    "tiny": {"hidden": 64, "vision_hidden": 96},
    "images": IMAGES,
    "augment": {"share": 0.0},
    "strategy": {"name": "sft_clean"},
    "train": {"steps": 400, "batch_size": 32, "learning_rate": 2e-3},
}
TUNING: dict[str, dict[str, Any]] = {
    "images": IMAGES,
    "train": {"steps": 40, "batch_size": 16, "learning_rate": 5e-4},
}
FOLDER = "training"
"""Of all this below a demo; `splits` in it is the benchmark."""
MAX_TOKENS = 64
DRAWS = 2000


class Gap(NamedTuple):
    """One number of one model."""

    model: str
    cases: str
    quantity: str
    metric: str
    value: float
    low: float
    high: float
    studies: int | None
    """None for what is of all severities together, each of which has these."""


class Chapter(NamedTuple):
    """What the trainings came to."""

    models: list[Path]
    scores: Path
    gaps: list[Gap]


def tell_training(root: Path, settings: Settings, progress: Progress, warn: Warn) -> Chapter | None:
    """Train, generate and score below `root / FOLDER`, where `stage.tell` put a small benchmark; None without torch.

    Running it again does only what is left.

    Raises:
        SystemExit: a signal stopped it before every report was written.
    """
    if find_spec("peft") is None:
        warn(["no report model is trained: pip install 'lrrg[train]'"])
        return None
    folder = root / FOLDER
    _teach(folder, settings, progress)
    for name, strategy in MODELS.items():
        started = {"model": {"path": str(folder / BASE / "merged")}, "strategy": strategy}
        _train(folder / "splits", {**TUNING, **started}, folder / name, settings, progress)
    predictions = [folder / f"{name}.jsonl" for name in (BASE, *MODELS)]
    for path in predictions:
        asking = Asking(max_tokens=MAX_TOKENS, batch_size=64)
        found = generate(folder / "splits", str(folder / path.stem), path, settings, asking, progress)
        if found.exit_code:
            raise SystemExit(found.exit_code)
    with progress("score", None) as advance:
        scores = score(folder / "splits", predictions, Options(reference="sft", draws=DRAWS), advance)
    save(scores, folder / "scores", db=None, share=False)
    return Chapter([folder / path.stem for path in predictions], folder / "scores", gaps(scores))


def _teach(folder: Path, settings: Settings, progress: Progress) -> None:
    """Draw films and train the base on them; left as it is where that was done."""
    taught = folder / "taught"
    if not (taught / "splits" / MANIFEST).is_file():
        with progress("draw films to teach with", FILMS) as advance:
            write_films(taught, FILMS, os.cpu_count() or 1, advance)
    _train(taught / "splits", TEACHING, folder / BASE, settings, progress)


def _train(splits: Path, sections: dict[str, Any], out: Path, settings: Settings, progress: Progress) -> None:
    from ..finetune.config import Config
    from ..finetune.train import MANIFEST as DONE
    from ..finetune.train import train

    config = Config.model_validate(sections)
    if not (out / DONE).is_file():
        with progress(f"train {out.name}", config.train.steps) as advance:
            train(splits, config, out, settings.read, advance=advance)


def gaps(scores: Scores) -> list[Gap]:
    """How well each model reports on the whole test split, and how much it loses on films with a defect."""
    wanted = {("T5", ""): ("value",), **{("T4", name): ("drop", "difference_in_differences") for name in DEFECTS}}
    return [
        Gap(
            row.model,
            f"{row.track} {row.defect}".strip(),
            row.quantity,
            row.metric,
            row.value,
            row.low,
            row.high,
            scores.sizes.get(Cell(*row[1:6]), (None,))[0],
        )
        for row in scores.rows
        if row.metric in METRICS
        and row.view == "all"
        and row.quantity in wanted.get((row.track, row.defect), ())
        and not isnan(row.value)
    ]
