"""Strategies that the dual loop is compared with: plain fine-tuning, PCGrad, GroupDRO, momentum-SAM and Fish."""

from collections.abc import Sequence

import torch

from .gradients import Batch, Objective, Regime, draw_seed
from .vectors import Tensors, approach, dot, mix, norm, shifted

Batches = Sequence[Batch]
Logs = dict[str, torch.Tensor]


def logs(high: Regime, low: Regime, share: float) -> Logs:
    """Losses of the two regimes where each was evaluated, their mix, and the gap: what low quality costs."""
    mixed = (1 - share) * high.loss + share * low.loss
    return {"loss": mixed, "loss_high": high.loss, "loss_low": low.loss, "gap": low.loss - high.loss}


def pooled(objective: Objective, high: Batches, low: Batches) -> tuple[Tensors, Logs]:
    """Plain fine-tuning on whatever was drawn; every token counts the same."""
    both = objective.at([*high, *low], draw_seed())
    return both.gradient, {"loss": both.loss}


def both_regimes(objective: Objective, high: Batches, low: Batches) -> tuple[Regime, Regime]:
    """Each regime at the present parameters."""
    return objective.at(high, draw_seed()), objective.at(low, draw_seed())


def balanced(objective: Objective, high: Batches, low: Batches, share: float) -> tuple[Tensors, Logs]:
    """Plain fine-tuning with a fixed weight for each regime."""
    ours, theirs = both_regimes(objective, high, low)
    return mix(ours.gradient, 1 - share, theirs.gradient, share), logs(ours, theirs, share)


def pcgrad(objective: Objective, high: Batches, low: Batches, share: float) -> tuple[Tensors, Logs]:
    """Each regime's gradient without what opposes the other's.

    Source: Yu et al., Gradient Surgery for Multi-Task Learning, NeurIPS 2020. Of two tasks their order is immaterial.
    """
    ours, theirs = both_regimes(objective, high, low)
    u, v = ours.gradient, theirs.gradient
    opposed = dot(u, v).clamp_max(0)
    if opposed < 0:
        along_u, along_v = opposed / dot(u, u), opposed / dot(v, v)
        u, v = (
            [a - along_v * b for a, b in zip(u, v, strict=True)],
            [b - along_u * a for a, b in zip(u, v, strict=True)],
        )
    return mix(u, 1 - share, v, share), logs(ours, theirs, share)


def group_dro(
    objective: Objective, high: Batches, low: Batches, weights: torch.Tensor, rate: float
) -> tuple[Tensors, Logs]:
    """The regimes' weights follow their losses: the worse one counts more at every step.

    Source: Sagawa et al., Distributionally Robust Neural Networks, ICLR 2020, algorithm 1.

    Args:
        objective: model and loss.
        high: micro-batches of the high regime.
        low: of the low regime.
        weights: of the two regimes, shape (2,), summing to 1; moved in place before they are used.
        rate: of that exponentiated gradient step; at 0 this is `balanced`.
    """
    ours, theirs = both_regimes(objective, high, low)
    weights *= torch.exp(rate * torch.stack([ours.loss, theirs.loss]).to(weights))
    weights /= weights.sum()
    of_high, of_low = weights.tolist()
    return mix(ours.gradient, of_high, theirs.gradient, of_low), logs(ours, theirs, of_low)


def momentum_sam(
    objective: Objective,
    high: Batches,
    low: Batches,
    share: float,
    optimizer: torch.optim.Optimizer,
    radius: float,
) -> tuple[Tensors, Logs]:
    """Balanced fine-tuning by the gradient at `radius` from the parameters, against the optimizer's momentum.

    Without momentum, before the first step, it is `balanced`.

    Source: Becker et al., Momentum-SAM, arXiv 2401.12033, with Adam's first moment as the momentum.
    """
    parameters = objective.parameters
    states = [optimizer.state.get(parameter, {}) for parameter in parameters]
    if any("exp_avg" not in state for state in states):
        return balanced(objective, high, low, share)
    momentum = [state["exp_avg"] for state in states]
    with shifted(parameters, momentum, -float(radius / norm(momentum).clamp_min(1e-12))):
        return balanced(objective, high, low, share)


def fish(
    objective: Objective,
    high: Batches,
    low: Batches,
    share: float,
    optimizer: torch.optim.Optimizer,
    meta_rate: float,
) -> Logs:
    """One optimizer step on each regime in random order, then part of the way there; it moves the parameters itself.

    Source: Shi et al., Gradient Matching for Domain Generalization, ICLR 2022, algorithm 1, with the optimizer's own
    steps inside.
    """
    parameters = objective.parameters
    start = [parameter.detach().clone() for parameter in parameters]
    order = torch.randperm(2).tolist()
    found: dict[int, Regime] = {}
    for side in order:
        found[side] = objective.at((high, low)[side], draw_seed())
        for parameter, gradient in zip(parameters, found[side].gradient, strict=True):
            parameter.grad = gradient
        optimizer.step()
    with torch.no_grad():
        approach(parameters, start, 1 - meta_rate)
    for parameter in parameters:
        parameter.grad = None
    return logs(found[0], found[1], share)
