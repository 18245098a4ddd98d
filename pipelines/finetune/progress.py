"""What a run tells and keeps while it goes: progress, a log of JSON lines, and the state of our own in checkpoints."""

import json
from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ..view import Advance
from .dualloop import Strategy

LOG = "log.jsonl"
STATE = "strategy.pt"


class OwnState(TrainerCallback):
    """Keeps strategy and sampler in every checkpoint."""

    def __init__(self, strategy: Strategy, sampler: Any, accumulation: int) -> None:
        self.strategy, self.sampler, self.accumulation = strategy, sampler, accumulation

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **unused: Any) -> None:
        """Write beside the Trainer's own files."""
        if not state.is_world_process_zero:
            return
        # Readers run ahead of training: what counts is what was trained on.
        sampler = {**self.sampler.state_dict(), "step": state.global_step * self.accumulation}
        path = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}" / STATE
        torch.save({"strategy": self.strategy.state_dict(), "sampler": sampler}, path)

    def load(self, checkpoint: Path) -> None:
        """Go on from a checkpoint."""
        found = torch.load(checkpoint / STATE, weights_only=True)
        self.strategy.load_state_dict(found["strategy"])
        self.sampler.load_state_dict(found["sampler"])


class JsonLines(TrainerCallback):
    """Writes every log as a line of JSON; lines after the checkpoint that a run goes on from are dropped."""

    def __init__(self, out: Path) -> None:
        self.path = out / LOG

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **unused: Any
    ) -> None:
        """Start the file, or cut it back to where the run goes on."""
        if not state.is_world_process_zero:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else []
        kept = [line for line in lines if json.loads(line)["step"] <= state.global_step]
        self.path.write_text("".join(f"{line}\n" for line in kept if state.global_step), encoding="utf-8")

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
            with self.path.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"step": state.global_step, **(logs or {})}) + "\n")


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
