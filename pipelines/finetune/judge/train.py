"""Training of the compact judge: first its eyes, then the whole of it."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import cos, pi
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ...view import Advance
from .model import GRADES, Judge
from .tower import patches
from .views import CROP, Views

GAIN, OFFSET = 0.08, 0.04
"""Grey gain and offset that details are varied by: their absolute grey teaches nothing that the overview does not."""
WARM_UP = 60
FORMAT_WEIGHT = 0.15
"""Loss of a token of the form, relative to a grade's: enough never to forget the form."""
DOUBT = 0.3
"""Share of earlier grades in a reply that are replaced by random ones, so that a grade rests on the film alone."""


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to train."""

    eyes: int = 400
    """Steps in which the tower learns under a plain head."""
    whole: int = 1600
    """Steps in which everything learns to write the reply."""
    batch: int = 32
    eyes_rate: float = 1.5e-3
    rate: float = 1.2e-3
    tower_rate: float = 0.5
    """Of the tower relative to the language model, once that learns too."""
    decay: float = 0.1
    glance: float = 0.5
    """Weight of the plain head's loss beside the reply's."""
    averaging: float = 0.998
    check: int = 400
    """Steps between looks at films that training does not see."""
    compiled: bool = field(default_factory=lambda: shutil.which("g++") is not None)
    """A quarter faster, where there is a compiler."""

    @property
    def steps(self) -> int:
        """Of both stages."""
        return self.eyes + self.whole


class Batch(NamedTuple):
    """Patches of overview (B, 144, 196) and details (B, 2, 100, 196), grades (B, 6) with -1 for unknown."""

    overview: Tensor
    details: Tensor
    grades: Tensor


Check = Callable[[int], None]
"""Told the number of a step while the judge is the average that it would end as."""


def train(
    judge: Judge, views: Views, schedule: Schedule, *, seed: int, advance: Advance, check: Check | None = None
) -> Judge:
    """Train a judge in place; equal arguments give an equal judge on one kind of processor.

    Args:
        judge: fresh, or one to go on from.
        views: of training films.
        schedule: steps and rates.
        seed: of the order of the views and of what is varied in them.
        advance: told of every step.
        check: called every `schedule.check` steps in which the whole judge learns.
    """
    rng = np.random.default_rng(seed)
    judge.train()
    see = torch.compile(judge.see, dynamic=False) if schedule.compiled else judge.see
    read = torch.compile(judge.read, dynamic=False) if schedule.compiled else judge.read

    def eyes(batch: Batch) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            seen = see(batch.overview, batch.details)
        return _glance_loss(judge, seen, batch.grades)

    def whole(batch: Batch) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            seen = see(batch.overview, batch.details)
            tokens, targets = replies(judge, batch.grades, rng)
            hidden = read(*seen, tokens[:, :-1], judge.layout.prompt - 1)
            logits = judge.speak(hidden).float()
        return reply_loss(judge, logits, targets) + schedule.glance * _glance_loss(judge, seen, batch.grades)

    tower, language = judge.tower.visual, judge.qwen.model.language_model
    sides = nn.ModuleList([tower.blocks, tower.merger, judge.head])
    eyed = Rates([(judge.tower.embedding, 0.3), (sides, 1.0)], schedule.eyes_rate)
    _stage(eyed, eyes, schedule.eyes, views, schedule, rng, advance)
    slow = schedule.tower_rate
    spoken = Rates([(judge.tower.embedding, 0.3 * slow), (sides, slow), (language, 1.0)], schedule.rate)
    _stage(spoken, whole, schedule.whole, views, schedule, rng, advance, check)
    return judge.eval()


class Rates(NamedTuple):
    """Learning rates: `base` times a factor a module."""

    modules: Sequence[tuple[nn.Module, float]]
    base: float

    def optimisers(self, decay: float) -> list[torch.optim.Optimizer]:
        """Muon for the matrices between hidden states, which learns from half as many films; AdamW for the rest."""
        hidden: list[dict[str, Any]] = []
        rest: list[dict[str, Any]] = []
        for module, factor in self.modules:
            for part in module.modules():
                for name, each in part.named_parameters(recurse=False):
                    inner = isinstance(part, nn.Linear) and name == "weight"
                    (hidden if inner else rest).append({"params": [each], "lr": self.base * factor})
        for group in (*hidden, *rest):
            group["first"] = group["lr"]
        return [
            torch.optim.Muon(hidden, weight_decay=decay, adjust_lr_fn="match_rms_adamw"),
            torch.optim.AdamW(rest, betas=(0.9, 0.98), weight_decay=decay),
        ]


def _stage(
    rates: Rates,
    loss_of: Callable[[Batch], Tensor],
    steps: int,
    views: Views,
    schedule: Schedule,
    rng: np.random.Generator,
    advance: Advance,
    check: Check | None = None,
) -> None:
    """Take `steps` steps; the parameters end as their running average."""
    parameters = [each for module, _ in rates.modules for each in module.parameters()]
    optimisers = rates.optimisers(schedule.decay)
    average = [each.detach().clone() for each in parameters]
    for step in range(steps):
        loss = loss_of(draw_batch(views, schedule.batch, rng))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["first"] * _pace(step, steps)
            optimiser.step()
            optimiser.zero_grad()
        keep = min(schedule.averaging, step / (step + 20))
        for mean, each in zip(average, parameters, strict=True):
            mean.lerp_(each.detach(), 1 - keep)
        advance(loss_per_mille=round(1000 * loss.item()))
        if check and (step + 1) % schedule.check == 0:
            with _as(parameters, average):
                check(step + 1)
    _copy(average, parameters)


@contextmanager
def _as(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> Iterator[None]:
    """The parameters have other values for a while."""
    kept = [each.detach().clone() for each in parameters]
    _copy(values, parameters)
    yield
    _copy(kept, parameters)


@torch.no_grad()
def _copy(values: Sequence[Tensor], parameters: Sequence[Tensor]) -> None:
    for each, value in zip(parameters, values, strict=True):
        each.copy_(value)


def _pace(step: int, steps: int) -> float:
    """Share of the rate: a short rise, then a cosine down to a fiftieth."""
    return min(1.0, (step + 1) / min(WARM_UP, 1 + steps // 4)) * (0.02 + 0.49 * (1 + cos(pi * step / steps)))


def draw_batch(views: Views, size: int, rng: np.random.Generator) -> Batch:
    """Random views, varied where it changes no grade: overviews mirrored, details cut, turned and toned."""
    chosen = np.sort(rng.integers(len(views), size=size))
    overview = views.overview[chosen]
    mirrored = rng.random(size) < 0.5
    overview[mirrored] = overview[mirrored, :, ::-1]
    details = np.stack([_details(views.details[index], rng) for index in chosen])
    seen = patches(details.reshape(-1, CROP, CROP)).unflatten(0, details.shape[:2])
    gain, offset = rng.uniform(1 - GAIN, 1 + GAIN, (size, 2, 1, 1)), rng.uniform(-OFFSET, OFFSET, (size, 2, 1, 1))
    seen = seen * torch.from_numpy(gain).float() + torch.from_numpy(offset).float()
    return Batch(patches(overview), seen, torch.from_numpy(views.grades[chosen].astype(np.int64)))


def _details(kept: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Two of the stored details, a random part of each, in one of eight orientations."""
    found = []
    for index in rng.choice(len(kept), size=2, replace=False):
        top, left = rng.integers(kept.shape[-1] - CROP + 1, size=2)
        part = kept[index, top : top + CROP, left : left + CROP]
        part = part[:: 1 if rng.random() < 0.5 else -1, :: 1 if rng.random() < 0.5 else -1]
        found.append(part.T if rng.random() < 0.5 else part)
    return np.stack(found)


def replies(judge: Judge, grades: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Conversations (B, T) to read, with some grades replaced, and the true tokens of their replies; -1 if unknown."""
    plan = judge.layout
    tokens = plan.tokens.repeat(len(grades), 1)
    true = plan.digits[grades.clamp(min=0)]
    random = plan.digits[torch.from_numpy(rng.integers(GRADES, size=grades.shape))]
    replaced = torch.from_numpy(rng.random(grades.shape) < DOUBT) | (grades < 0)
    targets = tokens[:, plan.prompt :].clone()
    targets[:, [place - plan.prompt for place in plan.grades]] = true.masked_fill(grades < 0, -1)
    tokens[:, plan.grades] = torch.where(replaced, random, true)
    return tokens, targets


def reply_loss(judge: Judge, logits: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the whole reply, grades weighted up, unknown grades left out."""
    each = cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none", ignore_index=-1)
    weights = torch.full(targets.shape[1:], FORMAT_WEIGHT)
    weights[[place - judge.layout.prompt for place in judge.layout.grades]] = 1.0
    weighted = weights * (targets >= 0)
    return (each.view_as(targets) * weighted).sum() / weighted.sum()


def _glance_loss(judge: Judge, seen: tuple[Tensor, Tensor], grades: Tensor) -> Tensor:
    whole, parts = seen
    logits = judge.glance(whole.float(), parts.float())
    return cross_entropy(logits.reshape(-1, GRADES), grades.reshape(-1), ignore_index=-1)


def sample(views: Views, *, seed: int, size: int = 96) -> Tensor:
    """Patches of random views, (M, 196), from which the patch embedding takes its scales."""
    batch = draw_batch(views, min(size, len(views)), np.random.default_rng(seed))
    return torch.cat([batch.overview.flatten(0, 1), batch.details.flatten(0, 2)])
