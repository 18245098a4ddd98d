"""The training loop: runs that go on bit for bit, several processes, what is logged and what stops it."""

import json
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lrrg.pipelines.finetune import steady, trainer
from lrrg.pipelines.finetune.errors import StrategyError, TrainingError
from lrrg.pipelines.finetune.objective import token_loss
from lrrg.pipelines.finetune.steady import Steady
from lrrg.tests import tiny_qwen, training
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch._utils import ExceptionWrapper

DUAL = {"name": "dual_loop", "alpha": 1.0}
REGIMES = ("high", "low")
WHOLE = {"name": "dual_loop", "mode": "finite_difference", "consistency": 0.1}
RUINOUS = {"learning_rate": 2.0, "steps": 12, "evaluate_every": 1, "patience": 2, "gradient_norm": 0, "warmup": 0.3}
"""Soon worse, so that the run stops early."""


class Killed(Exception):
    """Ends a run where it is."""


def killed_at(step: int) -> Any:
    """What is told of steps, and ends the run at one of them."""
    done: list[int] = []

    def advance(steps: int = 1, **counts: int) -> None:
        done.append(steps)
        if sum(done) == step:
            raise Killed

    return advance


def lines(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    ("strategy", "make"),
    [
        (DUAL | {"roles": "low_high", "anchor": 0.5}, lambda: tiny_qwen.model("sdpa", dropout=0.2)),
        ({"name": "fish"}, tiny_qwen.whole),
    ],
    ids=["dual_loop with adapters", "fish with all weights"],
)
def test_a_resumed_run_is_the_run_that_was_not_stopped(strategy: dict[str, Any], make: Any, tmp_path: Path):
    given = {"strategy": strategy, "data": {"low_share": 0.5}}
    whole, weights = training.train(training.config(**given), tmp_path / "whole", model=make())

    with pytest.raises(Killed):
        training.train(training.config(**given), tmp_path / "cut", model=make(), advance=killed_at(5))
    told: list[int] = []
    resumed, again = training.train(
        training.config(**given),
        tmp_path / "cut",
        resume=True,
        model=make(),
        advance=lambda done=1: told.append(done),
    )
    assert torch.equal(again, weights)
    assert (resumed.best_step, resumed.best_loss) == (whole.best_step, whole.best_loss)
    assert told == [3, 1, 1, 1]
    kept = [[row.get("eval_loss") for row in lines(tmp_path / side) if "eval_loss" in row] for side in ("whole", "cut")]
    assert kept[0] == kept[1]


def test_a_checkpoint_that_a_kill_cut_short_is_passed_over(tmp_path: Path):
    chosen = training.config(train={"evaluate_every": 2})
    _, weights = training.train(chosen, tmp_path / "whole")
    with pytest.raises(Killed):
        training.train(chosen, tmp_path / "cut", advance=killed_at(5))
    # All that is there while it is being written, last; and a line of the log of which the rest never came.
    torn = tmp_path / "cut" / "checkpoints" / "checkpoint-4"
    torn.joinpath("strategy.pt").unlink()
    torn.joinpath("optimizer.pt").write_bytes(b"")
    with (tmp_path / "cut" / "log.jsonl").open("a") as log:
        log.write('{"step": 5, "lo')
    _, again = training.train(chosen, tmp_path / "cut", resume=True)
    assert torch.equal(again, weights)
    assert [row["step"] for row in lines(tmp_path / "cut")] == [row["step"] for row in lines(tmp_path / "whole")]


def test_strategies_differ_and_equal_seeds_do_not(tmp_path: Path):
    found = {}
    for name, strategy in {
        "balanced": {"name": "sft_balanced"},
        "again": {"name": "sft_balanced"},
        "no look-ahead": DUAL | {"alpha": 0.0},
        "dual loop": DUAL,
        "clean": {"name": "sft_clean"},
        "mix": {"name": "sft_mix"},
        "pcgrad": {"name": "pcgrad"},
    }.items():
        chosen = training.config(strategy=strategy, train={"evaluate_every": 0, "steps": 3})
        fitted, found[name] = training.train(chosen, tmp_path / name)
        assert (fitted.steps, fitted.best_loss) == (3, None)
    assert torch.equal(found["again"], found["balanced"])
    assert torch.equal(found["no look-ahead"], found["balanced"])
    for name in ("dual loop", "clean", "mix"):
        assert not torch.equal(found[name], found["balanced"]), name


def test_logs_hold_losses_gap_and_cosines(tmp_path: Path):
    chosen = training.config(strategy=DUAL, train={"probe_every": 3})
    training.train(chosen, tmp_path)
    rows = lines(tmp_path)
    logged = next(row for row in rows if "loss" in row)
    assert logged["gap"] == pytest.approx(logged["loss_low"] - logged["loss_high"], abs=1e-6)
    assert logged["loss"] == pytest.approx((logged["loss_low"] + logged["loss_high"]) / 2, abs=1e-3)
    assert 0 < logged["waited"] < 1
    watched = [row for row in rows if "eval_loss" in row]
    assert [row["step"] for row in watched] == [3, 6]
    assert watched[0]["eval_gap"] == pytest.approx(watched[0]["eval_loss_low"] - watched[0]["eval_loss_high"])
    probed = [row for row in rows if "cosine" in row]
    assert [row["step"] for row in probed] == [0, 3]
    assert all(-1 <= value <= 1 for row in probed for name, value in row.items() if name.startswith("cosine"))
    (events,) = tmp_path.rglob("events.out.tfevents*")
    board = EventAccumulator(str(events)).Reload()
    drawn = [(each.step, pytest.approx(each.value)) for each in board.Scalars("eval/loss")]
    assert [(row["step"], row["eval_loss"]) for row in watched] == drawn


def test_one_batch_has_no_halves_and_so_no_cosine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(training.VALIDATE, "high", training.VALIDATE["high"][:1])
    training.train(training.config(train={"probe_every": 1, "steps": 1}), tmp_path)
    assert not [name for row in lines(tmp_path) for name in row if name.startswith("cosine")]


@pytest.mark.parametrize("whole", [False, True], ids=["adapters", "all weights"])
def test_stops_early_and_keeps_the_best_weights(whole: bool, tmp_path: Path):
    """At a learning rate that ruins the model, one of the first validations is the best; its weights come back."""
    model = tiny_qwen.whole() if whole else tiny_qwen.model("sdpa")
    chosen = training.config(strategy={"name": "sft_balanced"}, train=RUINOUS)
    fitted, _ = training.train(chosen, tmp_path, model=model)
    losses = [row["eval_loss"] for row in lines(tmp_path) if "eval_loss" in row]
    assert fitted.steps < 12
    assert fitted.best_loss == min(losses) == losses[fitted.best_step - 1]
    assert len(losses) - fitted.best_step == 2
    with torch.no_grad():
        sides = [[token_loss(model.eval(), batch) for batch in training.VALIDATE[regime]] for regime in REGIMES]
    means = [sum(float(loss) for loss, _ in side) / sum(int(count) for _, count in side) for side in sides]
    assert sum(means) / 2 == pytest.approx(fitted.best_loss, rel=1e-6)


def test_a_resumed_run_stops_as_early_as_one_that_was_not_stopped(tmp_path: Path):
    chosen = training.config(strategy={"name": "sft_balanced"}, train=RUINOUS)
    fitted, weights = training.train(chosen, tmp_path / "whole")
    assert fitted.best_step < fitted.steps - 1
    with pytest.raises(Killed):
        training.train(chosen, tmp_path / "cut", advance=killed_at(fitted.steps))
    resumed, again = training.train(chosen, tmp_path / "cut", resume=True)
    assert (resumed.steps, resumed.best_step) == (fitted.steps, fitted.best_step)
    assert torch.equal(again, weights)


def test_the_log_says_how_long_a_run_waited_for_its_films(monkeypatch: pytest.MonkeyPatch):
    now = [0.0]

    class Slow:
        def __iter__(self):
            for number in range(3):
                now[0] += 0.75
                yield number

    monkeypatch.setattr(steady, "perf_counter", lambda: now[0])
    batches = Steady(Slow())
    for _ in batches:
        now[0] += 0.25
    assert batches.waited() == 0.75
    now[0] += 1
    assert batches.waited() == 0, "since the last call"


@pytest.mark.slow
def test_two_processes_are_one_that_accumulates(tmp_path: Path):
    """The look-ahead goes along the gradient of all processes: first_order and the differences see the same regime."""
    given = {"strategy": WHOLE, "train": {"steps": 3, "evaluate_every": 0, "batch_size": 2, "probe_every": 3}}
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    world = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "OMP_NUM_THREADS": "1"}
    launched = {"TORCHELASTIC_RUN_ID": "test", "LOCAL_WORLD_SIZE": "2"}
    command = [sys.executable, "-m", "lrrg.tests.training", str(tmp_path)]
    processes = [
        subprocess.Popen(
            [*command, training.config(**given).model_dump_json()],
            env=os.environ | world | launched | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    ended = [process.communicate(timeout=300) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], ended
    ranks = [torch.load(tmp_path / f"rank{rank}.pt") for rank in range(2)]
    alone = training.config(**given | {"train": given["train"] | {"accumulation": 2}})
    _, accumulated = training.train(alone, tmp_path / "alone")
    assert torch.equal(*ranks)
    assert float((ranks[0] - accumulated).abs().max()) < 1e-6
    (cosine,), (own,) = (
        [row["cosine"] for row in lines(out) if "cosine" in row] for out in (tmp_path, tmp_path / "alone")
    )
    assert cosine == pytest.approx(own, abs=1e-5)


def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path):
    chosen = training.config(train={"learning_rate": 1e30, "gradient_norm": 0, "warmup": 0.0})
    with pytest.raises(TrainingError, match="learning_rate") as caught:
        training.train(chosen, tmp_path)
    assert caught.value.code == "not-a-number"


def test_memory_that_does_not_suffice_names_the_knobs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A real refusal by the operating system, in the middle of a loss."""

    def hungry(call: Any, batch: Any) -> Any:
        limits = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (2**36, limits[1]))
        try:
            return torch.zeros(2**40), 1
        finally:
            resource.setrlimit(resource.RLIMIT_AS, limits)

    monkeypatch.setattr(trainer, "token_loss", hungry)
    with pytest.raises(TrainingError, match=r"train\.batch_size \(4\).*gradient_checkpointing.*max_pixels") as caught:
        training.train(training.config(), tmp_path)
    assert caught.value.code == "out-of-memory"


def test_memory_that_does_not_suffice_a_reader_names_the_knobs():
    """As the process that reads films hands its fault over: numpy's own kind does not survive the way."""
    try:
        np.ones(2**46, np.uint8)
    except MemoryError:
        fault = ExceptionWrapper(where="in DataLoader worker process 0")
    chosen = training.config(data={"workers": 2})
    with pytest.raises(TrainingError, match=r"data\.workers") as caught, trainer.memory_explained(chosen):
        fault.reraise()
    assert caught.value.code == "out-of-memory"


def test_nothing_to_resume_is_said(tmp_path: Path):
    with pytest.raises(TrainingError, match="no checkpoint"):
        training.train(training.config(), tmp_path, resume=True)


@pytest.mark.parametrize("variable", ["ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"])
def test_sharded_parameters_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str):
    """As `accelerate launch --use_fsdp` asks for them."""
    monkeypatch.setenv(variable, "true")
    with pytest.raises(StrategyError, match=f"{variable}.*torchrun") as caught:
        training.train(training.config(), tmp_path)
    assert caught.value.code == "sharded"


def test_bfloat16_with_checkpointing_learns(tmp_path: Path):
    chosen = training.config(
        strategy=WHOLE, train={"bfloat16": True, "gradient_checkpointing": True, "steps": 12, "warmup": 0.0}
    )
    training.train(chosen, tmp_path)
    losses = [row["eval_loss"] for row in lines(tmp_path) if "eval_loss" in row]
    assert losses[-1] < losses[0]
