"""Single runs of an experiment: what one process needs for them, and the files in which each of them ends."""

import hashlib
import json
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import torch

from ...files import atomic
from ...view import Advance
from ..processor import Batch
from .cell import Bench
from .config import Comparison, Law, RowSection
from .films import films
from .task import Data, shown, tested, watched

FIRST = {"start": 0, "test": 100_000, "validate": 200_000}
"""Seed of the first film of each set; no film is in two."""
RUNS, APART = 1_000_000, 10_000
"""Seed of the first film of the first run, and how far apart runs are."""


class Run(NamedTuple):
    """One fine-tuning run: a row of the table, a seed and a learning rate."""

    row: RowSection
    seed: int
    rate: float

    @property
    def validated(self) -> str:
        """File name of its losses on the validation films, by condition."""
        return f"{self._name}.{self.rate:g}.json"

    @property
    def predictions(self) -> str:
        """File name of what it writes on the test films."""
        return f"{self._name}.predictions.jsonl"

    @property
    def losses(self) -> str:
        """File name of its losses on the test films, by condition."""
        return f"{self._name}.losses.json"

    @property
    def _name(self) -> str:
        said = self.row.model_dump(exclude={"name", "against"})
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]
        return f"{digest}-seed{self.seed}"


class Runs:
    """What all runs of a process share: the films and the start."""

    def __init__(self, comparison: Comparison, out: Path, advance: Advance) -> None:
        """Draw the films and train the start, or read those made before.

        Args:
            comparison: the experiment.
            out: its folder.
            advance: told of every film drawn and every step of the start.
        """
        torch.set_num_threads(1)  # tiny models: several threads only wait for each other
        self.comparison, self.out = comparison, out
        sizes = {"start": comparison.films.start, "test": comparison.films.test, "validate": comparison.films.validate_}
        self.films = {name: films(name, FIRST[name], number, out, advance) for name, number in sizes.items()}
        self.bench = Bench(comparison, self.films["start"], out, advance)

    def validate(self, run: Run) -> None:
        """Train, and keep the losses on the validation films."""
        model = self._trained(run)
        losses = {name: self.bench.loss(model, batch) for name, batch in self._watched(run.row.law).items()}
        self._keep(run.validated, json.dumps(losses))

    def test(self, run: Run) -> None:
        """Train, and keep the losses on the test films and the reports written on them, which come last."""
        model = self._trained(run)
        self._keep(run.losses, json.dumps(self.losses(model)))
        lines = [
            json.dumps({"model": run.row.name, "condition": name, "key": key, "text": text, "rate": run.rate})
            for name, texts in self.written(model).items()
            for key, text in zip(self.films["test"].keys, texts, strict=True)
        ]
        self._keep(run.predictions, "\n".join(lines) + "\n")

    def written(self, model: torch.nn.Module) -> dict[str, list[str]]:
        """Reports on the test films, by condition."""
        return {name: self.bench.write(model, batches) for name, batches in self._asked.items()}

    def losses(self, model: torch.nn.Module) -> dict[str, float]:
        """Nats a token of the true reports of the test films, by condition."""
        return {name: self.bench.loss(model, batch) for name, batch in self._answered.items()}

    def _trained(self, run: Run) -> torch.nn.Module:
        return self.bench.run(run.row, self._data(run.seed), run.seed, run.rate)

    def _keep(self, name: str, text: str) -> None:
        """A file is whole or not there: a stopped experiment goes on from its files."""
        with atomic(self.out / "runs" / name) as part:
            part.write_text(text, encoding="utf-8")

    @cache  # noqa: B019 - as long as the process, and a run's thumbnails are small
    def _data(self, seed: int) -> Data:
        said = self.comparison.films
        found = films(f"run{seed}", RUNS + APART * seed, said.high + said.low, self.out, lambda *_, **__: None)
        return Data(found, self.comparison, self.bench.processor, seed)

    @cached_property
    def _asked(self) -> dict[str, list[Batch]]:
        """The test films in every condition."""
        test = self.films["test"]
        return {name: self.bench.asked(grey) for name, grey in shown(test, tested(test)).items()}

    @cached_property
    def _answered(self) -> dict[str, Batch]:
        """The same films with their true reports."""
        test = self.films["test"]
        return {name: self.bench.answered(grey, test.reports) for name, grey in shown(test, tested(test)).items()}

    @cache  # noqa: B019 - as long as the process
    def _watched(self, law: Law) -> dict[str, Batch]:
        films = self.films["validate"]
        pictures = shown(films, watched(films, law))
        return {name: self.bench.answered(grey, films.reports) for name, grey in pictures.items()}
