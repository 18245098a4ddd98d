"""`lrrg bench engines`: what a cluster's engine costs beside the local one, and how fast its one writer merges."""

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from ...agent.policy import load
from ..annotate.stage import recipe_of
from ..errors import SettingsError
from ..files import sha256
from ..recipe import begin_run
from ..records import SHARD_IMAGES, CatalogRow
from ..settings import Settings
from ..store import Store, shard_files
from .annotate import MEGA, annotating, draw_films, link_films, measured
from .processes import Cost
from .sql import fill

HEIGHT = 764
"""Rows of the phantoms, a quarter of MIMIC-CXR-JPG's: the less an image takes, the more an engine's share shows."""
ENGINES = ("local", "ray")
LOOKS = 8
COPIES = {
    "copy without key": "CREATE TABLE copy AS FROM {files}",
    "of that: measures": "CREATE TABLE copy AS SELECT measures FROM {files}",
    "of that: values of measures, without names": "CREATE TABLE copy AS SELECT map_values(measures) FROM {files}",
    "of that: hashes of file and film": "CREATE TABLE copy AS SELECT sha256, fingerprint FROM {files}",
    "of that: label": """
        CREATE TABLE copy AS
        SELECT regime, quality, noise, blur, exposure, collimation, positioning, artifact, defects FROM {files}
    """,
    "of that: judge": """
        CREATE TABLE copy AS
        SELECT judge_why, judge, judge_confidence, judge_steps, settled, rulings, again, judge_reply FROM {files}
    """,
    "only counted": "SELECT count(*) FROM {files}",
}
"""What `bench_merge` times beside the merge, each in a database of its own."""


class EngineCost(NamedTuple):
    """One engine: CPU, the ratio to the first, and the driver's peak memory in both halves of the run."""

    engine: str
    start_up_s: float
    image_ms: float
    ratio: float
    driver_mb_first_half: float
    driver_mb_second_half: float


class Driver(NamedTuple):
    """Largest memory of a cluster's driver in one quarter of a run, and what was merged by its end."""

    quarter: int
    images: int
    shards: int
    resident_mb: float
    unique_mb: float
    """Its own pages alone: without what it shares with the cluster's object store."""


class Merged(NamedTuple):
    """What was done with shard files of so many verdicts: the merge itself, then what parts of it take alone."""

    what: str
    shards: int
    rows: int
    seconds: float
    cpu_s: float


class Kept(NamedTuple):
    """Memory of a process that has merged so many tasks' files one by one; in the last row it closed the database."""

    shards: int
    rows: int
    resident_mb: float
    peak_mb: float
    """Since the row before."""
    key_mb: float
    """What of it are the keys of images and verdicts, which DuckDB keeps there whole."""


def bench_engines(settings: Settings, images: int) -> list[EngineCost]:
    """Annotate the same phantoms with every engine, in fresh processes on this machine.

    The cost of an image is that of the whole run beyond one that gives every worker one image, divided by the images
    between them: processes that start once are out, what a task costs is in.

    Raises:
        SettingsError: fewer than four images a worker, or a run under measurement failed.
    """
    more = images - 2 * settings.annotate.workers
    if more < images / 2:
        raise SettingsError(f"{images} images are too few for {settings.annotate.workers} workers; --images 2000")
    with TemporaryDirectory(prefix="lrrg-bench-") as scratch:
        folder = Path(scratch)
        paths = link_films(draw_films(folder / "phantoms", HEIGHT), folder / "films", images)
        runs = {engine: _runs(engine, folder / f"{engine}.duckdb", paths, settings) for engine in ENGINES}
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


def bench_driver(settings: Settings, images: int) -> list[Driver]:
    """Have a cluster of this machine decide anew on readings that are stored, so that little but the driver is at work.

    Raises:
        SettingsError: the run under measurement failed.
    """
    policy = load(settings.agent.policy)
    with TemporaryDirectory(prefix="lrrg-bench-") as scratch:
        db, other = Path(scratch) / "bench.duckdb", Path(scratch) / "policy.json"
        other.write_text(policy.model_copy(update={"version": policy.version + 1}).text(), encoding="utf-8")
        with Store.open(db) as store:
            store.add_images(Path(scratch), [])
            fill(store, recipe_of(policy), images)
        run = measured(annotating(db, str(other), settings, "ray"), _alone())
        with Store.open(db, read_only=True) as store:
            merged = store.query(_PROGRESS).rows
    return [
        Driver(each + 1, images, shards, *(size / MEGA for size in run.peak("main", (each / 4, (each + 1) / 4))))
        for each, (images, shards) in enumerate(merged)
    ]


_PROGRESS = """
WITH shard AS (
    SELECT verdicts, epoch(ingested_at - started_at) / epoch(ended_at - started_at) AS share
    FROM ingested_shard, run
)
SELECT coalesce(sum(verdicts), 0), count(verdicts)
FROM range(1, 5) AS quarter(number) LEFT JOIN shard ON share <= number / 4
GROUP BY number
ORDER BY number
"""


def bench_merge(settings: Settings, rows: int, shards: int) -> list[Merged]:
    """Cut random verdicts into shard files, and merge these into a database that has none of them yet.

    Then only copy them, whole and column by column, into tables that have neither key nor ledger: what no merge can
    take less than, as long as these columns are stored.
    """
    recipe = recipe_of(load(settings.agent.policy))
    with TemporaryDirectory(prefix="lrrg-bench-") as scratch:
        db = Path(scratch) / "bench.duckdb"
        with Store.open(db) as store:
            fill(store, recipe, rows)
            store.start_run(replace(begin_run(recipe, {}), run_id="bench"))
            _cut(store, Path(scratch), shards)
        return list(merged_and_copied(db))


def merged_and_copied(db: Path) -> Iterator[Merged]:
    """Time the merge of the shard files beside a database into it, and the copies of their columns."""
    paths = shard_files(db.parent)
    with Store.open(db) as store:
        rows, *spent = _timed(lambda: store.merge_shards(paths))
    yield Merged("merge", len(paths), rows, *spent)
    bare = db.with_name("bare.duckdb")
    for what, sql in COPIES.items():
        with Store.open(bare) as store:
            store.query("SET preserve_insertion_order = false")
            copied = sql.format(files=f"'{db.parent}/verdicts-*.parquet'")
            _, *spent = _timed(lambda store=store, sql=copied: store.query(sql))
        bare.unlink()
        yield Merged(what, len(paths), rows, *spent)


def bench_memory(settings: Settings, rows: int) -> list[Kept]:
    """Merge files of full tasks one by one into a database as a cluster's driver does, and close it."""
    recipe = recipe_of(load(settings.agent.policy))
    with TemporaryDirectory(prefix="lrrg-bench-") as scratch:
        db = Path(scratch) / "bench.duckdb"
        with Store.open(db) as store:
            fill(store, recipe, rows)
            store.start_run(replace(begin_run(recipe, {}), run_id="bench"))
            _cut(store, Path(scratch), math.ceil(rows / SHARD_IMAGES))
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as fresh:
            return fresh.submit(_one_by_one, db).result()


def _one_by_one(db: Path) -> list[Kept]:
    seen, merged = list[Kept](), 0
    paths = shard_files(db.parent)
    with Store.open(db, bounded=True) as store:
        for number, path in enumerate(paths, 1):
            merged += store.merge_shards([path])
            if number % math.ceil(len(paths) / LOOKS) == 0 or number == len(paths):
                seen.append(Kept(number, merged, *_resident(), store.query(_KEY).rows[0][0] / MEGA))
    return [*seen, Kept(len(paths), merged, *_resident(), 0.0)]


_KEY = "SELECT memory_usage_bytes FROM duckdb_memory() WHERE tag = 'ART_INDEX'"


def _resident() -> tuple[float, float]:
    """Resident memory of this process in MB, now and at most since it was last asked."""
    lines = Path("/proc/self/status").read_text().splitlines()
    sizes = dict(line.split(":", 1) for line in lines)
    now, most = (int(sizes[name].split()[0]) * 1024 / MEGA for name in ("VmRSS", "VmHWM"))
    Path("/proc/self/clear_refs").write_text("5")  # Linux begins a new peak
    return now, most


def _timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """What the work gives, and its seconds by the clock and of processors, once the disk has all that came before."""
    os.sync()
    began, cpu = time.perf_counter(), time.process_time()
    return work(), time.perf_counter() - began, time.process_time() - cpu


def _cut(store: Store, folder: Path, shards: int) -> None:
    """Move the verdicts out of the database into shard files."""
    store.query(f"CREATE TEMP TABLE cut AS SELECT *, row_number() OVER () % {shards} AS part FROM verdict")
    for part in range(shards):
        path = folder / f"{part}.parquet"
        store.query(_CUT.format(part=part, path=path))
        path.rename(folder / f"verdicts-bench-{sha256(path)[:16]}.parquet")
    store.query("TRUNCATE verdict")


_CUT = """
COPY (SELECT * EXCLUDE (part, image_number, recipe_number) FROM cut WHERE part = {part}) TO '{path}' (COMPRESSION zstd)
"""


def _runs(engine: str, db: Path, paths: Sequence[Path], settings: Settings) -> tuple[Cost, Cost]:
    """Cost of a run that gives every worker one image, and of the run on all others."""
    with Store.open(db) as store:
        store.add_images(paths[0].parent, [CatalogRow(path.stem, path.name) for path in paths])
    workers = str(settings.annotate.workers)
    command = annotating(db, settings.agent.policy, settings, engine)
    return measured([*command, "--limit", workers], _alone()), measured(command, _alone())


def _alone() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
