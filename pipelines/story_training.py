"""The demo's last chapter: train a report model in two ways, let both report, and compare them with intervals."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from math import isnan
from pathlib import Path
from typing import Any, NamedTuple

from ..benchmark.cases import Cell
from .generate import Options as Asking
from .generate import generate
from .score import Options, Scores, score
from .score_files import save
from .settings import Settings
from .view import Advance

Progress = Callable[[str, int | None], AbstractContextManager[Advance]]
Warn = Callable[[Sequence[str]], None]
DEFECTS = ("defocus", "scatter")
"""Synthetic defects of the demo's benchmark for report models: one that training draws, one that it never saw."""
MODELS = {"sft": {"name": "sft_balanced"}, "dual_loop": {"name": "dual_loop"}}
METRICS = ("rouge_l", "micro_f1_14_uncertain_positive")
SECTIONS: dict[str, dict[str, Any]] = {
    "tiny": {"hidden": 64, "vision_hidden": 64},
    "images": {"min_pixels": 112 * 112, "max_pixels": 168 * 168, "side": 512},
    "train": {"steps": 60, "batch_size": 8, "learning_rate": 3e-3},
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
    """What the two trainings came to."""

    models: list[Path]
    scores: Path
    gaps: list[Gap]


def tell_training(root: Path, settings: Settings, progress: Progress, warn: Warn) -> Chapter | None:
    """Train, generate and score below `root / FOLDER`, where `story.tell` put a small benchmark; None without torch.

    Running it again does only what is left.
    """
    if find_spec("peft") is None:
        warn(["no report model is trained: pip install 'lrrg[train]'"])
        return None
    from .finetune.config import parse
    from .finetune.train import MANIFEST, train

    folder = root / FOLDER
    predictions: list[Path] = []
    for name, strategy in MODELS.items():
        config = parse({**SECTIONS, "strategy": strategy}, "demo")
        if not (folder / name / MANIFEST).is_file():
            with progress(f"train {name}", config.train.steps) as advance:
                train(folder / "splits", config, folder / name, settings.read, advance=advance)
        predictions.append(folder / f"{name}.jsonl")
        asking = Asking(max_tokens=MAX_TOKENS, batch_size=64)
        generate(folder / "splits", str(folder / name), predictions[-1], settings, asking, progress)
    with progress("score", None) as advance:
        scores = score(folder / "splits", predictions, Options(reference="sft", draws=DRAWS), advance)
    save(scores, folder / "scores", db=None, share=False)
    return Chapter([folder / name for name in MODELS], folder / "scores", gaps(scores))


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
