"""`lrrg bench scale`: measure what a run is made of, forecast runs from that, and hold them against real ones."""

import asyncio
import math
import os
import platform
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from ...agent.policy import load
from ...agent.state import ImageRef, Verdict
from ..annotate.stage import recipe_of
from ..engines.batch import Batch
from ..engines.inspecting import look
from ..engines.judging import cut_of, identify, prompt_of
from ..engines.outcome import Outcome
from ..engines.pool import Pool
from ..engines.task import SHARDS_PER_CPU, finish
from ..engines.together import together
from ..engines.unit import Job, run_shard
from ..engines.worker import Work, opened, read
from ..errors import SettingsError
from ..recipe import begin_run
from ..records import CatalogRow
from ..scale.parts import Parts, mean
from ..scale.simulate import Forecast, Hardware, cluster_run, local_run
from ..serving.models import LARGE
from ..settings import ReadSettings, Settings
from ..store import ShardWriter, Store
from .annotate import annotating, draw_films, link_films
from .idle import IdleClock, cores
from .replay import asking, dry_server, only_judge, recorded, replay

Clock = Callable[[], float]
SAMPLE = 24
"""Films that are measured one by one."""
RUNS = 2
"""Of each engine, on the films that are forecast."""
REQUESTS = 192
"""To a judge whose rate is measured."""
ROWS = 1024
"""Verdicts whose writing and merging is timed: those of a full task."""


class Check(NamedTuple):
    """Real runs against their forecast, in mean seconds."""

    engine: str
    images: int
    forecast: float
    measured: float
    """Without what others took from the machine meanwhile."""
    wall: float
    ratio: float


def bench_scale(settings: Settings, images: int, engines: Sequence[str]) -> tuple[Parts, list[Check]]:
    """Measure the parts on some films and run `images` others on each engine, in turns, and compare the means.

    A machine's speed drifts within minutes, and its runs differ: parts are measured before, between and after the runs.
    A judge of the settings is measured too, and asked about every film of the runs; it needs cores of its own.

    Raises:
        SettingsError: a run under measurement failed, or there are several judges, or one not of plain HTTP.
        JudgeUnavailable: the judge cannot be reached.
    """
    if settings.judge.urls:
        settings = asking(settings, only_judge(settings))
    judge = identify(settings)
    alone = settings.model_copy(update={"judge": settings.judge.model_copy(update={"urls": ()})})
    measured, rates = list[Parts](), list[float]()
    runs: dict[str, list[tuple[float, float]]] = {engine: [] for engine in engines}
    with TemporaryDirectory(prefix="lrrg-scale-") as scratch:
        films = draw_films(Path(scratch) / "phantoms")
        for number in range(RUNS):
            folder = Path(scratch) / f"{number}"
            measured.append(measure_parts(folder / "parts", films, alone, judge, engines))
            rates += [asyncio.run(_judge_rate(films, settings, judge))] if judge else []
            for engine in engines:
                runs[engine].append(_run(folder, films, settings, engine, images))
        measured.append(measure_parts(Path(scratch) / "after", films, alone, judge, engines))
    parts = mean(measured)
    here = Hardware(1, cores(), settings.annotate.workers)
    if judge:
        here = replace(here, judges=1, judge_rate=fmean(rates), judged=1.0)
    return parts, [_check(engine, images, parts, here, runs[engine]) for engine in engines]


def measure_parts(
    folder: Path, films: Sequence[Path], settings: Settings, judge: Mapping[str, Any] | None, engines: Sequence[str]
) -> Parts:
    """What one film, one verdict, one task and one start cost here, and what a judge adds, by default a large one.

    Args:
        folder: to be made.
        films: phantoms.
        settings: without a judge.
        judge: what `identify` tells of one.
        engines: whose starts are measured.
    """
    sample = link_films(films, folder / "sample", SAMPLE)
    judge = judge or {"model": LARGE, "revision": None}
    with _database(folder / "parts.duckdb", sample, settings) as (store, job):
        spent = asyncio.run(_in_workers(sample, settings, read))
        opening = fmean(asyncio.run(_in_workers(sample, settings, opened)))
        looking = partial(look, cut=cut_of(prompt_of(settings, judge["model"])), request=None)
        showing = fmean(asyncio.run(_in_workers(sample, settings, looking)))
        decide, verdicts = _in_main(job, sample)
        asked = _asking(job, sample, judge)
        many = _many(store, verdicts, 2 * ROWS)
        write = _writing(store, job, many[:ROWS])
        merge, merge_row = _merging(folder / "shards", store, job, many[ROWS:])
        task = _in_task(folder / "task", job, sample[0]) - fmean(spent)
    starts = {engine: _start(folder, films, settings, engine) - fmean(spent) for engine in engines}
    return Parts(
        machine=f"{cores()} cores, {platform.machine()}, Python {platform.python_version()}",
        film_bytes=sum(path.stat().st_size for path in films) / len(films),
        films=tuple(round(each, 5) for each in spent),
        decide=decide,
        write=write,
        start=starts.get("local", 0.0),
        cluster_start=starts["ray"] - task - merge * settings.annotate.workers if "ray" in starts else 0.0,
        task=task,
        merge=merge,
        merge_row=merge_row,
        reopen=opening,
        show=max(0.0, showing - opening),
        ask=max(0.0, asked - decide),
    )


@contextmanager
def _database(db: Path, films: Sequence[Path], settings: Settings) -> Iterator[tuple[Store, Job]]:
    policy = load(settings.agent.policy)
    recipe = recipe_of(policy)
    job = Job(settings, policy, recipe, begin_run(recipe, {}))
    with Store.open(db) as store:
        store.add_images(films[0].parent, [CatalogRow(path.stem, path.name) for path in films])
        store.register_recipe(recipe)
        store.start_run(job.run)
        yield store, job


async def _in_workers(films: Sequence[Path], settings: Settings, work: Work[object]) -> list[float]:
    """CPU seconds of a worker process for each film, with as many at work as in a run; the first ones only warm them.

    Cores share caches and memory: in one process, the others at rest, a film takes less than in a run.
    """
    how = settings.annotate
    images = [ImageRef("", str(path)) for path in (*films[: how.workers], *films)]
    async with Pool(how.workers, settings.read, how.tool_timeout) as pool:
        found = await together(pool.ask(image, partial(_timed, work=work)) for image in images)
    spent = [each for each in found if isinstance(each, float)]
    if len(spent) < len(found):
        raise SettingsError("a film of the measurement could not be read; is the disk full?")
    return spent[how.workers :]


def _timed(path: str, limits: ReadSettings, work: Work[object]) -> float:
    before = time.process_time()
    work(path, limits)
    return time.process_time() - before


def _in_main(job: Job, films: Sequence[Path], clock: Clock = time.process_time) -> tuple[float, list[Verdict]]:
    """CPU seconds of a run's main process for an image, once it has begun; and the verdicts."""
    verdicts: list[Verdict] = []
    marks: list[float] = []
    work = iter([(ImageRef(path.stem, str(path)), None) for path in films])
    batch = Batch(verdicts.extend, rows=len(films), seconds=math.inf)
    note = lambda done, **counts: marks.append(clock())  # noqa: E731
    asyncio.run(run_shard(work, job.for_one_worker(), batch, Outcome(), note))
    return (marks[-1] - marks[0]) / (len(marks) - 1), verdicts


def _asking(job: Job, films: Sequence[Path], judge: Mapping[str, Any]) -> float:
    """The same with a judge who is asked about every image, and who answers at once."""
    with dry_server(judge) as server:
        settings = asking(job.settings, server.url)
        one = settings.client.model_copy(update={"concurrency": 1})  # or all images would be begun before one has ended
        asked = replace(job, settings=settings.model_copy(update={"client": one}))
        spent, _ = _in_main(asked, films, lambda: time.process_time() - server.spent())
    return spent


async def _judge_rate(films: Sequence[Path], settings: Settings, judge: Mapping[str, Any]) -> float:
    """Films a second that the judge answers for, when it always has enough requests."""
    refs = [ImageRef(f"{number}", str(path)) for number, path in enumerate(films)]
    async with Pool(settings.annotate.workers, settings.read, settings.annotate.tool_timeout) as pool:
        requests = await recorded(refs, judge, settings, pool)
    await replay(requests, settings)  # the first ones meet a cold server
    many = [*islice(cycle(requests), REQUESTS)]
    return len(many) / (await replay(many, settings)).seconds


def _in_task(folder: Path, job: Job, film: Path) -> float:
    """Seconds of a task of one film in a process that has done one before."""
    shard = [(ImageRef(film.stem, str(film)), None)]
    finish(shard, job.for_one_worker(), folder)
    with IdleClock() as clock:
        finish(shard, job.for_one_worker(), folder)
    return clock.seconds


def _many(store: Store, verdicts: Sequence[Verdict], number: int) -> list[Verdict]:
    """The verdicts over and over under other names, which the catalog then knows."""
    many = [replace(each, image_id=f"{index}") for index, each in enumerate(islice(cycle(verdicts), number))]
    store.add_images(store.path.parent, [CatalogRow(each.image_id, each.image_id) for each in many])
    return many


def _writing(store: Store, job: Job, verdicts: Sequence[Verdict]) -> float:
    """CPU seconds of the writer for a verdict, in batches as in a run; the first batch only warms it."""
    rows = min(job.settings.annotate.batch_rows, len(verdicts) // 2)
    batches = [verdicts[start : start + rows] for start in range(0, len(verdicts), rows)]
    spent = [_cpu(lambda each=each: store.write(each, job.recipe.recipe_id, job.run.run_id)) for each in batches]
    return sum(spent[1:]) / sum(len(each) for each in batches[1:])


def _merging(folder: Path, store: Store, job: Job, verdicts: Sequence[Verdict]) -> tuple[float, float]:
    """CPU seconds of the driver for a task's file, and for each verdict in it; the first file only warms it."""
    with ShardWriter.open(folder, job.recipe) as writer:
        parts = (verdicts[:1], verdicts[1:2], verdicts[2:])
        files = [writer.write(part, job.recipe.recipe_id, job.run.run_id) for part in parts]
    _, small, large = (_cpu(partial(store.merge_shards, [path])) for path in files)
    return small, max(0.0, large - small) / (len(parts[2]) - 1)


def _start(folder: Path, films: Sequence[Path], settings: Settings, engine: str) -> float:
    """Seconds of a run on one film for each worker, so that all of them start; the mean of two."""
    workers = settings.annotate.workers
    runs = [_run(folder / f"start{number}", films, settings, engine, workers)[0] for number in (0, 1)]
    return fmean(runs)


def _check(engine: str, images: int, parts: Parts, here: Hardware, runs: Sequence[tuple[float, float]]) -> Check:
    measured, wall = map(fmean, zip(*runs, strict=True))
    expected = forecast(engine, images, parts, here).seconds
    return Check(engine, images, expected, measured, wall, expected / measured)


def forecast(engine: str, images: int, parts: Parts, here: Hardware) -> Forecast:
    """How a run on this machine would go."""
    if engine == "local":
        return local_run(images, parts, here)
    return cluster_run(images, math.ceil(images / (SHARDS_PER_CPU * here.workers)), parts, here)


def _run(folder: Path, films: Sequence[Path], settings: Settings, engine: str, images: int) -> tuple[float, float]:
    """Seconds of a whole run on otherwise idle cores, and by the clock on the wall.

    Its processes are looked at as seldom as will do: Linux has whoever waits for a process's end wait for everybody who
    is looking at it in `/proc`, for seconds where those are kept from running.
    """
    db = folder / engine / "run.duckdb"
    paths = link_films(films, db.with_suffix(".films"), images)
    with _database(db, paths, settings):
        pass
    command = annotating(db, settings.agent.policy, settings, engine)
    judge = [argument for url in settings.judge.urls for argument in ("--judge", url, "--judge-when", "all")]
    once = os.environ | {"LRRG_JUDGE__LOOKS": "0"}
    with IdleClock() as clock:
        done = subprocess.run([*command, *judge], stdout=subprocess.DEVNULL, env=once)
    if done.returncode:
        raise SettingsError(f"the {engine} run under measurement ended with {done.returncode}; its message is above")
    return clock.seconds, clock.wall


def _cpu(work: Callable[[], object]) -> float:
    before = time.process_time()
    work()
    return time.process_time() - before
