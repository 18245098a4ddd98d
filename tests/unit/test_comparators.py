"""What the dual loop is compared with, on quadratics: PCGrad, group DRO, momentum SAM and Fish."""

import copy
from typing import Any

import pytest
import torch
from lrrg.pipelines.finetune.dualloop import Strategy
from lrrg.pipelines.finetune.gradients import Objective
from lrrg.tests.quadratics import ALPHA, HIGH, LOW, SHARE, Bowl, apart, flat, gradient, loss, options


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
