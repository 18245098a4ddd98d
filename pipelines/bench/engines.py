"""`lrrg bench engines`: what a cluster's engine costs beside the local one, and how fast its one writer merges."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from ...agent.policy import load
from ..annotate import recipe_of
from ..bench_sql import fill
from ..errors import SettingsError
from ..recipe import begin_run
from ..records import CatalogRow
from ..settings import Settings
from ..store import Store, shard_files
from .annotate import COMMAND, MEGA, draw_films, link_films
from .processes import Cost, cost

HEIGHT = 764
"""Rows of the phantoms, a quarter of MIMIC-CXR-JPG's: the less an image takes, the more an engine's share shows."""
ENGINES = ("local", "ray")
DERIVE_ALL = "INSERT INTO label FROM derived('verdict')"


class EngineCost(NamedTuple):
    """One engine: CPU, the ratio to the first, and the driver's peak memory in both halves of the run."""

    engine: str
    start_up_s: float
    image_ms: float
    ratio: float
    driver_mb_first_half: float
    driver_mb_second_half: float


class Merged(NamedTuple):
    """Shard files merged into a database of that many images, and how much of it is the labels that follow."""

    shards: int
    rows: int
    seconds: float
    cpu_s: float
    labels_s: float
    labels_cpu_s: float


def bench_engines(settings: Settings, images: int) -> list[EngineCost]:
    """Annotate the same phantoms with every engine, in fresh processes on this machine.

    The cost of an image is that of the whole run beyond one that gives every worker one image, divided by the images
    between them: processes that start once are out, what a task costs is in.

    Raises:
        SettingsError: a run under measurement failed.
    """
    with TemporaryDirectory(prefix="lrrg-bench-") as scratch:
        folder = Path(scratch)
        paths = link_films(draw_films(folder / "phantoms", HEIGHT), folder / "films", images)
        runs = {engine: _runs(engine, folder / f"{engine}.duckdb", paths, settings) for engine in ENGINES}
    more = images - 2 * settings.annotate.workers
    each = {engine: (rest.seen - first.seen) / more for engine, (first, rest) in runs.items()}
    return [
        EngineCost(
            engine,
            first.seen - each[engine] * settings.annotate.workers,
            each[engine] * 1e3,
            each[engine] / each[ENGINES[0]],
            rest.peak("main", (0.0, 0.5))[0] / MEGA,
            rest.peak("main", (0.5, 1.0))[0] / MEGA,
        )
        for engine, (first, rest) in runs.items()
    ]


def bench_merge(settings: Settings, rows: int, shards: int) -> Merged:
    """Cut random verdicts into shard files, and merge these into a database that has none of them yet.

    The labels are then derived once more, alone: what is left of the merge is reading, checking and storing.
    """
    recipe = recipe_of(load(settings.agent.policy))
    with TemporaryDirectory(prefix="lrrg-bench-") as scratch:
        db = Path(scratch) / "bench.duckdb"
        with Store.open(db) as store:
            fill(store, recipe, rows)
            store.start_run(replace(begin_run(recipe, {}), run_id="bench"))
            _cut(store, Path(scratch), shards)
        with Store.open(db) as store:  # as a driver that has just begun
            merge = _spent(lambda: store.merge_shards(shard_files(Path(scratch))))
            (merged,) = store.query("SELECT count(*) FROM labels").rows[0]
            store.query("TRUNCATE label")
            labels = _spent(lambda: store.query(DERIVE_ALL))
            return Merged(shards, merged, *merge, *labels)


def _spent(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock, and of processors."""
    began, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - cpu


def _cut(store: Store, folder: Path, shards: int) -> None:
    """Move the verdicts out of the database into shard files."""
    store.query(f"CREATE TEMP TABLE cut AS SELECT *, row_number() OVER () % {shards} AS part FROM verdict")
    for part in range(shards):
        path = folder / f"verdicts-bench-{part}.parquet"
        store.query(f"COPY (SELECT * EXCLUDE part FROM cut WHERE part = {part}) TO '{path}' (COMPRESSION zstd)")
    store.query("TRUNCATE verdict")


def _runs(engine: str, db: Path, paths: Sequence[Path], settings: Settings) -> tuple[Cost, Cost]:
    """Cost of a run that gives every worker one image, and of the run on all others."""
    with Store.open(db) as store:
        store.add_images(paths[0].parent, [CatalogRow(path.stem, path.name) for path in paths])
    workers = str(settings.annotate.workers)
    command = [sys.executable, "-c", COMMAND, "annotate", "--db", str(db), "--policy", settings.agent.policy]
    command += ["--engine", engine, "--workers", workers]
    alone = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    runs = cost([*command, "--limit", workers], alone), cost(command, alone)
    for run in runs:
        if run.exit_code:
            raise SettingsError(f"the run under measurement ended with {run.exit_code}; its message is above")
    return runs
