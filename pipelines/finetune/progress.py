"""What a run tells and keeps while it goes: progress, a log of JSON lines, and the state of our own in checkpoints."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from ..files import atomic
from ..view import Advance
from .dualloop import Strategy

LOG = "log.jsonl"
CHECKPOINTS, STATE = "checkpoints", "strategy.pt"
UNTRUE = {"epoch", "total_flos"}
"""Of the Trainer's figures: draws have no end, and a strategy's passes are not counted."""


def last_checkpoint(out: Path) -> Path | None:
    """The newest whole checkpoint of a run; one that was being written when the run was killed lacks `STATE`."""
    whole = (path.parent for path in (out / CHECKPOINTS).glob(f"{PREFIX_CHECKPOINT_DIR}-*/{STATE}"))
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


class OwnState(TrainerCallback):
    """Keeps strategy and sampler in every checkpoint."""

    def __init__(self, strategy: Strategy, sampler: Any, accumulation: int) -> None:
        self.strategy, self.sampler, self.accumulation = strategy, sampler, accumulation

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **unused: Any) -> None:
        """Write beside the Trainer's own files, last and at once: what has it is whole."""
        if not state.is_world_process_zero:
            return
        # Readers run ahead of training: what counts is what was trained on.
        sampler = {**self.sampler.state_dict(), "step": state.global_step * self.accumulation}
        folder = Path(str(args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}"
        with atomic(folder / STATE) as part:
            torch.save({"strategy": self.strategy.state_dict(), "sampler": sampler}, part)

    def load(self, checkpoint: Path) -> None:
        """Go on from a checkpoint."""
        found = torch.load(checkpoint / STATE, weights_only=True)
        self.strategy.load_state_dict(found["strategy"])
        self.sampler.load_state_dict(found["sampler"])


class JsonLines(TrainerCallback):
    """Writes every log as a line of JSON; lines cut off or after the checkpoint that a run goes on from are dropped."""

    def __init__(self, out: Path) -> None:
        self.path = out / LOG

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **unused: Any
    ) -> None:
        """Start the file, or cut it back to where the run goes on."""
        if not state.is_world_process_zero:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = self.path.read_text(encoding="utf-8").splitlines(keepends=True) if self.path.is_file() else []
        whole = [line for line in lines if line.endswith("\n") and state.global_step]
        kept = [line for line in whole if json.loads(line)["step"] <= state.global_step]
        self.path.write_text("".join(kept), encoding="utf-8")

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **unused: Any,
    ) -> None:
        """Append a line."""
        if state.is_world_process_zero:
            told = {name: value for name, value in (logs or {}).items() if name not in UNTRUE}
            with self.path.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"step": state.global_step, **told}) + "\n")


class Progress(TrainerCallback):
    """Tells of every step."""

    def __init__(self, advance: Advance) -> None:
        self.advance = advance

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **unused: Any
    ) -> None:
        """Count the steps of the checkpoint that the run goes on from."""
        if state.global_step:
            self.advance(state.global_step)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **unused: Any) -> None:
        """Count one step."""
        self.advance()
