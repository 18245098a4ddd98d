"""One run of the experiment: from the clean-trained model to its reports on the test set."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import get_cosine_schedule_with_warmup

from ...files import atomic
from ...view import Advance
from ..config import AdaptSection
from ..dualloop import Strategy
from ..flat import flatten_patch_embedding
from ..gradients import Objective
from ..model import adapt
from ..objective import token_loss
from ..processor import Asked, Batch, Processor
from ..qwen import Sizes, build
from ..tokenizer import train_tokenizer
from .config import Comparison, RowSection
from .films import HEIGHT, NORMAL, STATED, Films, Grey
from .task import QUESTION, Data, drawn

AT_ONCE = 240
"""Films whose reports are written together."""
LONGEST = 32
"""Tokens of a report at most; the longest has fewer."""
SHIFT = 4
"""Pixels by which clean films move at most while the start is trained."""
WARMUP = 0.05


class Bench:
    """What all runs share: tokenizer, sizes and the weights they start from."""

    def __init__(self, comparison: Comparison, films: Films, out: Path, advance: Advance) -> None:
        """Train the start, or read the one trained before.

        Args:
            comparison: the experiment.
            films: clean ones.
            out: folder for `start.pt`.
            advance: told of every step.
        """
        self.comparison, width = comparison, comparison.pretrain.hidden
        words = ["system user assistant", QUESTION.user, NORMAL, *STATED.values()]
        tokenizer = train_tokenizer(words * 2, 400, span="text")
        self.processor = Processor(tokenizer, min_pixels=28 * 28, max_pixels=HEIGHT * HEIGHT)
        self._tokenizer: Any = tokenizer
        self._sizes = Sizes(
            vision_hidden=width,
            vision_depth=comparison.pretrain.layers,
            vision_intermediate=2 * width,
            hidden=width,
            layers=comparison.pretrain.layers,
            intermediate=2 * width,
            key_value_heads=1,
        )
        path = out / "start.pt"
        if not path.is_file():
            with atomic(path) as part:
                torch.save(self._trained(films, advance), part)
        self._start = torch.load(path, weights_only=True)

    def fresh(self) -> Any:
        """A model at the common start."""
        model = self._built()
        model.load_state_dict(self._start)
        return model

    def _built(self) -> Any:
        return flatten_patch_embedding(build(self._tokenizer, self._sizes, seed=0))

    def _trained(self, films: Films, advance: Advance) -> Mapping[str, torch.Tensor]:
        plan = self.comparison.pretrain
        model = self._built().train()
        optimizer, schedule = _optimizer(list(model.parameters()), plan.learning_rate, plan.steps, constant=False)
        rng = np.random.default_rng(0)
        rows = [self.processor.row(QUESTION, *each) for each in zip(films.grey, films.reports, strict=True)]
        for _ in range(plan.steps):
            chosen = rng.choice(len(films), plan.batch_size)
            loss, count = token_loss(
                model, self.processor.batch([self._moved(rows[each], films.grey[each], rng) for each in chosen])
            )
            optimizer.zero_grad()
            (loss / count).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            advance()
        return model.state_dict()

    def _moved(self, row: Asked, grey: Grey, rng: np.random.Generator) -> Asked:
        """A film a few pixels further: the start is not to learn its films by heart."""
        return drawn(row, np.roll(grey, rng.integers(-SHIFT, SHIFT + 1, 2), (0, 1)), self.processor)

    def run(self, row: RowSection, data: Data, seed: int, learning_rate: float) -> Any:
        """Fine-tune the start with a row's strategy; the same number of half-batch passes for every row."""
        torch.manual_seed(seed)
        rank = self.comparison.run.rank
        section = AdaptSection(method="lora", parts=("language", "vision"), rank=rank, alpha=2 * rank, dropout=0.0)
        model: Any = adapt(self.fresh(), section, seed).train()
        objective = Objective(model, token_loss)
        steps = self.comparison.run.passes // row.passes
        optimizer, schedule = _optimizer(objective.parameters, learning_rate, steps, constant=row.average)
        strategy = Strategy(objective, row.strategy, row.low_share, optimizer)
        mean = [torch.zeros_like(parameter) for parameter in objective.parameters]
        for step in range(steps):
            batches = data.step(row, step)
            strategy.step(batches["high"], batches["low"])
            torch.nn.utils.clip_grad_norm_(objective.parameters, 1.0)
            optimizer.step()
            schedule.step()
            if row.average and step >= steps // 2:
                with torch.no_grad():
                    torch._foreach_add_(mean, objective.parameters, alpha=1 / (steps - steps // 2))  # pyright: ignore
        if row.average:
            with torch.no_grad():
                for parameter, value in zip(objective.parameters, mean, strict=True):
                    parameter.copy_(value)
        return model.merge_and_unload().eval()

    def asked(self, grey: Sequence[Grey]) -> list[Batch]:
        """Films as `write` takes them."""
        rows = [self.processor.row(QUESTION, each) for each in grey]
        batches = [self.processor.batch(rows[start : start + AT_ONCE]) for start in range(0, len(rows), AT_ONCE)]
        return [{name: tensor for name, tensor in batch.items() if name != "labels"} for batch in batches]

    def write(self, model: Any, batches: Sequence[Batch]) -> list[str]:
        """Reports on films, greedily."""
        found: list[str] = []
        for batch in batches:
            with torch.inference_mode():
                tokens = model.generate(**batch, max_new_tokens=LONGEST, do_sample=False)
            answers = tokens[:, batch["input_ids"].shape[1] :]
            found += self._tokenizer.batch_decode(answers, skip_special_tokens=True)
        return found

    def answered(self, grey: Sequence[Grey], reports: Sequence[str]) -> Batch:
        """Films with their reports, as `loss` takes them."""
        return self.processor.batch([self.processor.row(QUESTION, *each) for each in zip(grey, reports, strict=True)])

    def loss(self, model: Any, batch: Batch) -> float:
        """Mean cross-entropy a token."""
        with torch.inference_mode():
            total, count = token_loss(model, batch)
        return float(total / count)


def _optimizer(
    parameters: list[torch.Tensor], rate: float, steps: int, *, constant: bool
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.0)
    warmup = max(1, round(WARMUP * steps))
    if constant:
        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / warmup))
    return optimizer, get_cosine_schedule_with_warmup(optimizer, warmup, steps)
