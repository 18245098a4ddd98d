"""Gradients of a regime's loss: over micro-batches, over processes, and always with the same dropout."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import nn

from .vectors import Tensors, add, divide

Batch = Any
Loss = Callable[[Callable[..., Any], Batch], tuple[torch.Tensor, torch.Tensor | float]]
"""Maps a model (or what is called like it) and a batch to the sum of its losses, shape (), and their number."""


class Regime(NamedTuple):
    """A regime's mean loss, shape (), and its gradient, one tensor a parameter."""

    loss: torch.Tensor
    gradient: Tensors


@dataclass(frozen=True)
class Objective:
    """A model whose trainable parameters are to be moved, and its loss; which ones those are is settled at first use.

    Attributes:
        model: not wrapped by DistributedDataParallel: its gradient hooks would fire at points that are no steps.
        loss: see `Loss`.
        reduce: sums a flat tensor over all processes, in place; None in a single process.
    """

    model: nn.Module
    loss: Loss
    reduce: Callable[[torch.Tensor], object] | None = None

    @cached_property
    def names(self) -> list[str]:
        """Names of the trainable parameters, in the order of `parameters`."""
        return [name for name, parameter in self.model.named_parameters() if parameter.requires_grad]

    @cached_property
    def parameters(self) -> Tensors:
        """The trainable parameters."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def at(self, batches: Sequence[Batch], seed: int) -> Regime:
        """Mean loss and gradient over all micro-batches of all processes, at the present parameters.

        Args:
            batches: micro-batches; each counts by its number of losses (tokens), not by its place.
            seed: of dropout. Two evaluations with equal seeds differ by the parameters alone.
        """
        parameters = self.parameters
        total: Tensors = []
        summed = torch.zeros(2, device=parameters[0].device, dtype=torch.float64)
        with seeded(seed, parameters[0].device):
            for batch in batches:
                loss, count = self.loss(self.model, batch)
                found = list(torch.autograd.grad(loss, parameters, allow_unused=True, materialize_grads=True))
                summed += torch.stack([loss.detach().to(summed), torch.as_tensor(count).to(summed)])
                if total:
                    add(total, found)
                else:
                    total = found
        total = total or [torch.zeros_like(parameter) for parameter in parameters]
        if self.reduce:
            self._sum_over_processes(total, summed)
        divide(total, summed[1].to(total[0].dtype))
        return Regime(summed[0] / summed[1], total)

    def _sum_over_processes(self, total: Tensors, summed: torch.Tensor) -> None:
        assert self.reduce
        flat = torch.cat([part.reshape(-1) for part in total])
        self.reduce(flat)
        self.reduce(summed)
        for part, whole in zip(total, flat.split([part.numel() for part in total]), strict=True):
            part.copy_(whole.view_as(part))

    def functional(self, batches: Sequence[Batch], values: Mapping[str, torch.Tensor], seed: int) -> torch.Tensor:
        """Mean loss with other values for the trainable parameters, differentiable by them any number of times."""

        def call(*args: Any, **keywords: Any) -> Any:
            return torch.func.functional_call(self.model, dict(values), args, keywords)

        with seeded(seed, next(iter(values.values())).device):
            parts = [self.loss(call, batch) for batch in batches]
        return torch.stack([loss for loss, _ in parts]).sum() / sum(count for _, count in parts)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Random numbers that start from `seed`; afterwards the generators are where they were."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def draw_seed() -> int:
    """A seed from the global generator, whose state a checkpoint keeps."""
    return int(torch.randint(2**62, ()))
