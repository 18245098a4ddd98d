"""The dual loop on quadratics, where everything has a closed form."""

import copy
from typing import Any

import pytest
import torch
from lrrg.pipelines.finetune.config import StrategySection, parse
from lrrg.pipelines.finetune.dualloop import Strategy
from lrrg.pipelines.finetune.gradients import Objective
from lrrg.pipelines.finetune.vectors import cosine
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
    return call(*batch), 1.0


def batch(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    made = torch.Generator().manual_seed(seed)
    root = torch.randn(SIZE, SIZE, generator=made, dtype=torch.float64)
    metric = root @ root.T / SIZE + torch.eye(SIZE, dtype=torch.float64) / 2
    return metric, torch.randn(SIZE, generator=made, dtype=torch.float64)


HIGH, LOW = batch(1), batch(2)


def flat(parts: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat([part.detach().flatten() for part in parts])


def options(**given: Any) -> StrategySection:
    return StrategySection(**{"name": "dual_loop", "reach": "gradient", "alpha": ALPHA, **given})


def gradient(bowl: nn.Module, share: float = SHARE, high: Any = (HIGH,), low: Any = (LOW,), **given: Any):
    Strategy(Objective(bowl, loss), options(**given), share).step(high, low)
    return flat([parameter.grad for parameter in bowl.parameters()])


def apart(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours - theirs).norm() / theirs.norm())


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


def test_pcgrad_leaves_agreeing_gradients_and_parts_opposed_ones():
    bowl = Bowl()
    opposite = (HIGH[0], 2 * flat(list(bowl.parameters())) - HIGH[1])  # its gradient is the other's, turned round
    assert gradient(Bowl(), name="pcgrad", high=[HIGH], low=[opposite]).norm() < 1e-12
    agreeing = gradient(Bowl(), name="pcgrad", high=[HIGH], low=[HIGH])
    assert apart(agreeing, gradient(Bowl(), name="sft_balanced", high=[HIGH], low=[HIGH])) < 1e-12
    u, v = (gradient(Bowl(), 0.5, [side], [side], name="sft_balanced") for side in (HIGH, LOW))
    found = gradient(Bowl(), 0.5, name="pcgrad")
    if u @ v < 0:
        u, v = u - (u @ v) / (v @ v) * v, v - (u @ v) / (u @ u) * u
    assert apart(found, (u + v) / 2) < 1e-12


def test_group_dro_weights_follow_the_exponentiated_gradient():
    """Three steps by hand, multiplied up from the first weights; the gradient has the weights just moved."""
    bowl, rate = Bowl(), 0.3
    strategy = Strategy(Objective(bowl, loss), options(name="group_dro", weight_rate=rate), SHARE)
    losses = torch.stack([bowl(*HIGH).detach(), bowl(*LOW).detach()])
    u, v = (gradient(Bowl(), 0.5, [side], [side], name="sft_balanced") for side in (HIGH, LOW))
    for step in range(1, 4):
        found = strategy.step([HIGH], [LOW])
        raised = torch.tensor([1 - SHARE, SHARE], dtype=torch.float64) * torch.exp(step * rate * losses)
        share = float(raised[1] / raised.sum())
        assert apart(flat([parameter.grad for parameter in bowl.parameters()]), (1 - share) * u + share * v) < 1e-12
        assert float(found["loss"]) == pytest.approx(float((1 - share) * losses[0] + share * losses[1]))
    assert (share > SHARE) == bool(losses[1] > losses[0])  # the worse regime counts more
    resumed = Strategy(Objective(bowl, loss), options(name="group_dro", weight_rate=rate), SHARE)
    resumed.load_state_dict(copy.deepcopy(strategy.state_dict()))
    for each in (strategy, resumed):
        each.step([HIGH], [LOW])
    assert torch.equal(resumed.weights, strategy.weights)


@pytest.mark.parametrize("given", [
    {"name": "group_dro", "weight_rate": 0.0},
    {"name": "momentum_sam", "ascent": 0.0},
])  # fmt: skip
def test_comparators_without_their_own_step_are_balanced_fine_tuning_bit_for_bit(given: dict[str, Any]):
    ends: list[torch.Tensor] = []
    for each in ({"name": "sft_balanced"}, given):
        bowl = Bowl()
        optimizer = torch.optim.AdamW(bowl.parameters(), lr=0.1)
        strategy = Strategy(Objective(bowl, loss), options(**each), SHARE, optimizer)
        for _ in range(4):
            strategy.step([HIGH], [LOW])
            optimizer.step()
        ends.append(flat(list(bowl.parameters())))
    assert torch.equal(*ends)


def test_momentum_sam_takes_the_gradient_away_from_the_weights():
    """On quadratics the gradient there is the one here and the Hessian times the way there."""
    bowl, radius = Bowl(), 0.3
    optimizer = torch.optim.AdamW(bowl.parameters(), lr=0.1, weight_decay=0.0)
    strategy = Strategy(Objective(bowl, loss), options(name="momentum_sam", ascent=radius), SHARE, optimizer)
    strategy.step([HIGH], [LOW])
    assert torch.equal(flat([p.grad for p in bowl.parameters()]), gradient(Bowl(), name="sft_balanced"))
    optimizer.step()
    momentum = flat([optimizer.state[parameter]["exp_avg"] for parameter in bowl.parameters()])
    here = copy.deepcopy(bowl)
    before = flat(list(bowl.parameters())).clone()
    strategy.step([HIGH], [LOW])
    assert torch.equal(flat(list(bowl.parameters())), before)
    hessian = (1 - SHARE) * HIGH[0] + SHARE * LOW[0]
    expected = gradient(here, name="sft_balanced") - hessian @ momentum * radius / momentum.norm()
    assert apart(flat([parameter.grad for parameter in bowl.parameters()]), expected) < 1e-12


def test_fish_goes_part_of_the_way_of_its_inner_steps():
    ends: list[torch.Tensor] = []
    for order in ((HIGH, LOW), (LOW, HIGH)):
        bowl = Bowl()
        inner = torch.optim.SGD(bowl.parameters(), lr=ALPHA)
        for side in order:
            inner.zero_grad()
            bowl(*side).backward()
            inner.step()
        ends.append(flat(list(bowl.parameters())))
    bowl = Bowl()
    start = flat(list(bowl.parameters())).clone()
    optimizer = torch.optim.SGD(bowl.parameters(), lr=ALPHA)
    Strategy(Objective(bowl, loss), options(name="fish", meta_rate=0.25), optimizer=optimizer).step([HIGH], [LOW])
    assert all(parameter.grad is None for parameter in bowl.parameters())  # nothing is left for the optimizer to do
    gone = flat(list(bowl.parameters())) - start
    assert min(apart(gone, 0.25 * (end - start)) for end in ends) < 1e-12


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
        parse({"strategy": section}, "run.toml")


@pytest.mark.parametrize("given", [{"reach": "optimizer"}, {"name": "fish"}, {"name": "momentum_sam"}])
def test_what_goes_by_the_optimizers_steps_needs_the_optimizer(given: dict[str, Any]):
    with pytest.raises(ValueError, match="needs the optimizer"):
        gradient(Bowl(), **given)
