"""The whole experiment: start, learning rates, runs; each result is a file, so that a stopped one goes on."""

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property, lru_cache
from pathlib import Path

import torch

from ...errors import SettingsError
from ...view import Advance
from ..processor import Batch
from .cell import Bench
from .config import Comparison, RowSection
from .films import films
from .table import Line, table
from .task import Data, conditions, shown

FIRST = {"train": 0, "test": 100_000, "validate": 200_000}
"""Seed of the first film of each set; no film is in two."""
Show = Callable[[str, int | None], AbstractContextManager[Advance]]


class Study:
    """An experiment and the folder of its results."""

    def __init__(self, comparison: Comparison, out: Path, progress: Show) -> None:
        """Draw the films and train the start, or read those made before.

        Raises:
            SettingsError: `out` holds results of another experiment. Rows may come and go, all else must agree.
        """
        torch.set_num_threads(1)  # tiny models: several threads only wait for each other
        self.comparison, self.out, self._progress = comparison, out, progress
        self._claim()
        sizes = {"train": comparison.films.train, "test": comparison.films.test, "validate": comparison.films.validate_}
        with progress("films", sum(sizes.values())) as advance:
            self.films = {name: films(name, FIRST[name], number, out, advance) for name, number in sizes.items()}
        with progress("clean start", comparison.pretrain.steps) as advance:
            self.bench = Bench(comparison, self.films["train"], out, advance)

    def run(self) -> list[Line]:
        """Every row: its learning rate, then its runs, seed by seed; the table of all seeds that all rows have."""
        run, rows = self.comparison.run, self.comparison.rows
        with self._progress("learning rates", len(rows) * len(run.learning_rates) * len(run.tuning_seeds)) as advance:
            rates = {row.name: self._rate(row, advance) for row in rows}
        with self._progress("runs", len(rows) * len(run.seeds)) as advance:
            for seed in run.seeds:
                for row in rows:
                    self._cell(row, seed, rates[row.name])
                    advance()
                self._write_table()
        return self.table()

    def _write_table(self) -> None:
        """What there is so far: a stopped experiment has a table of its finished seeds."""
        lines = [json.dumps(line._asdict()) for line in self.table()]
        (self.out / "table.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def table(self) -> list[Line]:
        """The table of the seeds that every row has been run with."""
        rows, seeds = self.comparison.rows, self.comparison.run.seeds
        whole = [seed for seed in seeds if all(self._path(row, seed).is_file() for row in rows)]
        predictions = {row.name: [self._read(row, seed) for seed in whole] for row in rows}
        return table(self.films["test"], predictions, self.comparison.baseline, self.comparison.run.draws)

    def _claim(self) -> None:
        path = self.out / "comparison.json"
        said = self.comparison.model_dump(exclude={"rows", "baseline"}, by_alias=True)
        said = json.loads(json.dumps(said))
        if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != said:
            raise SettingsError(f"{self.out}: holds results of other films, sizes or seeds; name a new --out")
        (self.out / "runs").mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(said, indent=1), encoding="utf-8")

    def _path(self, row: RowSection, seed: int, rate: float | None = None) -> Path:
        said = row.model_dump(exclude={"name"})
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]
        suffix = "predictions.jsonl" if rate is None else f"{rate:g}.json"
        return self.out / "runs" / f"{digest}-seed{seed}.{suffix}"

    @lru_cache(maxsize=1)  # noqa: B019 - one study a process; a run's patches are large
    def _data(self, seed: int) -> Data:
        return Data(self.films["train"], self.comparison, self.bench.processor, seed)

    def _rate(self, row: RowSection, advance: Advance) -> float:
        """The learning rate with the least loss on validate, over clean, low and held-out defects alike."""
        rates = self.comparison.run.learning_rates
        if len(rates) == 1:
            return rates[0]
        losses: dict[float, float] = {}
        for rate in rates:
            losses[rate] = 0.0
            for seed in self.comparison.run.tuning_seeds:
                path = self._path(row, seed, rate)
                if not path.is_file():
                    model = self.bench.run(row, self._data(seed), seed, rate)
                    path.write_text(json.dumps(self._validated(model)), encoding="utf-8")
                found = json.loads(path.read_text(encoding="utf-8"))
                losses[rate] += sum(found.values()) / len(found)
                advance()
        return min(losses, key=losses.__getitem__)

    def _validated(self, model: torch.nn.Module) -> dict[str, float]:
        return {name: self.bench.loss(model, batch) for name, batch in self._watched.items()}

    def _cell(self, row: RowSection, seed: int, rate: float) -> None:
        path = self._path(row, seed)
        if path.is_file():
            return
        model = self.bench.run(row, self._data(seed), seed, rate)
        test = self.films["test"]
        lines: list[str] = []
        for name, batches in self._asked.items():
            texts = self.bench.write(model, batches)
            lines += [
                json.dumps({"model": row.name, "condition": name, "key": key, "text": text, "rate": rate})
                for key, text in zip(test.keys, texts, strict=True)
            ]
        partial = path.with_suffix(".partial")
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
        partial.rename(path)

    @cached_property
    def _asked(self) -> dict[str, list[Batch]]:
        """The test films in every condition."""
        test = self.films["test"]
        return {name: self.bench.asked(grey) for name, grey in shown(test, conditions(test, test=True)).items()}

    @cached_property
    def _watched(self) -> dict[str, Batch]:
        watched = self.films["validate"]
        pictures = shown(watched, conditions(watched, test=False))
        return {name: self.bench.answered(grey, watched.reports) for name, grey in pictures.items()}

    def _read(self, row: RowSection, seed: int) -> dict[str, list[str]]:
        """Reports by condition, in the films' order."""
        found: dict[str, list[str]] = {}
        for line in self._path(row, seed).read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            found.setdefault(record["condition"], []).append(record["text"])
        return found
