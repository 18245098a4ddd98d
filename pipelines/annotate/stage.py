"""The main job: a verdict for every image of the catalog that has none yet."""

import json
import os
import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from ...agent.policy import Policy, load
from ...agent.state import ImageRef
from ...tools import TOOLS
from ...tools.image import READER_VERSION
from ..engines.engine import Engine
from ..engines.head import own_ray
from ..engines.judging import Warn, fitted, identify, left_out
from ..engines.local import Local
from ..engines.outcome import Outcome, stoppable
from ..engines.unit import Job, Work
from ..errors import SettingsError
from ..extras import require
from ..places import refuse_gone
from ..recipe import Recipe, Run, begin_run, build_recipe
from ..settings import Settings
from ..storage import admit
from ..store import Pending, ShardWriter, Store, shard_files
from ..view import Progress

Record = Store | ShardWriter
"""Where a run's start and end are recorded."""
PAGE = 1024
"""Images whose stored readings are looked up at once."""


@dataclass(frozen=True)
class Order:
    """Which images a run takes on.

    Attributes:
        limit: at most so many.
        retry_failed: those whose verdict is `failed` too, and those whose file was missing.
        shard: (k, N), k from 1: the k-th of N disjoint parts of the catalog; its verdicts go into files.
    """

    limit: int | None = None
    retry_failed: bool = False
    shard: tuple[int, int] | None = None


def parse_shard(text: str) -> tuple[int, int]:
    """Read `k/N`.

    Raises:
        SettingsError: not of that form, or k outside 1 … N.

    >>> parse_shard("3/8")
    (3, 8)
    """
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and 1 <= int(part) <= int(parts)):
        raise SettingsError(f"{text}: a shard is k/N with 1 <= k <= N, such as 3/8")
    return int(part), int(parts)


def recipe_of(chosen: Policy, judge: Mapping[str, Any] | None = None) -> Recipe:
    """The recipe of a run by the tools of this version, the policy chosen and the judge asked."""
    return build_recipe(reader=READER_VERSION, tools=TOOLS, policy=json.loads(chosen.canonical()), judge=judge)


def _decided_by(settings: Settings, warn: Warn) -> tuple[Policy, Recipe]:
    judge, known = identify(settings), load(settings.agent.policy)
    warn(left_out(known, judge))
    chosen = fitted(known, judge)
    return chosen, recipe_of(chosen, judge)


def count_pending(db: Path, settings: Settings, order: Order, warn: Warn = lambda lines: None) -> int:
    """Images that `annotate` would take on; changes nothing.

    Raises:
        JudgeUnavailable: the judge cannot be reached.
        StoreError: the database cannot be read.
    """
    _, recipe = _decided_by(settings, warn)
    with Store.open(db, read_only=True) as store:
        return len(_pending(store, recipe, order, shard_folder(db, settings)))


def annotate(
    db: Path, settings: Settings, order: Order, progress: Progress, warn: Warn = lambda lines: None
) -> Outcome:
    """Give every pending image its verdict; running it again takes up where it stopped.

    A reading stored under another recipe with the same tools is decided on anew without opening the file. What lies
    in the folder of shard files, from a cluster or from `--shard`, is merged first. `warn` is told, before anything is
    done, where the policy was fitted to another judge than the one asked.

    Raises:
        SettingsError: a shard was ordered from a cluster, which cuts its own, or the cluster's library is missing.
        RefusedStore: films lie in an object store that is not allowed; no film was read.
        ClusterError: the cluster cannot be reached or lost tasks.
        JudgeUnavailable: the judge cannot be reached, now or any more.
        StoreError: the database cannot be opened or written, what was committed stays; or `no-films`: a folder of
            films is gone.
        PoolError: worker processes do not start.
        ToolError: a tool broke; verdicts finished before it are committed.
    """
    _refuse_shard_of_cluster(settings, order)
    chosen, recipe = _decided_by(settings, warn)
    folder = shard_folder(db, settings)
    with Store.open(db, read_only=order.shard is not None, create=False, bounded=True) as store:
        if order.shard is None:
            _take_in(store, folder)
        images = _pending(store, recipe, order, folder if order.shard else None)
        folders = images.folders()
        admit(folders, settings.read)
        if settings.annotate.engine == "local":  # of a cluster its machines need to see the films, and look then
            refuse_gone(images.unread_folders(recipe.measure_id))
        if order.shard is None:
            store.register_recipe(recipe)  # not before: what is refused leaves `labels` as they are
        outcome = Outcome(failure_limit=settings.annotate.max_failures * len(images))
        if len(images):
            run = begin_run(recipe, settings.model_dump(mode="json"))
            job = Job(settings, chosen, recipe, run, tuple(folders))
            work = _with_readings(store, recipe, images)
            with (
                _engine(store, folder, job, order, len(images)) as (engine, records),
                stoppable(outcome, signal.SIGINT, signal.SIGTERM),
                _recorded(records, job.run, outcome),
                progress("annotate", len(images)) as advance,
            ):
                engine.run(work, job, outcome, advance)
    return outcome


def ingest(db: Path, folder: Path) -> int:
    """Merge the files of `annotate --shard` or of a cluster into the database; returns how many verdicts were new.

    Raises:
        StoreError: the folder holds no shard file, or a broken one, or the database cannot be written.
    """
    with Store.open(db, create=False) as store:
        return store.ingest(folder)


def shard_folder(db: Path, settings: Settings) -> Path:
    """Where shard files of a database go: beside it, where the settings name no other folder.

    Raises:
        SettingsError: a file has that name.
    """
    folder = (settings.annotate.shards or db.with_name(db.name + ".shards")).resolve()
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{folder}: a file; name a folder for shard files with --shards")
    return folder


def _refuse_shard_of_cluster(settings: Settings, order: Order) -> None:
    if settings.annotate.engine == "ray":
        require("ray", "ray")
        if order.shard:
            raise SettingsError("--shard goes with --engine local: a cluster cuts the catalog into shards itself")


def _take_in(store: Store, folder: Path) -> None:
    """Merge what a killed run of a cluster left in its folder."""
    if shard_files(folder):
        store.ingest(folder)


@contextmanager
def _engine(
    store: Store, folder: Path, job: Job, order: Order, images: int
) -> Iterator[tuple[Engine, Sequence[Record]]]:
    """Who does the work, and where its run is recorded: only one process may write a database, others write files."""
    ids = {"recipe_id": job.recipe.recipe_id, "run_id": job.run.run_id}
    if order.shard is None and job.settings.annotate.engine == "local":
        yield Local(partial(store.write, **ids)), [store]
        return
    with ShardWriter.open(folder, job.recipe) as writer:
        if order.shard:
            yield Local(partial(writer.write, **ids)), [writer]
            return
        with _cluster(job.settings) as address:
            from ..engines.ray import Ray, connected

            with connected(address):
                yield Ray(store.merge_shards, folder, images), [store, writer]


def _cluster(settings: Settings) -> AbstractContextManager[str]:
    """The address of the cluster that is named, or else of one of this machine alone."""
    address = settings.ray.address or os.environ.get("RAY_ADDRESS")
    return nullcontext(address) if address else own_ray(settings.annotate.workers)


@contextmanager
def _recorded(records: Sequence[Record], run: Run, outcome: Outcome) -> Iterator[None]:
    """Record that a run began, and how it ended whatever ends it."""
    for record in records:
        record.start_run(run)
    exit_code = 1
    try:
        yield
        exit_code = outcome.exit_code
    except (RuntimeError, OSError) as error:
        exit_code = 4 if hasattr(error, "code") else 1
        raise
    finally:
        for record in records:
            record.end_run(run.run_id, exit_code)


def _pending(store: Store, recipe: Recipe, order: Order, written: Path | None) -> Pending:
    return store.pending(
        recipe.recipe_id,
        shard=order.shard,
        limit=order.limit,
        retry_failed=order.retry_failed,
        written=written,
    )


def _with_readings(store: Store, recipe: Recipe, images: Iterable[ImageRef]) -> Work:
    """Each image with the reading that is stored for it, if there is one."""
    rest = iter(images)
    while page := list(islice(rest, PAGE)):
        readings = store.stored_readings(recipe, [image.image_id for image in page])
        yield from ((image, readings.get(image.image_id)) for image in page)
