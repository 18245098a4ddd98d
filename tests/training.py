"""Fine-tuning runs of the tiny model on random films, in this process or as several; rank 0 prints what came out.

As a script: `python -m lrrg.tests.training OUT CONFIG_JSON`, with the environment of torchrun.
"""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import torch
from lrrg.pipelines.finetune.config import Config
from lrrg.pipelines.finetune.data import Example
from lrrg.pipelines.finetune.loader import Loader
from lrrg.pipelines.finetune.samplers import Draw, Sampler
from lrrg.pipelines.finetune.trainer import Fitted, fit
from lrrg.pipelines.question import Question
from lrrg.tests import tiny_qwen
from torch.utils.data import DataLoader, Dataset

WHOLE = tiny_qwen.batch(4, 77)
VALIDATE = {
    "high": [{name: tensor.chunk(2)[half] for name, tensor in WHOLE.items()} for half in (0, 1)],
    "low": [tiny_qwen.batch(4, 78), tiny_qwen.batch(2, 79)],
}


class Random(Dataset[dict[str, Any]]):
    """Batches that are a function of the films drawn."""

    def __getitem__(self, draw: Draw) -> dict[str, Any]:
        return {
            regime: tiny_qwen.batch(len(picks), seed=sum(1000 * pick.film + pick.turn for pick in picks))
            for regime, picks in draw._asdict().items()
            if picks
        }


def config(**sections: dict[str, Any]) -> Config:
    """A run of six quick steps."""
    train = {"steps": 6, "batch_size": 4, "learning_rate": 1e-2, "evaluate_every": 3} | sections.pop("train", {})
    given = {"augment": {"share": 0.0}, "strategy": {"name": "dual_loop"}} | sections
    return Config.model_validate({**given, "train": train})


def loader(chosen: Config, rank: int = 0, world: int = 1) -> Loader:
    """Batches of one process, of the real sampler."""
    examples = [
        Example(f"s{number}", f"s{number}", f"i{number}", "", "PA", regime, Question("", ""), "")
        for number, regime in enumerate(["high", "high", "low"] * 10)
    ]
    sampler = Sampler(examples, chosen, rank=rank, world=world)
    return Loader(DataLoader(Random(), sampler=sampler, batch_size=None), sampler)  # pyright: ignore


def train(chosen: Config, out: Path, *, resume: bool = False, **given: Any) -> tuple[Fitted, torch.Tensor]:
    """Run to the end; what came of it and all weights that learned."""
    torch.manual_seed(chosen.train.seed)
    rank, world = (int(os.environ.get(name, default)) for name, default in (("RANK", "0"), ("WORLD_SIZE", "1")))
    model = given.pop("model", None) or tiny_qwen.model("sdpa", dropout=given.pop("dropout", 0.0))
    fitted = fit(model, loader(chosen, rank, world), VALIDATE, chosen, out, resume=resume, **given)
    return fitted, torch.cat([weight.detach().flatten() for weight in model.parameters() if weight.requires_grad])


if __name__ == "__main__":
    torch.set_num_threads(1)
    done, weights = train(Config.model_validate_json(sys.argv[2]), Path(sys.argv[1]))
    digest = hashlib.sha256(weights.numpy().tobytes()).hexdigest()
    torch.save(weights, Path(sys.argv[1]) / f"rank{os.environ.get('RANK', '0')}.pt")
    print(json.dumps({"steps": done.steps, "best_loss": done.best_loss, "sha256": digest}))
