"""The training loop: transformers' Trainer with our strategies in its step, and runs that go on bit for bit."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from peft import PeftModel
from safetensors.torch import save_model
from torch import distributed
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainingArguments, logging
from transformers.utils import SAFE_WEIGHTS_NAME

from ..view import Advance
from .config import Config
from .data import Regime
from .dualloop import Strategy
from .errors import StrategyError, TrainingError
from .gradients import Batch, Objective
from .loader import Loader
from .objective import token_loss
from .probe import probe
from .progress import CHECKPOINTS, LOG, JsonLines, OwnState, Progress, last_checkpoint
from .steady import Steady

LOG_EVERY = 10
SHARDING = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")
NO_MEMORY = ("DefaultCPUAllocator", "MemoryError", "killed by signal: Killed")
"""How torch tells of it in words: on a CPU, and of a process that reads films, which the system may have killed."""
PROBE_BATCHES = 8
"""Batches of each regime that cosines are measured on, at most."""


class Watched(Protocol):
    """Batches of one regime, which may be made when they are asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> Batch: ...


@dataclass(frozen=True)
class Fitted:
    """What a run came to.

    Attributes:
        steps: optimizer steps done.
        best_step: step whose weights the model has: that of the least loss on validate, or the last one.
        best_loss: that loss, mean cross-entropy a token over both regimes; None without validation.
        log: JSON lines, one every few steps.
    """

    steps: int
    best_step: int
    best_loss: float | None
    log: Path


def fit(
    model: torch.nn.Module,
    loader: Loader,
    validate: Mapping[Regime, Watched],
    config: Config,
    out: Path,
    *,
    resume: bool = False,
    advance: Advance | None = None,
) -> Fitted:
    """Train a model.

    Args:
        model: with its adapters, or with the weights that learn unfrozen; it is changed.
        loader: `{"high": batch, "low": batch}` of each micro-step; a regime may be absent where the strategy pools.
        validate: batches of either regime in fixed order; empty for none.
        config: of the run.
        out: folder for logs and checkpoints.
        resume: go on from the last checkpoint in `out`.
        advance: told of every step.

    Raises:
        StrategyError: model or launch do not allow the strategy.
        TrainingError: there is no checkpoint to go on from, memory does not suffice, or a loss is not a number.
    """
    logging.set_verbosity_error()
    if config.train.gradient_checkpointing:
        # Here rather than by the Trainer, so that the strategy sees it; re-entrant checkpoints forbid autograd.grad.
        model.gradient_checkpointing_enable({"use_reentrant": False})  # pyright: ignore[reportCallIssue]
    trainer = DualLoopTrainer(model, loader, validate, config, out, advance)
    checkpoint = _checkpoint(out) if resume else None
    if checkpoint:
        trainer.own_state.load(checkpoint)
    trainer.train(resume_from_checkpoint=checkpoint and str(checkpoint))
    state = trainer.state
    best = state.best_global_step if state.best_model_checkpoint else state.global_step
    return Fitted(state.global_step, int(best or 0), state.best_metric, out / LOG)


class DualLoopTrainer(Trainer):
    """Trainer whose step is one of our strategies'."""

    def __init__(
        self,
        model: torch.nn.Module,
        loader: Loader,
        validate: Mapping[Regime, Watched],
        config: Config,
        out: Path,
        advance: Advance | None = None,
    ) -> None:
        """Make a trainer; arguments as of `fit`."""
        refuse_sharding()
        self._validate = validate
        watched = bool(config.train.evaluate_every and any(map(len, validate.values())))
        super().__init__(
            model=model,  # pyright: ignore[reportArgumentType]
            args=_arguments(config, out, watched),
            eval_dataset=[] if watched else None,  # pyright: ignore[reportArgumentType]
        )
        self.remove_callback(PrinterCallback)  # it prints every log, on the output that is for results
        self.config, self._batches = config, Steady(loader.batches)
        objective = Objective(model, self._loss, _sum if self.args.world_size > 1 else None)
        self.strategy = Strategy(objective, config.strategy, config.data.low_share)
        self._pending: list[Mapping[str, Batch]] = []
        self._found: list[Mapping[str, torch.Tensor]] = []
        self.own_state = OwnState(self.strategy, loader.sampler, config.train.accumulation)
        for callback in (self.own_state, JsonLines(out), *([Progress(advance)] if advance else [])):
            self.add_callback(callback)
        if config.train.patience:
            self.add_callback(EarlyStoppingCallback(config.train.patience))

    def get_train_dataloader(self) -> Any:
        """The loader as it is: it knows ranks and seeds itself."""
        return self._batches

    def _run_epoch(self, *given: Any, **named: Any) -> None:
        """Train, unless the checkpoint gone on from is of the last step: the Trainer would make one more."""
        if self.state.global_step < self.state.max_steps:
            super()._run_epoch(*given, **named)
        else:
            self.control.should_training_stop = True

    def training_step(
        self, model: torch.nn.Module, inputs: Mapping[str, Any], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Collect micro-steps; at the last one of a step, let the strategy leave its gradient."""
        self._pending.append({regime: self._prepare_inputs(batch) for regime, batch in inputs.items()})
        if not self.accelerator.sync_gradients:
            return torch.zeros((), device=self.args.device)
        sides = [[each[regime] for each in self._pending if regime in each] for regime in ("high", "low")]
        self._pending = []
        self.model.train()  # pyright: ignore[reportOptionalMemberAccess]
        self.strategy.optimizer = self.optimizer  # pyright: ignore[reportAttributeAccessIssue]
        with memory_explained(self.config):
            found = self.strategy.step(*sides)
            self._probe()
        if not torch.isfinite(found["loss"]):
            raise TrainingError(
                "not-a-number",
                f"step {self.state.global_step + 1}: the loss is {float(found['loss'])}; lower train.learning_rate or "
                "strategy.alpha",
            )
        self._found.append({name: value for name, value in found.items() if name != "loss"})
        return found["loss"].float()

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: list[str] | None = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Mean loss a token on validate, by regime; `eval_loss` weighs them by the low share."""
        sums = {regime: torch.zeros(2, dtype=torch.float64) for regime in self._validate}
        self.model.eval()  # pyright: ignore[reportOptionalMemberAccess]
        with torch.no_grad(), memory_explained(self.config):
            for regime, batches in self._validate.items():
                for batch in self._own_share(batches, range(len(batches))):
                    loss, count = self._loss(self.model, batch)
                    sums[regime] += torch.stack([loss.double(), count.double()]).cpu()
        found = {f"{metric_key_prefix}_loss_{regime}": self._mean(total) for regime, total in sums.items()}
        found = {name: value for name, value in found.items() if value is not None}
        found |= self._over_regimes(found, metric_key_prefix)
        self.log(found)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, found)
        return found

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add what the strategy found since the last log, and the share of the time that it waited for films."""
        if self._found and "loss" in logs:
            logs["waited"] = self._batches.waited()
            names = self._found[0].keys()
            logs |= {name: float(torch.stack([each[name] for each in self._found]).mean()) for name in names}
            self._found = []
        super().log(logs, start_time)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Keep a whole model under the names that its weights have here.

        The Trainer reads a checkpoint back by these and passes over any other without a word, and `save_pretrained`
        writes the hub's.
        """
        super()._save(output_dir, state_dict)
        if self.args.should_save and not isinstance(self.model, PeftModel):
            save_model(self.model, str(Path(output_dir or str(self.args.output_dir)) / SAFE_WEIGHTS_NAME))  # pyright: ignore[reportArgumentType]

    def floating_point_ops(self, inputs: Any) -> int:
        """Not estimated: its formula is of one forward and backward pass a step."""
        return 0

    def _loss(self, call: Any, batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        with self.compute_loss_context_manager():
            return token_loss(call, batch)

    def _probe(self) -> None:
        every = self.config.train.probe_every
        if not every or self.state.global_step % every or min(map(len, self._validate.values()), default=0) < 2:
            return
        high, low = (self._halves(self._validate[regime]) for regime in ("high", "low"))
        self.log(probe(self.strategy.objective, high, low, self.strategy.modules))

    def _halves(self, batches: Watched) -> list[list[Any]]:
        """Every second of the first batches and the others: what this process takes of each half."""
        first = range(len(batches))[:PROBE_BATCHES]
        return [list(self._own_share(batches, first[start::2])) for start in (0, 1)]

    def _own_share(self, batches: Watched, numbers: Sequence[int]) -> Iterator[Any]:
        """What this process takes of the batches of these numbers."""
        for number in numbers[self.args.process_index :: self.args.world_size]:
            yield self._prepare_inputs(batches[number])

    def _mean(self, total: torch.Tensor) -> float | None:
        """Summed losses over their number, of all processes; None where there are none."""
        total = total.to(device=self.accelerator.device)
        if self.args.world_size > 1:
            _sum(total)
        return float(total[0] / total[1]) if total[1] else None

    def _over_regimes(self, found: Mapping[str, float], prefix: str) -> dict[str, float]:
        values = list(found.values())
        if len(values) < 2:
            return {f"{prefix}_loss": values[0]}
        share = self.config.data.low_share
        return {f"{prefix}_loss": (1 - share) * values[0] + share * values[1], f"{prefix}_gap": values[1] - values[0]}


def refuse_sharding() -> None:
    """Refuse FSDP and DeepSpeed, which `accelerate launch` asks for by variables; a CPU would pass over them.

    Raises:
        StrategyError: one of them is asked for.
    """
    if asked := [name for name in SHARDING if os.environ.get(name, "").lower() in ("1", "true")]:
        raise StrategyError(
            "sharded",
            f"{asked[0]}: parameters sharded by FSDP or DeepSpeed cannot be moved and put back by a strategy here; "
            "start with plain `torchrun` (DistributedDataParallel), and with adapters where the model is large",
        )


def _sum(tensor: torch.Tensor) -> None:
    """Sum over all processes, in place. Gradients taken by `autograd.grad` pass DistributedDataParallel's hooks by."""
    distributed.all_reduce(tensor)


def _arguments(config: Config, out: Path, watched: bool) -> TrainingArguments:
    train = config.train
    every: dict[str, Any] = {"eval_strategy": "no", "save_strategy": "no"}
    if train.evaluate_every:
        every = {"save_strategy": "steps", "save_steps": train.evaluate_every, "save_total_limit": 2}
    if watched:
        every |= {"eval_strategy": "steps", "eval_steps": train.evaluate_every}
        every |= {"load_best_model_at_end": True, "metric_for_best_model": "eval_loss", "greater_is_better": False}
    on_cpu = not torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(out / CHECKPOINTS),
        per_device_train_batch_size=train.batch_size,
        gradient_accumulation_steps=train.accumulation,
        max_steps=train.steps,
        learning_rate=train.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=round(train.warmup * train.steps),
        weight_decay=train.weight_decay,
        max_grad_norm=train.gradient_norm,
        bf16=train.bfloat16,
        seed=train.seed,
        use_cpu=on_cpu,
        ddp_backend="gloo" if on_cpu and distributed.is_torchelastic_launched() else None,
        ddp_find_unused_parameters=False,
        ignore_data_skip=True,  # the sampler is told where to go on
        restore_callback_states_from_checkpoint=True,  # else patience would begin anew
        remove_unused_columns=False,
        logging_steps=min(LOG_EVERY, train.steps),
        logging_nan_inf_filter=False,
        report_to=["tensorboard"],
        disable_tqdm=True,
        log_level_replica="error",  # else further processes warn of tied weights that a checkpoint holds once
        **every,
    )


def _checkpoint(out: Path) -> Path:
    found = last_checkpoint(out)
    if found is None:
        raise TrainingError(
            "no-checkpoint",
            f"{out / CHECKPOINTS}: no checkpoint to go on from; start without --resume, with train.evaluate_every",
        )
    return found


@contextmanager
def memory_explained(config: Config) -> Iterator[None]:
    """Say which settings to change where memory does not suffice, for a step or for reading its films.

    Raises:
        TrainingError: it does not suffice.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        known = isinstance(error, torch.OutOfMemoryError | MemoryError)
        if not known and not any(words in str(error) for words in NO_MEMORY):
            raise
        train = config.train
        knobs = [
            f"halve train.batch_size ({train.batch_size}) and double train.accumulation ({train.accumulation})",
            *(["set train.gradient_checkpointing = true"] if not train.gradient_checkpointing else []),
            f"lower images.max_pixels ({config.images.max_pixels})",
            *(["lower data.kept or data.workers"] if config.data.workers else []),
        ]
        raise TrainingError("out-of-memory", f"memory does not suffice: {', or '.join(knobs)}") from error
