"""The whole experiment: start, learning rates, runs; each result is a file, so that a stopped one goes on."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache, cached_property, partial
from itertools import chain, takewhile
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

from ...errors import SettingsError
from ...files import write_json
from ...view import Progress
from .config import Comparison, RowSection
from .films import NORMAL
from .runs import Run, Runs
from .table import Line, Scores, score, table

FIRST_RUNS = 3
"""Runs that every row has before any row has more."""
START, NORMALS = "start, not fine-tuned", "no disease, always"
"""Rows without runs: what fine-tuning starts from, and what a model that sees nothing would score."""
Way = Literal["validate", "test"]


class Study:
    """An experiment and the folder of its results."""

    def __init__(self, comparison: Comparison, out: Path, progress: Progress) -> None:
        """Draw the films and train the start, or read those made before.

        Raises:
            SettingsError: `out` holds results of another experiment. Rows may come and go, all else must agree.
        """
        self.comparison, self.out, self._progress = comparison, out, progress
        self._claim()
        films, steps = comparison.films, comparison.pretrain.steps
        with progress("films and clean start", films.start + films.test + films.validate_ + steps) as advance:
            self._runs = Runs(comparison, out, advance)

    def run(self, workers: int) -> list[Line]:
        """Learning rates, then the first runs of every row, then all other runs: a stopped experiment has a bit of all.

        Args:
            workers: processes that train at once, each on one core.
        """
        plan, rows = self.comparison.run, self._rows
        tuned = [Run(row, seed, rate) for row in rows for rate in self._grid for seed in plan.tuning_seeds]
        with self._progress("runs", len(tuned) + len(rows) * len(plan.seeds)) as advance, _processes(workers) as pool:
            for _ in self._done(pool, "validate", tuned):
                advance()
            rates = {row.name: self._rate(row) for row in rows}
            seeds = plan.seeds[:FIRST_RUNS], plan.seeds[FIRST_RUNS:]
            runs = [Run(row, seed, rates[row.name]) for some in seeds for row in rows for seed in some]
            for _ in self._done(pool, "test", runs):
                advance()
                self._write_table()
        return self.table()

    def _done(self, pool: Executor, way: Way, runs: Sequence[Run]) -> Iterator[None]:
        """Do the runs whose files are missing; the others count as done at once."""
        missing = [run for run in runs if not self._file(run, way).is_file()]
        there: list[None] = [None] * (len(runs) - len(missing))
        told = self.comparison.model_dump_json(by_alias=True)
        return chain(there, pool.map(partial(_do, told, self.out, way), missing))

    def _file(self, run: Run, way: Way) -> Path:
        return self.out / "runs" / (run.validated if way == "validate" else run.predictions)

    @property
    def _rows(self) -> list[RowSection]:
        """The row that most others are compared with comes first."""
        return sorted(self.comparison.rows, key=lambda row: row.name != self.comparison.baseline)

    @property
    def _grid(self) -> tuple[float, ...]:
        """Learning rates to choose from."""
        rates = self.comparison.run.learning_rates
        return rates if len(rates) > 1 else ()

    def _rate(self, row: RowSection) -> float:
        """The learning rate with the least loss on validate, over clean, low and held-out defects alike."""
        if not self._grid:
            return self.comparison.run.learning_rates[0]
        return min(self._grid, key=lambda rate: self._validated(row, rate))

    def _validated(self, row: RowSection, rate: float) -> float:
        runs = [Run(row, seed, rate) for seed in self.comparison.run.tuning_seeds]
        losses = [json.loads(self._file(run, "validate").read_text(encoding="utf-8")).values() for run in runs]
        return sum(sum(each) / len(each) for each in losses)

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
        runs = [Run(row, seed, self._rate(row)) for seed in self.comparison.run.seeds]
        return [self._scored(run) for run in takewhile(lambda run: self._file(run, "test").is_file(), runs)]

    @cached_property
    def _floors(self) -> dict[str, Scores]:
        start, test = self._runs.bench.fresh().eval(), self._runs.films["test"]
        written = self._runs.written(start)
        normal = {name: [NORMAL] * len(texts) for name, texts in written.items()}
        return {START: score(test, written, self._runs.losses(start)), NORMALS: score(test, normal, {})}

    @cache  # noqa: B019 - one study a process, and a score is small
    def _scored(self, run: Run) -> Scores:
        found: dict[str, list[str]] = {}
        for line in self._file(run, "test").read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            found.setdefault(record["condition"], []).append(record["text"])
        losses = (self.out / "runs" / run.losses).read_text(encoding="utf-8")
        return score(self._runs.films["test"], found, json.loads(losses))

    def _claim(self) -> None:
        path = self.out / "comparison.json"
        said = self.comparison.model_dump(exclude={"rows", "baseline"}, by_alias=True)
        said = json.loads(json.dumps(said))
        if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != said:
            raise SettingsError(f"{self.out}: holds results of other films, sizes or seeds; name a new --out")
        (self.out / "runs").mkdir(parents=True, exist_ok=True)
        write_json(path, said)


@contextmanager
def _processes(workers: int) -> Iterator[Executor]:
    """Processes for runs; what has not begun when the experiment is stopped is left for the next time."""
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _do(told: str, out: Path, way: Way, run: Run) -> None:
    runs = _here(told, out)
    if way == "validate":
        runs.validate(run)
    else:
        runs.test(run)


@cache
def _here(told: str, out: Path) -> Runs:
    """What this process has read before its first run."""
    return Runs(Comparison.model_validate_json(told), out, lambda *_, **__: None)
