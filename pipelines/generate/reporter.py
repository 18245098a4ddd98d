"""Reports of a model in this process, by transformers."""

from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2_5_VLForConditionalGeneration
from transformers.utils.logging import disable_progress_bar

from ..finetune.flat import flatten_patch_embedding
from ..finetune.processor import Asked, Processor
from ..finetune.train import spare_threads
from .predictions import Written
from .prepared import Job


class Reporter:
    """A model of a folder, ready to write."""

    def __init__(self, folder: Path, max_pixels: int | None = None) -> None:
        """Load weights, tokenizer and picture sizes; a GPU is used where there is one."""
        disable_progress_bar()
        device = "cuda" if torch.cuda.is_available() else "cpu"
        # transformers types `generate` for no class in particular.
        self._model: Any = flatten_patch_embedding(
            Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype="auto")
        )
        self._model.eval().to(device)
        spare_threads(self._model)
        self.processor = Processor.of_folder(folder, max_pixels)

    def report(self, job: Job, *, batch_size: int, max_tokens: int) -> None:
        """Write the reports of a job, greedily, a batch at a time.

        Args:
            job: its films are at the processor's sizes.
            batch_size: films a batch.
            max_tokens: of a report.
        """
        while not job.over() and (batch := list(islice(job.films, batch_size))):
            texts = self._write([self.processor.row(job.ask(each), each.film) for each in batch], max_tokens)
            job.take([Written(each.row["case_id"], *written) for each, written in zip(batch, texts, strict=True)])

    @torch.inference_mode()
    def _write(self, rows: list[Asked], max_tokens: int) -> list[tuple[str, str]]:
        batch = self.processor.batch(rows, left=True)
        given = {name: tensor.to(self._model.device) for name, tensor in batch.items() if name != "labels"}
        given["pixel_values"] = given["pixel_values"].to(self._model.dtype)
        # Published models bring sampling settings of their own; a benchmark's reports are the likeliest tokens.
        tokens = self._model.generate(
            **given, max_new_tokens=max_tokens, do_sample=False, repetition_penalty=1.0, temperature=None, top_k=None
        )
        new = tokens[:, batch["input_ids"].shape[1] :]
        return [self._text(each) for each in new.tolist()]

    def _text(self, tokens: list[int]) -> tuple[str, str]:
        ends = self._model.generation_config.eos_token_id
        known = ends if isinstance(ends, list) else [ends]
        stop = next((place for place, token in enumerate(tokens) if token in known), None)
        text = self.processor.tokenizer.decode(tokens[:stop], skip_special_tokens=True)
        return str(text).strip(), "length" if stop is None else "stop"
