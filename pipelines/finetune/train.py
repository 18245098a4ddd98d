"""`lrrg finetune`: from the benchmark's training films to an adapter and a model that can be served."""

import hashlib
import json
import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers.utils.logging import disable_progress_bar

from ... import __version__
from ..errors import SettingsError
from ..files import write_json
from ..settings import ReadSettings
from ..view import Advance
from .config import Config
from .data import Corpus, read_corpus
from .export import ADAPTER, MERGED, export
from .loader import loader, validation
from .model import Loaded, load
from .progress import LOG, last_checkpoint
from .trainer import Fitted, fit, memory_explained, refuse_sharding

SMALL = 20_000_000
"""Parameters."""
CONFIG, MANIFEST = "config.json", "run.json"
PACKAGES = (
    "torch", "transformers", "peft", "accelerate", "tokenizers", "safetensors", "numpy", "opencv-python-headless",
    "pillow",
)  # fmt: skip


class Trained(NamedTuple):
    """What a run came to and where it lies."""

    fitted: Fitted
    folders: list[Path]
    manifest: Mapping[str, Any]

    def summary(self) -> dict[str, Any]:
        """What a person wants to know at the end."""
        told = ("steps", "best_step", "best_loss", "parameters", "parameters_trained")
        return {**{key: self.manifest[key] for key in told}, "written": [str(folder) for folder in self.folders]}


def train(
    splits: Path,
    config: Config,
    out: Path,
    read: ReadSettings,
    *,
    resume: bool = False,
    advance: Advance | None = None,
) -> Trained:
    """Train on the folder `splits` and write everything to `out`.

    `out` gets `config.json`, `log.jsonl`, `checkpoints/`, `adapter/` (of a low-rank run), `merged/` and, last,
    `run.json`: a run that has it is whole, and resuming changes nothing. Several processes (`torchrun`) share one run;
    the first writes.

    Raises:
        SettingsError: `splits` is no benchmark, `out` holds another run, or a setting does not fit the data.
        ModelError: the model cannot be had.
        StrategyError: model or launch do not allow the strategy.
        TrainingError: memory does not suffice, a loss is not a number, or there is no checkpoint to resume from.
    """
    disable_progress_bar()
    refuse_sharding()
    rank, world = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    corpus = read_corpus(splits, config)
    _claim(out, config, resume=resume)
    if resume and (out / MANIFEST).is_file():
        return _whole(out, corpus)
    loaded = load(config, corpus)
    spare_threads(loaded.model)
    batches = loader(config, corpus.train, loaded.processor, read, rank=rank, world=world)
    watched = validation(config, corpus.validate, loaded.processor, read)
    with memory_explained(config):
        fitted = fit(loaded.model, batches, watched, config, out, resume=resume, advance=advance)
    manifest = describe(config, corpus, loaded, fitted)
    folders: list[Path] = []
    if rank == 0:
        folders = export(loaded, out)
        write_json(out / MANIFEST, manifest)
    return Trained(fitted, folders, manifest)


def speaks() -> bool:
    """Whether this process tells how a run goes: of several that `torchrun` started only the first."""
    return os.environ.get("RANK", "0") == "0"


def spare_threads(model: torch.nn.Module) -> None:
    """Keep a small model to one core: handing its matrices around costs more than another core saves."""
    if not torch.cuda.is_available() and sum(each.numel() for each in model.parameters()) < SMALL:
        torch.set_num_threads(1)


def _claim(out: Path, config: Config, *, resume: bool) -> None:
    """Keep two runs from mixing in one folder."""
    path, said = out / CONFIG, config.model_dump(mode="json")
    if resume:
        if not path.is_file() or json.loads(path.read_text(encoding="utf-8")) != said:
            raise SettingsError(f"{out}: not begun with these settings ({CONFIG} differs or is missing); cannot resume")
        return
    if (out / MANIFEST).is_file() or last_checkpoint(out):
        raise SettingsError(f"{out}: holds a run; go on with --resume or name a new folder")
    out.mkdir(parents=True, exist_ok=True)
    write_json(path, said)


def _whole(out: Path, corpus: Corpus) -> Trained:
    """A run that has nothing left to do."""
    manifest = json.loads((out / MANIFEST).read_text(encoding="utf-8"))
    if manifest["data"]["cases_sha256"] != corpus.manifest["cases_sha256"]:
        raise SettingsError(f"{out}: a run on the cases of another benchmark; name a new folder")
    fitted = Fitted(manifest["steps"], manifest["best_step"], manifest["best_loss"], out / LOG)
    return Trained(fitted, [out / name for name in (ADAPTER, MERGED) if (out / name).is_dir()], manifest)


def describe(config: Config, corpus: Corpus, loaded: Loaded, fitted: Fitted) -> dict[str, Any]:
    """What the weights depend on: settings, data, base model and packages; and what came out."""
    weights = list(loaded.model.parameters())
    said = config.model_dump(mode="json")
    return {
        "lrrg_version": __version__,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "config": said,
        "config_sha256": hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest(),
        "base_revision": getattr(loaded.model.config, "_commit_hash", None),
        "data": {key: corpus.manifest[key] for key in ("cases_sha256", "spec_sha256", "recipe_id", "prompt", "ladder")},
        "train_films": {regime: sum(each.regime == regime for each in corpus.train) for regime in ("high", "low")},
        "validate_films": len(corpus.validate),
        "parameters": sum(each.numel() for each in weights),
        "parameters_trained": sum(each.numel() for each in weights if each.requires_grad),
        "steps": fitted.steps,
        "best_step": fitted.best_step,
        "best_loss": fitted.best_loss,
    }
