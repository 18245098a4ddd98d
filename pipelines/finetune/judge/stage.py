"""`lrrg finetune judge`: from a folder of labelled films to a folder that serving loads."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import process_time
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers.utils.logging import disable_progress_bar

from ...calibrate.file import FILE, write_calibration
from ...errors import SettingsError
from ...settings import ReadSettings
from ...view import Progress
from .bases import Base, bases, drawn_from, patients, phantoms
from .evaluate import Graded, by_aspect, calibrate, mixed
from .model import Judge
from .train import Schedule, sample, train
from .views import Views, exported, make_training, make_views

PATIENTS = "patients.json"
FEWEST = 12
"""Films from which training makes sense."""
EXPORTS = 2
"""Of each film that calibrates, beside the one that came."""


@dataclass(frozen=True)
class Plan:
    """What decides what comes out, beside the films and the judge to go on from.

    Attributes:
        spoiled: films to spoil; each gives a view in either intensity domain.
        phantoms: drawn chests among the films.
        hold_out: source that training and calibration must not see; every patient of the others may then teach.
        seed: of everything random.
    """

    spoiled: int = 6500
    phantoms: int = 36
    hold_out: str | None = None
    seed: int = 0
    schedule: Schedule = field(default_factory=Schedule)


class Made(NamedTuple):
    """What training did."""

    folder: Path
    films: int
    views: int
    parameters: int


def make_judge(
    films: Path, out: Path, plan: Plan, read: ReadSettings, progress: Progress, *, start: Path | None = None
) -> Made:
    """Train the compact judge on labelled films.

    Args:
        films: folder with `manifest*.csv`; figures are reported on the half of its patients, or on the source, that
            training leaves out.
        out: folder for the model (`model`), the spoiled films (`views`), which are used again if they fit, and, while
            training, the areas under the curve on patients it does not see (`curve.json`).
        plan: how.
        read: limits of a film.
        progress: shows how far each part is.
        start: folder of a judge to go on from; a fresh one by default.

    Raises:
        SettingsError: no films to train on, an unknown source is held out, or no model in `start`.
    """
    torch.set_num_threads(1)
    disable_progress_bar()
    found = [*bases(films, read, hold_out=plan.hold_out), *phantoms(plan.phantoms)]
    chosen = drawn_from(found, "train")
    if len(chosen) < FEWEST:
        raise SettingsError(f"{films}: fewer than {FEWEST} films to train on; add films or phantoms")
    begun = Judge.load(start) if start else None
    with progress("spoil films", plan.spoiled) as advance:
        views = make_training(chosen, plan.spoiled, out / "views", seed=plan.seed, advance=advance)
    judge = begun or Judge.fresh(sample(views, seed=plan.seed), seed=plan.seed)
    unseen, curve, began = _validation(found, plan.seed + 1), [], process_time()
    with progress("train the judge", plan.schedule.steps) as advance:

        def check(step: int) -> None:
            if unseen:
                curve.append({"step": step, **_areas(Graded(unseen, judge.grade(unseen)))})
                _note(out / "curve.json", curve)

        train(judge, views, plan.schedule, seed=plan.seed, advance=advance, check=check)
    seconds = round(process_time() - began)
    folder = out / "model"
    judge.save(folder)
    calibration = calibrate(Graded(unseen, judge.grade(unseen))) if unseen else {}
    write_calibration(folder / FILE, calibration)
    _note(folder / PATIENTS, {"hold_out": plan.hold_out, **patients(found)})
    _note(folder / "training.json", {**asdict(plan), "cpu_seconds": seconds, "curve": curve})
    return Made(folder, len(chosen), len(views), sum(p.numel() for p in judge.qwen.parameters()))


def _validation(found: Sequence[Base], seed: int) -> Views | None:
    """Spoiled films of patients that neither training nor any figure sees, as they came and as other exports.

    There are few such patients, so all their films count, whatever a reader called them; None where there are none.
    """
    films, rng = [film for film in found if film.part == "validate"], np.random.default_rng(seed)
    others = [exported(film, rng) for film in films for _ in range(EXPORTS)]
    return make_views(mixed([*films, *others], seed=seed)) if films else None


def _areas(graded: Graded) -> dict[str, float]:
    """AUROC of every aspect."""
    return {row["aspect"]: round(row["auroc"].value, 3) for row in by_aspect(graded, "both", draws=1)}


def _note(path: Path, found: Any) -> None:
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
