"""How much two quality regimes agree on where to go, and how much of that can be told from so few films."""

from collections.abc import Sequence

import torch

from .gradients import Batch, Objective
from .vectors import Tensors, cosine, mix


def probe(
    objective: Objective,
    high: Sequence[Sequence[Batch]],
    low: Sequence[Sequence[Batch]],
    modules: Sequence[Sequence[int]],
) -> dict[str, float]:
    """Cosine of the regimes' gradients at the present parameters, beside its noise ceiling.

    Two gradients of one regime on disjoint halves of its films agree only so far; nothing can agree with them better.
    The ceiling is the geometric mean of the regimes' reliabilities, stepped up from halves to the whole by the
    Spearman-Brown formula. A regime whose halves do not agree at all has no measurable direction: no ceiling then.

    Args:
        objective: model and loss.
        high: two halves of the high regime's micro-batches, the same at every call; neither is empty in all processes.
        low: of the low regime.
        modules: positions of the parameters of each module.

    Returns:
        `cosine`, `cosine_high` and `cosine_low` (of the halves), where defined `cosine_ceiling`, and the cosine of
        every module that has gradients on both sides, `cosine/<name of its first parameter>`.
    """
    was_training = objective.model.training
    objective.model.eval()
    halves = [[objective.at(half, seed=0).gradient for half in side] for side in (high, low)]
    objective.model.train(was_training)
    everything = [list(range(len(halves[0][0])))]
    agreement = [float(cosine(first, second, everything).value) for first, second in halves]
    high_slope, low_slope = (mix(first, 0.5, second, 0.5) for first, second in halves)
    found = {
        "cosine": float(cosine(high_slope, low_slope, everything).value),
        "cosine_high": agreement[0],
        "cosine_low": agreement[1],
    }
    if min(agreement) > 0:
        reliable = [2 * each / (1 + each) for each in agreement]
        found["cosine_ceiling"] = (reliable[0] * reliable[1]) ** 0.5
    return found | _by_module(objective.names, high_slope, low_slope, modules)


def _by_module(names: Sequence[str], high: Tensors, low: Tensors, modules: Sequence[Sequence[int]]) -> dict[str, float]:
    return {
        f"cosine/{names[module[0]]}": float(cosine(high, low, [module]).value)
        for module in modules
        if all(any(bool(torch.any(side[index])) for index in module) for side in (high, low))
    }
