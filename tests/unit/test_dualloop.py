"""The dual loop on quadratics, where everything has a closed form."""

import copy
from typing import Any

import pytest
import torch
from lrrg.pipelines.finetune.config import StrategySection
from lrrg.pipelines.finetune.dualloop import Strategy
from lrrg.pipelines.finetune.gradients import Objective
from lrrg.pipelines.finetune.vectors import cosine
from lrrg.tests.quadratics import (
    ALPHA,
    HIGH,
    LOW,
    PENALTY,
    SHARE,
    SIZE,
    Bowl,
    apart,
    batch,
    flat,
    gradient,
    loss,
    options,
)


def closed_form(bowl: Bowl, penalty: float) -> torch.Tensor:
    place = flat(list(bowl.parameters()))
    (high, high_centre), (low, low_centre) = HIGH, LOW
    u = high @ (place - high_centre)
    v = low @ (place - ALPHA * u - low_centre)
    product, c = u.norm() * v.norm(), u @ v / (u.norm() * v.norm())
    by_u, by_v = v / product - c * u / u.norm() ** 2, u / product - c * v / v.norm() ** 2
    rest = SHARE * v - penalty * low @ by_v
    return (1 - SHARE) * u + rest - high @ (ALPHA * rest + penalty * by_u)


@pytest.mark.parametrize(
    ("given", "penalty"),
    [
        ({"mode": "exact"}, 0.0),
        ({"mode": "exact"}, PENALTY),
        ({"mode": "finite_difference"}, PENALTY),
        ({"mode": "finite_difference", "central": True}, PENALTY),
        ({"mode": "finite_difference"}, 0.0),
    ],
)
def test_modes_give_the_closed_form(given: dict[str, Any], penalty: float):
    bowl = Bowl()
    assert apart(gradient(bowl, consistency=penalty, **given), closed_form(bowl, penalty)) < 1e-10


def test_gradient_is_the_slope_of_the_objective():
    def value(place: torch.Tensor) -> torch.Tensor:
        (high, high_centre), (low, low_centre) = HIGH, LOW
        u = high @ (place - high_centre)
        ahead = place - ALPHA * u
        v = low @ (ahead - low_centre)
        losses = [away @ metric @ away / 2 for away, metric in ((place - high_centre, high), (ahead - low_centre, low))]
        return (1 - SHARE) * losses[0] + SHARE * losses[1] + PENALTY * (1 - u @ v / (u.norm() * v.norm()))

    bowl, step = Bowl(), 1e-5
    place = flat(list(bowl.parameters()))
    slope = torch.stack(
        [(value(place + step * axis) - value(place - step * axis)) / (2 * step) for axis in torch.eye(SIZE).double()]
    )
    assert apart(gradient(bowl, mode="finite_difference", consistency=PENALTY), slope) < 1e-8


def test_consistency_by_module_is_the_mean_of_its_cosines():
    both = [gradient(Bowl(), scope="module", mode=mode, consistency=PENALTY) for mode in ("exact", "finite_difference")]
    assert apart(both[1], both[0]) < 1e-10
    u, v = [torch.tensor([3.0, 4.0]), torch.zeros(2)], [torch.tensor([3.0, -4.0]), torch.ones(2)]
    found = cosine(u, v, [[0], [1]])
    assert float(found.value) == pytest.approx(-7 / 25)
    assert not found.by_first[1].any()  # a tensor without a gradient neither counts nor moves


@pytest.mark.parametrize("mode", ["first_order", "finite_difference"])
def test_without_look_ahead_it_is_balanced_fine_tuning_bit_for_bit(mode: str):
    def trajectory(**given: Any) -> torch.Tensor:
        bowl = Bowl()
        optimizer = torch.optim.AdamW(bowl.parameters(), lr=0.1)
        strategy = Strategy(Objective(bowl, loss), options(**given), 0.5, optimizer)
        for _ in range(6):
            strategy.step([HIGH], [LOW])
            optimizer.step()
        return flat(list(bowl.parameters()))

    def by_hand() -> torch.Tensor:
        bowl = Bowl()
        optimizer = torch.optim.AdamW(bowl.parameters(), lr=0.1)
        for _ in range(6):
            optimizer.zero_grad()
            ((bowl(*HIGH) + bowl(*LOW)) / 2).backward()
            optimizer.step()
        return flat(list(bowl.parameters()))

    plain = trajectory(name="sft_balanced")
    assert torch.equal(trajectory(mode=mode, alpha=0.0), plain)
    assert apart(plain, by_hand()) < 1e-12


@pytest.mark.parametrize("reach", ["gradient", "optimizer"])
def test_first_order_is_mldg_on_a_deep_copy(reach: str):
    """An independent way to the same gradient: copy the model, step the copy, take its outer gradient."""
    bowl = Bowl()
    copied = copy.deepcopy(bowl)
    inner = torch.optim.SGD(copied.parameters(), lr=ALPHA)
    if reach == "optimizer":
        inner = torch.optim.Adam(copied.parameters(), lr=0.02)
    copied(*HIGH).backward()
    u = flat([parameter.grad for parameter in copied.parameters()])
    inner.step()
    inner.zero_grad()
    copied(*LOW).backward()
    v = flat([parameter.grad for parameter in copied.parameters()])

    alpha = ALPHA if reach == "gradient" else 1.0
    optimizer = torch.optim.Adam(bowl.parameters(), lr=0.02)
    strategy = Strategy(Objective(bowl, loss), options(reach=reach, alpha=alpha), SHARE, optimizer)
    strategy.step([HIGH], [LOW])
    ours = flat([parameter.grad for parameter in bowl.parameters()])
    assert apart(ours, (1 - SHARE) * u + SHARE * v) < 1e-12


def test_look_ahead_is_as_long_as_the_optimizers_last_step():
    bowl = Bowl()
    optimizer = torch.optim.AdamW(bowl.parameters(), lr=0.05, weight_decay=0.0)
    seen: list[torch.Tensor] = []

    def watched(call: Any, given: Any) -> tuple[torch.Tensor, float]:
        seen.append(flat(list(bowl.parameters())))
        return loss(call, given)

    strategy = Strategy(Objective(bowl, watched), options(reach="optimizer", alpha=0.5), SHARE, optimizer)
    for _ in range(5):
        strategy.step([HIGH], [LOW])
        optimizer.step()
    places, aheads = seen[0::2], seen[1::2]
    for step in range(1, 5):
        last = (places[step] - places[step - 1]).norm()
        assert float((aheads[step] - places[step]).norm() / last) == pytest.approx(0.5, rel=1e-6)


def test_alternating_roles_reward_aligned_gradients():
    """The mean of both roles is the gradient of L_high + L_low - alpha / 2 <g_high, g_low>, exactly on quadratics."""
    bowl = Bowl()
    strategy = Strategy(Objective(bowl, loss), options(roles="alternating"), 0.5)
    taken: list[torch.Tensor] = []
    for _ in range(2):
        strategy.step([HIGH], [LOW])
        taken.append(flat([parameter.grad for parameter in bowl.parameters()]))
    parameters = list(bowl.parameters())
    sides = [bowl(*side) for side in (HIGH, LOW)]
    slopes = [torch.autograd.grad(side, parameters, create_graph=True) for side in sides]
    aligned = torch.stack([(a * b).sum() for a, b in zip(*slopes, strict=True)]).sum()
    surrogate = torch.autograd.grad((sum(sides) - ALPHA / 2 * aligned) / 2, parameters)
    assert not torch.equal(taken[0], taken[1])
    assert apart((taken[0] + taken[1]) / 2, flat(list(surrogate))) < 1e-12


@pytest.mark.parametrize("mode", ["first_order", "finite_difference"])
def test_parameters_come_back_bit_for_bit_even_after_an_error(mode: str):
    bowl = Bowl()
    before = flat(list(bowl.parameters())).clone()
    gradient(bowl, mode=mode, alpha=1 / 3)
    assert torch.equal(flat(list(bowl.parameters())), before)
    calls = 0

    def failing(call: Any, given: Any) -> tuple[torch.Tensor, float]:
        nonlocal calls
        calls += 1
        if calls == 2:  # the outer loss, while the parameters are shifted
            assert not torch.equal(flat(list(bowl.parameters())), before)
            raise ArithmeticError("the loss failed")
        return loss(call, given)

    strategy = Strategy(Objective(bowl, failing), options(mode=mode, alpha=1 / 3))
    with pytest.raises(ArithmeticError):
        strategy.step([HIGH], [LOW])
    assert torch.equal(flat(list(bowl.parameters())), before)


def test_without_look_ahead_the_regimes_can_be_swapped():
    ways = [gradient(Bowl(), 0.5, *sides, alpha=0.0) for sides in (([HIGH], [LOW]), ([LOW], [HIGH]))]
    assert torch.equal(*ways)
    u, v = [torch.randn(5, dtype=torch.float64)], [torch.randn(5, dtype=torch.float64)]
    values = [cosine([scale * u[0]], v, [[0]]).value for scale in (1.0, 1000.0)]
    assert float(values[0] - values[1]) == pytest.approx(0, abs=1e-12)


def test_micro_batches_are_one_batch():
    """The look-ahead goes along the whole regime's gradient, not along a micro-batch's."""
    more = batch(3)
    mean_of_both = (HIGH[0] + more[0]) / 2
    centre = torch.linalg.solve(mean_of_both, (HIGH[0] @ HIGH[1] + more[0] @ more[1]) / 2)
    split = gradient(Bowl(), high=[HIGH, more], mode="finite_difference", consistency=PENALTY)
    whole = gradient(Bowl(), high=[(mean_of_both, centre)], mode="finite_difference", consistency=PENALTY)
    assert apart(split, whole) < 1e-9


def test_anchor_looks_ahead_along_the_running_mean():
    bowl = Bowl()
    strategy = Strategy(Objective(bowl, loss), options(anchor=0.9), SHARE)
    strategy.step([HIGH], [LOW])
    assert apart(flat([parameter.grad for parameter in bowl.parameters()]), gradient(Bowl())) < 1e-12
    strategy.step([batch(5)], [LOW])
    saved = strategy.state_dict()
    ahead = Strategy(Objective(bowl, loss), options(anchor=0.9), SHARE)
    ahead.load_state_dict(copy.deepcopy(saved))
    results = []
    for each in (strategy, ahead):
        each.step([HIGH], [LOW])
        results.append(flat([parameter.grad for parameter in bowl.parameters()]))
    assert torch.equal(*results)
    assert not torch.equal(results[0], gradient(Bowl()))


@pytest.mark.parametrize(
    ("section", "named"),
    [
        ({"name": "dual_loop", "consistency": 0.1}, "finite_difference"),
        ({"name": "dual_loop", "mode": "exact", "anchor": 0.9}, "first_order"),
        ({"name": "dual_loop", "roles": "alternating", "anchor": 0.9}, "one regime"),
    ],
)
def test_a_mode_refuses_what_it_would_ignore(section: dict[str, Any], named: str):
    with pytest.raises(ValueError, match=named):
        StrategySection(**section)


@pytest.mark.parametrize("given", [{"reach": "optimizer"}, {"name": "fish"}, {"name": "momentum_sam"}])
def test_what_goes_by_the_optimizers_steps_needs_the_optimizer(given: dict[str, Any]):
    with pytest.raises(ValueError, match="needs the optimizer"):
        gradient(Bowl(), **given)
