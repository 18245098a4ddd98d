"""How far the inner loop looks ahead: along the raw gradient, or as far as the optimizer's own last step went."""

from typing import Any, Literal

import torch

from .vectors import Tensors, norm

Reach = Literal["optimizer", "gradient"]


class Lookahead:
    """The inner step as a fixed diagonal map of the inner gradient: `parameters - scale * gradient`.

    With `reach="gradient"` the scale is `alpha`. With `reach="optimizer"` it is the preconditioner of Adam, made so
    long that the step has `alpha` times the length of the last optimizer step; of an optimizer without second moments,
    `alpha` times its learning rate. In the first step, before any moments, it is Adam's first step on this gradient.
    """

    def __init__(
        self,
        gradient: Tensors,
        parameters: Tensors,
        reach: Reach,
        alpha: float,
        optimizer: torch.optim.Optimizer | None,
    ) -> None:
        self.scales: list[torch.Tensor | float] = [alpha] * len(gradient)
        if reach == "optimizer" and alpha:
            if optimizer is None:
                raise ValueError("a look-ahead as long as the optimizer's step needs the optimizer")
            self.scales = _steps(gradient, parameters, alpha, optimizer)

    def __call__(self, vector: Tensors) -> Tensors:
        """The map applied to a vector."""
        return [scale * part for scale, part in zip(self.scales, vector, strict=True)]


def _steps(
    gradient: Tensors, parameters: Tensors, alpha: float, optimizer: torch.optim.Optimizer
) -> list[torch.Tensor | float]:
    groups = {id(parameter): group for group in optimizer.param_groups for parameter in group["params"]}
    scales: list[torch.Tensor | float] = []
    last: Tensors = []
    ahead: Tensors = []
    for part, parameter in zip(gradient, parameters, strict=True):
        scale, moved = _scale(part, optimizer.state.get(parameter, {}), groups[id(parameter)])
        scales.append(scale)
        last.append(torch.linalg.vector_norm(moved))
        ahead.append(torch.linalg.vector_norm(scale * part))
    # No way ahead (a learning rate or a gradient of zero) leaves 0 / 0: stay.
    stretch = alpha * torch.nan_to_num(norm(last) / norm(ahead), nan=0.0, posinf=0.0)
    return [scale * stretch for scale in scales]


def _scale(
    gradient: torch.Tensor, state: dict[str, Any], group: dict[str, Any]
) -> tuple[torch.Tensor | float, torch.Tensor]:
    """Scale of one tensor before it is stretched, and what the optimizer's last step moved in it."""
    rate = float(group["lr"])
    if "betas" not in group:
        return rate, rate * gradient
    if "exp_avg_sq" not in state:
        scale = rate / (gradient.abs() + group["eps"])
        return scale, scale * gradient
    first, second = (1 - beta ** float(state["step"]) for beta in group["betas"])
    scale = rate / ((state["exp_avg_sq"] / second).sqrt() + group["eps"])
    return scale, scale * state["exp_avg"] / first
