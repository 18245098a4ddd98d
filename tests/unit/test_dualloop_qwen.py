"""The dual loop on a real Qwen2.5-VL with adapters on language and vision."""

import copy
from typing import Any

import pytest
import torch
from lrrg.pipelines.finetune.config import StrategySection
from lrrg.pipelines.finetune.dualloop import Strategy
from lrrg.pipelines.finetune.errors import StrategyError
from lrrg.pipelines.finetune.flat import FlatConvolution, flatten_patch_embedding
from lrrg.pipelines.finetune.gradients import Objective
from lrrg.pipelines.finetune.objective import token_loss
from lrrg.pipelines.finetune.probe import probe
from lrrg.tests import tiny_qwen
from lrrg.tests.quadratics import apart, flat

DOUBLE = torch.float64
SHARE, ALPHA, PENALTY = 0.4, 0.05, 0.3


def learning(model: Any) -> list[torch.Tensor]:
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def gradient(model: Any, high: Any, low: Any, loss: Any = token_loss, **given: Any) -> torch.Tensor:
    options = StrategySection(**{"name": "dual_loop", "reach": "gradient", "alpha": ALPHA, **given})
    torch.manual_seed(11)
    Strategy(Objective(model, loss), options, SHARE).step([high], [low])
    return flat([parameter.grad for parameter in learning(model)])


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch):
    tiny_qwen.doubled(monkeypatch)
    sides = [tiny_qwen.batch(2, seed, DOUBLE) for seed in (1, 2)]
    return tiny_qwen.model(dtype=DOUBLE), *sides


def objective(model: Any, high: Any, low: Any) -> torch.Tensor:
    """J, written down once more: with plain forward and backward passes at moved parameters."""
    parameters = learning(model)
    sides: list[tuple[torch.Tensor, list[torch.Tensor]]] = []
    kept = [parameter.detach().clone() for parameter in parameters]
    for batch in (high, low):
        loss, count = token_loss(model, batch)
        sides.append((loss.detach() / count, list(torch.autograd.grad(loss / count, parameters))))
        with torch.no_grad():
            for parameter, slope in zip(parameters, sides[0][1], strict=True):
                parameter -= ALPHA * slope
    with torch.no_grad():
        for parameter, old in zip(parameters, kept, strict=True):
            parameter.copy_(old)
    u, v = (flat(slope) for _, slope in sides)
    return (1 - SHARE) * sides[0][0] + SHARE * sides[1][0] + PENALTY * (1 - u @ v / (u.norm() * v.norm()))


def test_exact_gradient_is_the_slope_of_the_objective(double: Any):
    model, high, low = double
    found = gradient(model, high, low, mode="exact", consistency=PENALTY)
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert any("visual" in name for name in names)
    assert any("language_model" in name for name in names)
    pieces = found.split([parameter.numel() for parameter in learning(model)])
    assert all(piece.any() for piece in pieces), "an adapter without a gradient proves nothing"
    for seed in range(2):
        drawn = torch.Generator().manual_seed(seed)
        direction = [torch.randn(part.shape, generator=drawn, dtype=DOUBLE) for part in learning(model)]
        length = flat(direction).norm()
        size, values = 1e-4, []
        for sign in (1, -1):
            moved = copy.deepcopy(model)
            with torch.no_grad():
                for parameter, part in zip(learning(moved), direction, strict=True):
                    parameter += sign * size * part / length
            values.append(objective(moved, high, low))
        slope = float((values[0] - values[1]) / (2 * size))
        assert float(found @ flat(direction) / length) == pytest.approx(slope, rel=1e-6)


def test_differences_come_to_the_exact_gradient_as_their_order_says(double: Any):
    model, high, low = double
    exact = gradient(model, high, low, mode="exact", consistency=PENALTY)
    for central, order in ((False, 1), (True, 2)):
        given = {"mode": "finite_difference", "consistency": PENALTY, "central": central}
        errors = [apart(gradient(model, high, low, radius=radius, **given), exact) for radius in (1e-3, 1e-4)]
        assert errors[0] / errors[1] == pytest.approx(10**order, rel=0.2)
        assert errors[1] < 5e-3


def test_first_order_is_mldg_on_a_deep_copy_and_leaves_the_weights_alone():
    model, high, low = tiny_qwen.model(), tiny_qwen.batch(2, 1), tiny_qwen.batch(2, 2)
    before = flat(learning(model)).clone()
    copied = copy.deepcopy(model)
    ours = gradient(model, high, low)
    assert torch.equal(flat(learning(model)), before)
    slopes = []
    for batch in (high, low):
        loss, count = token_loss(copied, batch)
        copied.zero_grad()
        (loss / count).backward()
        slopes.append(flat([parameter.grad for parameter in learning(copied)]))
        torch.optim.SGD(learning(copied), lr=ALPHA).step()
    assert apart(ours, (1 - SHARE) * slopes[0] + SHARE * slopes[1]) < 1e-6


def test_first_order_is_not_the_whole_gradient(double: Any):
    """What first_order leaves out is there to be seen; and the penalty bends the gradient far more than that."""
    model, high, low = double
    first = gradient(model, high, low)
    assert 1e-3 < apart(first, gradient(model, high, low, mode="exact")) < 0.5
    assert apart(first, gradient(model, high, low, mode="exact", consistency=PENALTY)) > 0.05


@pytest.mark.parametrize(("attention", "checkpointing", "code"), [
    ("sdpa", False, "fused-attention"),
    ("eager", True, "checkpointing"),
])  # fmt: skip
def test_exact_refuses_what_cannot_be_differentiated_twice(attention: str, checkpointing: bool, code: str):
    model = tiny_qwen.model(attention)
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    with pytest.raises(StrategyError) as caught:
        gradient(model, tiny_qwen.batch(1, 1), tiny_qwen.batch(1, 2), mode="exact")
    assert caught.value.code == code
    assert "finite_difference" in str(caught.value)


def test_exact_with_checkpointing_would_be_silently_wrong(double: Any, monkeypatch: pytest.MonkeyPatch):
    """Why it is refused: recomputed activations see the weights before the look-ahead; differences do not mind."""
    model, high, low = double
    given = {"consistency": PENALTY}
    exact = gradient(model, high, low, mode="exact", **given)
    differences = gradient(model, high, low, mode="finite_difference", **given)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    assert apart(gradient(model, high, low, mode="finite_difference", **given), differences) < 1e-9
    monkeypatch.setattr("lrrg.pipelines.finetune.dualloop._check_twice_differentiable", lambda objective: None)
    assert apart(gradient(model, high, low, mode="exact", **given), exact) > 1e-3


def test_differences_work_with_fused_attention():
    sides = [tiny_qwen.batch(2, seed) for seed in (1, 2)]
    found = [
        gradient(tiny_qwen.model(attention), *sides, mode="finite_difference", consistency=PENALTY, central=True)
        for attention in ("eager", "sdpa")
    ]
    assert apart(found[1], found[0]) < 0.02


def test_both_sides_of_a_difference_see_the_same_dropout(monkeypatch: pytest.MonkeyPatch):
    """With other masks on either side the difference would be noise, many times the gradient."""
    tiny_qwen.doubled(monkeypatch)
    model, sides = tiny_qwen.model(dropout=0.3, dtype=DOUBLE), [tiny_qwen.batch(2, seed, DOUBLE) for seed in (1, 2)]
    given = {"consistency": PENALTY, "radius": 1e-4, "central": True}
    found = [gradient(model, *sides, mode="finite_difference", **given) for _ in range(2)]
    assert torch.equal(*found)
    exact = gradient(model, *sides, mode="exact", consistency=PENALTY)
    assert apart(found[0], exact) < 1e-3
    model.eval()
    assert apart(gradient(model, *sides, mode="exact", consistency=PENALTY), exact) > 0.01


def test_logits_of_the_prompt_are_not_needed():
    model, given = tiny_qwen.model(), tiny_qwen.batch(3, 1)
    given["labels"][0, -4:] = -100
    loss, count = token_loss(model, given)
    assert (loss / count).item() == pytest.approx(model(**given).loss.item(), rel=1e-5)


def test_penalty_raises_the_cosine_of_the_regimes():
    """On large fixed batches, measured at one point on other batches; the ceiling says what could be reached."""
    sides = [tiny_qwen.batch(16, seed) for seed in (1, 2)]
    probes = [[[tiny_qwen.batch(16, seed)] for seed in pair] for pair in ((1, 1), (2, 2))]
    cosines = []
    for penalty in (0.0, 2.0):
        model = tiny_qwen.model("sdpa")
        optimizer = torch.optim.AdamW(learning(model), lr=3e-3)
        options = StrategySection(
            name="dual_loop", mode="finite_difference", reach="gradient", alpha=ALPHA, consistency=penalty
        )
        strategy = Strategy(Objective(model, token_loss), options, 0.5, optimizer)
        for _ in range(12):
            strategy.step(*([side] for side in sides))
            optimizer.step()
        cosines.append(probe(strategy.objective, *probes, strategy.modules)["cosine"])
    assert cosines[1] > cosines[0] + 0.05


def test_probe_knows_its_ceiling_and_its_modules():
    model = tiny_qwen.model()
    strategy = Strategy(Objective(model, token_loss), StrategySection())
    same = [[tiny_qwen.batch(4, seed) for seed in half] for half in ((1, 3), (2, 4))]
    before = flat(learning(model)).clone()
    found = probe(strategy.objective, same, same, strategy.modules)
    assert found["cosine"] == pytest.approx(1)
    assert found["cosine_high"] == found["cosine_low"]
    halves = found["cosine_high"]
    assert found["cosine_ceiling"] == pytest.approx(2 * halves / (1 + halves))
    assert len([name for name in found if name.startswith("cosine/")]) == len(strategy.modules)
    assert model.training
    assert torch.equal(flat(learning(model)), before)


def test_a_flattened_patch_embedding_is_the_convolution():
    """Same outputs and same slope of the weight, which keeps its name and shape."""

    def found(model: Any) -> tuple[torch.Tensor, torch.Tensor]:
        weight = model.model.visual.patch_embed.proj.weight.requires_grad_()
        loss, _ = token_loss(model, tiny_qwen.batch(2, 1, DOUBLE))
        return loss.detach(), torch.autograd.grad(loss, weight)[0]

    whole = tiny_qwen.model(dtype=DOUBLE).base_model.model
    shapes = {name: tensor.shape for name, tensor in whole.state_dict().items()}
    loss, slope = found(whole)
    flattened = flatten_patch_embedding(whole)
    assert {name: tensor.shape for name, tensor in flattened.state_dict().items()} == shapes
    assert isinstance(flattened.model.visual.patch_embed.proj, FlatConvolution)
    again, slope_again = found(flattened)
    assert float(again) == pytest.approx(float(loss), rel=1e-5)
    assert slope.any()
    assert apart(slope_again, slope) < 1e-4
    with pytest.raises(ValueError, match="bias"):
        FlatConvolution(torch.nn.Conv3d(3, 4, 2))


def test_merged_adapters_give_the_same_logits():
    model, given = tiny_qwen.model().eval(), tiny_qwen.batch(2, 1)
    with torch.no_grad():
        adapted = model(**given).logits
        merged = model.merge_and_unload()(**given).logits
    assert float((merged - adapted).abs().max()) < 1e-5
