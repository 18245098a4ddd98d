"""The whole experiment: start, learning rates, runs; each result is a file, so that a stopped one goes on."""

import hashlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache, cached_property
from itertools import takewhile
from pathlib import Path

import torch

from ...errors import SettingsError
from ...view import Advance
from ..processor import Batch
from .cell import Bench
from .config import Comparison, Law, RowSection
from .films import NORMAL, films
from .table import Line, Scores, score, table
from .task import Data, shown, tested, watched

FIRST = {"start": 0, "test": 100_000, "validate": 200_000}
"""Seed of the first film of each set; no film is in two."""
RUNS, APART = 1_000_000, 10_000
"""Seed of the first film of the first run, and how far apart runs are."""
FIRST_RUNS = 3
"""Runs that every row has before any row has more."""
START, NORMALS = "start, not fine-tuned", "no disease, always"
"""Rows without runs: what fine-tuning starts from, and what a model that sees nothing would score."""
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
        sizes = {"start": comparison.films.start, "test": comparison.films.test, "validate": comparison.films.validate_}
        with progress("films", sum(sizes.values())) as advance:
            self.films = {name: films(name, FIRST[name], number, out, advance) for name, number in sizes.items()}
        with progress("clean start", comparison.pretrain.steps) as advance:
            self.bench = Bench(comparison, self.films["start"], out, advance)

    def run(self) -> list[Line]:
        """Row by row its learning rate and first runs, then all other runs: a stopped experiment has a bit of all."""
        run, rows = self.comparison.run, self.comparison.rows
        tuning = len(run.learning_rates) * len(run.tuning_seeds) if len(run.learning_rates) > 1 else 0
        with self._progress("runs", len(rows) * (tuning + len(run.seeds))) as advance:
            rates: dict[str, float] = {}
            for seeds in (run.seeds[:FIRST_RUNS], run.seeds[FIRST_RUNS:]):
                for row in sorted(rows, key=lambda row: row.name != self.comparison.baseline):
                    if row.name not in rates:
                        rates[row.name] = self._rate(row, advance)
                    for seed in seeds:
                        self._cell(row, seed, rates[row.name])
                        advance()
                    self._write_table()
        return self.table()

    def _write_table(self) -> None:
        """What there is so far: a stopped experiment has a table of its finished rows."""
        lines = [json.dumps(line._asdict()) for line in self.table()]
        (self.out / "table.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def table(self) -> list[Line]:
        """The table of the rows with their first runs so far, and of the two rows that need no run."""
        seeds = self.comparison.run.seeds
        scores = {row.name: self._finished(row) for row in self.comparison.rows}
        scores = {name: each for name, each in scores.items() if len(each) >= min(FIRST_RUNS, len(seeds))}
        scores |= {name: [each] * len(seeds) for name, each in self._floors.items()}
        opponents = {START: self.comparison.baseline, NORMALS: self.comparison.baseline, **self.comparison.opponents}
        return table({name: each for name, each in scores.items() if opponents[name] in scores}, opponents)

    def _finished(self, row: RowSection) -> list[Scores]:
        paths = [self._path(row, seed) for seed in self.comparison.run.seeds]
        return [self._scored(path) for path in takewhile(Path.is_file, paths)]

    @cached_property
    def _floors(self) -> dict[str, Scores]:
        start = self.bench.fresh().eval()
        test = self.films["test"]
        written = {name: self.bench.write(start, batches) for name, batches in self._asked.items()}
        normal = {name: [NORMAL] * len(texts) for name, texts in written.items()}
        return {START: score(test, written, self._losses(start)), NORMALS: score(test, normal, {})}

    @cache  # noqa: B019 - one study a process, and a score is small
    def _scored(self, path: Path) -> Scores:
        found: dict[str, list[str]] = {}
        for line in path.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            found.setdefault(record["condition"], []).append(record["text"])
        return score(self.films["test"], found, json.loads(_losses_of(path).read_text(encoding="utf-8")))

    def _claim(self) -> None:
        path = self.out / "comparison.json"
        said = self.comparison.model_dump(exclude={"rows", "baseline"}, by_alias=True)
        said = json.loads(json.dumps(said))
        if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != said:
            raise SettingsError(f"{self.out}: holds results of other films, sizes or seeds; name a new --out")
        (self.out / "runs").mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(said, indent=1), encoding="utf-8")

    def _path(self, row: RowSection, seed: int, rate: float | None = None) -> Path:
        said = row.model_dump(exclude={"name", "against"})
        digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]
        suffix = "predictions.jsonl" if rate is None else f"{rate:g}.json"
        return self.out / "runs" / f"{digest}-seed{seed}.{suffix}"

    @cache  # noqa: B019 - one study a process, and a run's thumbnails are small
    def _data(self, seed: int) -> Data:
        said = self.comparison.films
        found = films(f"run{seed}", RUNS + APART * seed, said.high + said.low, self.out, lambda *_, **__: None)
        return Data(found, self.comparison, self.bench.processor, seed)

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
                    path.write_text(json.dumps(self._validated(model, row.law)), encoding="utf-8")
                found = json.loads(path.read_text(encoding="utf-8"))
                losses[rate] += sum(found.values()) / len(found)
                advance()
        return min(losses, key=losses.__getitem__)

    def _validated(self, model: torch.nn.Module, law: Law) -> dict[str, float]:
        return {name: self.bench.loss(model, batch) for name, batch in self._watched(law).items()}

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
        _losses_of(path).write_text(json.dumps(self._losses(model)), encoding="utf-8")
        partial = path.with_suffix(".partial")
        partial.write_text("\n".join(lines) + "\n", encoding="utf-8")
        partial.rename(path)

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

    def _losses(self, model: torch.nn.Module) -> dict[str, float]:
        return {name: self.bench.loss(model, batch) for name, batch in self._answered.items()}

    @cache  # noqa: B019 - one study a process
    def _watched(self, law: Law) -> dict[str, Batch]:
        films = self.films["validate"]
        pictures = shown(films, watched(films, law))
        return {name: self.bench.answered(grey, films.reports) for name, grey in pictures.items()}


def _losses_of(predictions: Path) -> Path:
    return predictions.with_name(predictions.name.replace("predictions.jsonl", "losses.json"))
