"""Dual-loop fine-tuning: an inner step on one quality regime, an outer loss on the other after it, and their agreement.

With L_in, L_out the mean losses of the two regimes, A the inner step's (fixed, diagonal) map and s the low share:

    J(p) = (1 - s) L_high + s L_low + c (1 - cos(u, v)),   u = grad L_in(p),   v = grad L_out(p - A u)

where the inner regime's loss is taken at p and the outer one's at p - A u. Only the abstract of the paper that names
the method is public; this is our reading of it. Its family: MLDG (Li et al., AAAI 2018), Fish (Shi et al., ICLR 2022).
"""

from collections.abc import Sequence
from typing import Any

import torch

from . import comparators
from .comparators import Batches, Logs
from .config import StrategySection
from .errors import StrategyError
from .gradients import Objective, Regime, draw_seed
from .lookahead import Lookahead
from .vectors import Cosine, Tensors, approach, cosine, mix, norm, shifted


class Strategy:
    """Turns a batch of each regime into one gradient.

    `step` leaves the gradient in the parameters' `.grad`, where an optimizer looks for it. Only `fish` moves the
    parameters itself and leaves none.
    """

    def __init__(
        self,
        objective: Objective,
        options: StrategySection,
        low_share: float = 0.5,
        optimizer: torch.optim.Optimizer | None = None,
    ) -> None:
        """Check that the model allows the mode.

        Args:
            objective: model and loss.
            options: see `StrategySection`.
            low_share: weight of the low regime's loss, in (0, 1); the outer loss's usual weight is its odds.
            optimizer: that will take the gradient; needed by `fish`, `momentum_sam` and by look-aheads as long as its
                steps.

        Raises:
            StrategyError: the model's kernels have no second derivative, or give a wrong one.
        """
        self.objective, self.options, self.low_share, self.optimizer = objective, options, low_share, optimizer
        self.modules = _modules(objective.names)
        self.blocks = self.modules if options.scope == "module" else [list(range(len(objective.names)))]
        self.steps = 0
        self.anchor: Tensors = []
        self.weights = torch.tensor([1 - low_share, low_share], dtype=torch.float64)
        if options.name == "dual_loop" and options.mode == "exact":
            _check_twice_differentiable(objective)

    def step(self, high: Batches, low: Batches) -> Logs:
        """One step's gradient.

        Args:
            high: micro-batches of the high regime; together they are the regime's batch.
            low: of the low regime; `sft_clean` and `sft_mix` do without.

        Returns:
            0-d tensors: `loss`, and of strategies that part the regimes `loss_high`, `loss_low` and `gap`, each where
            it was evaluated (the outer one of `dual_loop` after the look-ahead).
        """
        if self.options.name == "fish":
            rate = self.options.meta_rate
            return comparators.fish(self.objective, high, low, self.low_share, self._needed_optimizer(), rate)
        gradient, found = self._gradient(high, low)
        for parameter, part in zip(self.objective.parameters, gradient, strict=True):
            parameter.grad = part
        self.steps += 1
        return found

    def state_dict(self) -> dict[str, Any]:
        """What the next step depends on beside model and optimizer."""
        return {"steps": self.steps, "anchor": self.anchor, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        self.steps, self.anchor, self.weights = state["steps"], state["anchor"], state["weights"]

    def _gradient(self, high: Batches, low: Batches) -> tuple[Tensors, Logs]:
        match self.options.name:
            case "sft_clean":
                return comparators.pooled(self.objective, high, ())
            case "sft_mix":
                return comparators.pooled(self.objective, high, low)
            case "sft_balanced":
                return comparators.balanced(self.objective, high, low, self.low_share)
            case "pcgrad":
                return comparators.pcgrad(self.objective, high, low, self.low_share)
            case "group_dro":
                return comparators.group_dro(self.objective, high, low, self.weights, self.options.weight_rate)
            case "momentum_sam":
                optimizer, radius = self._needed_optimizer(), self.options.ascent
                return comparators.momentum_sam(self.objective, high, low, self.low_share, optimizer, radius)
            case _:
                return self._dual_loop(high, low)

    def _needed_optimizer(self) -> torch.optim.Optimizer:
        if self.optimizer is None:
            raise ValueError(f"{self.options.name} needs the optimizer")
        return self.optimizer

    def _dual_loop(self, high: Batches, low: Batches) -> tuple[Tensors, Logs]:
        swap = self.options.roles == "low_high" or (self.options.roles == "alternating" and self.steps % 2 == 1)
        weights = (1 - self.low_share, self.low_share)
        inner, outer = (low, high) if swap else (high, low)
        weights = weights[::-1] if swap else weights
        mode = {"first_order": self._first_order, "finite_difference": self._by_differences, "exact": self._exact}
        gradient, first, second = mode[self.options.mode](inner, outer, *weights)
        return gradient, comparators.logs(*((second, first) if swap else (first, second)), self.low_share)

    def _first_order(
        self, inner: Batches, outer: Batches, inner_weight: float, outer_weight: float
    ) -> tuple[Tensors, Regime, Regime]:
        """The outer gradient taken after the inner step, as if the inner step did not depend on the parameters."""
        first, outer_seed = self.objective.at(inner, draw_seed()), draw_seed()
        ahead = self._lookahead(first.gradient)
        with shifted(self.objective.parameters, ahead(self._anchored(first.gradient)), -1):
            second = self.objective.at(outer, outer_seed)
        return mix(first.gradient, inner_weight, second.gradient, outer_weight), first, second

    def _by_differences(
        self, inner: Batches, outer: Batches, inner_weight: float, outer_weight: float
    ) -> tuple[Tensors, Regime, Regime]:
        """The whole gradient of J; its two Hessian-vector products are differences of gradients.

        dJ = w_in u + r - H_in (A r + c da)   with   r = w_out v - c H_out db,   da, db the cosine's derivatives.
        """
        penalty, seeds = self.options.consistency, (draw_seed(), draw_seed())
        first = self.objective.at(inner, seeds[0])
        ahead = self._lookahead(first.gradient)
        with shifted(self.objective.parameters, ahead(first.gradient), -1):
            second = self.objective.at(outer, seeds[1])
            rest = [outer_weight * part for part in second.gradient]
            agreement = self._agreement(first, second)
            if penalty:
                bent = self._curvature(outer, seeds[1], agreement.by_second, second.gradient)
                rest = mix(rest, 1, bent, -penalty)
        bend = ahead(rest)
        if penalty:
            bend = mix(bend, 1, agreement.by_first, penalty)
        curved = self._curvature(inner, seeds[0], bend, first.gradient)
        gradient = mix([inner_weight * part for part in first.gradient], 1, rest, 1)
        return mix(gradient, 1, curved, -1), first, second

    def _curvature(self, batches: Batches, seed: int, direction: Tensors, here: Tensors) -> Tensors:
        """Hessian times direction, by a forward difference from the gradient `here`, or by a central one."""
        parameters = self.objective.parameters
        length, size = norm(direction), norm([parameter.detach() for parameter in parameters])
        if length == 0:
            return [torch.zeros_like(part) for part in direction]
        size = float(self.options.radius * (size or 1.0) / length)
        with shifted(parameters, direction, size):
            ahead = self.objective.at(batches, seed).gradient
        if not self.options.central:
            return mix(ahead, 1 / size, here, -1 / size)
        with shifted(parameters, direction, -size):
            behind = self.objective.at(batches, seed).gradient
        return mix(ahead, 0.5 / size, behind, -0.5 / size)

    def _exact(
        self, inner: Batches, outer: Batches, inner_weight: float, outer_weight: float
    ) -> tuple[Tensors, Regime, Regime]:
        """The whole gradient of J by differentiating twice: the reference for `finite_difference`."""
        parameters, names, seeds = self.objective.parameters, self.objective.names, (draw_seed(), draw_seed())
        first = self.objective.functional(inner, dict(zip(names, parameters, strict=True)), seeds[0])
        u = list(torch.autograd.grad(first, parameters, create_graph=True))
        ahead = self._lookahead([part.detach() for part in u])
        moved = [parameter - step for parameter, step in zip(parameters, ahead(u), strict=True)]
        second = self.objective.functional(outer, dict(zip(names, moved, strict=True)), seeds[1])
        v = list(torch.autograd.grad(second, moved, create_graph=True))
        total = inner_weight * first + outer_weight * second
        if self.options.consistency:
            total = total + self.options.consistency * (1 - cosine(u, v, self.blocks).value)
        gradient = list(torch.autograd.grad(total, parameters))
        return gradient, Regime(first.detach(), []), Regime(second.detach(), [])

    def _lookahead(self, gradient: Tensors) -> Lookahead:
        return Lookahead(gradient, self.objective.parameters, self.options.reach, self.options.alpha, self.optimizer)

    def _agreement(self, first: Regime, second: Regime) -> Cosine:
        return cosine(first.gradient, second.gradient, self.blocks)

    def _anchored(self, gradient: Tensors) -> Tensors:
        """The gradient to look ahead along: this step's, or a running mean, which is less of a random draw."""
        decay = self.options.anchor
        if not decay:
            return gradient
        if not self.anchor:
            self.anchor = [torch.zeros_like(part) for part in gradient]
        approach(self.anchor, gradient, 1 - decay)
        return [part / (1 - decay ** (self.steps + 1)) for part in self.anchor]


def _modules(names: Sequence[str]) -> list[list[int]]:
    """Positions of the parameters of each module; an adapter's two matrices belong to the module they adapt."""
    modules: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        owner = name.partition(".lora_")[0] if ".lora_" in name else name.rpartition(".")[0]
        modules.setdefault(owner, []).append(index)
    return list(modules.values())


def _check_twice_differentiable(objective: Objective) -> None:
    """Refuse what fails with an obscure message, or what silently gives a gradient that is some percent wrong."""
    modules = list(objective.model.modules())
    fused = {getattr(getattr(module, "config", None), "_attn_implementation", None) for module in modules}
    if fused - {None, "eager"}:
        raise StrategyError(
            "fused-attention",
            'strategy.mode "exact" differentiates twice, which fused attention cannot; set model.attention = "eager", '
            'or strategy.mode = "finite_difference"',
        )
    if any(getattr(module, "gradient_checkpointing", False) for module in modules):
        raise StrategyError(
            "checkpointing",
            'strategy.mode "exact" with gradient checkpointing would recompute with the wrong weights; turn '
            'train.gradient_checkpointing off, or set strategy.mode = "finite_difference"',
        )
    if objective.reduce:
        raise StrategyError(
            "processes", 'strategy.mode "exact" runs in one process; set strategy.mode = "finite_difference"'
        )
