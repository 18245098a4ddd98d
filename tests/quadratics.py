"""Two regimes' losses as quadratics, on which every strategy has a closed form."""

from typing import Any

import torch
from lrrg.pipelines.finetune.config import StrategySection
from lrrg.pipelines.finetune.dualloop import Strategy
from lrrg.pipelines.finetune.gradients import Objective
from torch import nn

SIZE = 7
ALPHA, SHARE, PENALTY = 0.1, 0.4, 0.3


class Bowl(nn.Module):
    """Half the squared distance to a centre in a metric, over two parameters of different shapes."""

    def __init__(self, seed: int = 0):
        super().__init__()
        start = torch.Generator().manual_seed(seed)
        self.first = nn.Parameter(torch.randn(3, 1, generator=start, dtype=torch.float64))
        self.second = nn.Parameter(torch.randn(SIZE - 3, generator=start, dtype=torch.float64))

    def forward(self, metric: torch.Tensor, centre: torch.Tensor) -> torch.Tensor:
        away = torch.cat([self.first.flatten(), self.second]) - centre
        return away @ metric @ away / 2


def loss(call: Any, batch: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, float]:
    """Of a batch, and its weight."""
    return call(*batch), 1.0


def batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A metric, symmetric and positive, and a centre."""
    made = torch.Generator().manual_seed(seed)
    root = torch.randn(SIZE, SIZE, generator=made, dtype=torch.float64)
    metric = root @ root.T / SIZE + torch.eye(SIZE, dtype=torch.float64) / 2
    return metric, torch.randn(SIZE, generator=made, dtype=torch.float64)


HIGH, LOW = batch(1), batch(2)


def flat(parts: list[torch.Tensor]) -> torch.Tensor:
    """All in one vector."""
    return torch.cat([part.detach().flatten() for part in parts])


def options(**given: Any) -> StrategySection:
    """Settings of a strategy: the dual loop's unless another is named."""
    return StrategySection(**{"name": "dual_loop", "reach": "gradient", "alpha": ALPHA, **given})


def gradient(bowl: nn.Module, share: float = SHARE, high: Any = (HIGH,), low: Any = (LOW,), **given: Any):
    """What one step of a strategy leaves in the parameters' gradients, flat."""
    Strategy(Objective(bowl, loss), options(**given), share).step(high, low)
    return flat([parameter.grad for parameter in bowl.parameters()])


def apart(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Distance relative to the length of the second."""
    return float((ours - theirs).norm() / theirs.norm())
