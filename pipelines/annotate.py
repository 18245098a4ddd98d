"""The main job: a verdict for every image of the catalog that has none yet."""

import json
import signal
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from ..agent.policy import Policy, load
from ..agent.state import ImageRef
from ..tools import TOOLS
from ..tools.image import READER_VERSION
from .engines import Advance, Engine, Job, Outcome, Work
from .engines.local import Local
from .engines.outcome import stoppable
from .errors import SettingsError
from .judging import identify
from .recipe import Recipe, Run, begin_run, build_recipe
from .settings import Settings
from .store import Pending, ShardWriter, Store

Progress = Callable[[str, int], AbstractContextManager[Advance]]
Record = Store | ShardWriter
"""Where a run's start and end are recorded."""
PAGE = 1024
"""Images whose stored readings are looked up at once."""


@dataclass(frozen=True)
class Order:
    """Which images a run takes on.

    Attributes:
        limit: at most so many.
        retry_failed: those whose verdict is `failed` too.
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


def count_pending(db: Path, settings: Settings, order: Order) -> int:
    """Images that `annotate` would take on; changes nothing.

    Raises:
        JudgeUnavailable: the judge cannot be reached.
        StoreError: the database cannot be read.
    """
    recipe = recipe_of(load(settings.agent.policy), identify(settings))
    with Store.open(db, read_only=True) as store:
        return len(_pending(db, store, recipe, order))


def annotate(db: Path, settings: Settings, order: Order, progress: Progress) -> Outcome:
    """Give every pending image its verdict; running it again takes up where it stopped.

    A reading stored under another recipe with the same tools is decided on anew without opening the file.

    Raises:
        JudgeUnavailable: the judge cannot be reached, now or any more.
        StoreError: the database cannot be opened or written; what was committed stays.
        PoolError: worker processes do not start.
        ToolError: a tool broke; verdicts finished before it are committed.
    """
    chosen = load(settings.agent.policy)
    recipe = recipe_of(chosen, identify(settings))
    with Store.open(db, read_only=order.shard is not None, create=False) as store:
        if order.shard is None:
            store.register_recipe(recipe)
        images = _pending(db, store, recipe, order)
        outcome = Outcome(failure_limit=settings.annotate.max_failures * len(images))
        if len(images):
            job = Job(settings, chosen, recipe, begin_run(recipe, settings.model_dump(mode="json")))
            work = _with_readings(store, recipe, images)
            with (
                _engine(db, store, job, order) as (engine, record),
                stoppable(outcome, signal.SIGINT, signal.SIGTERM),
                _recorded(record, job.run, outcome),
                progress("annotate", len(images)) as advance,
            ):
                engine.run(work, job, outcome, advance)
    return outcome


def ingest(db: Path, folder: Path) -> int:
    """Merge the files of `annotate --shard` into the database; returns how many verdicts were new.

    Raises:
        StoreError: the folder holds no shard file, or a broken one, or the database cannot be written.
    """
    with Store.open(db, create=False) as store:
        return store.ingest(folder)


def shard_folder(db: Path) -> Path:
    """Where shard files of a database go: beside it."""
    return db.with_name(db.name + ".shards")


@contextmanager
def _engine(db: Path, store: Store, job: Job, order: Order) -> Iterator[tuple[Engine, Record]]:
    """Who does the work, and where its run is recorded: only one process may write a database, others write files."""
    ids = {"recipe_id": job.recipe.recipe_id, "run_id": job.run.run_id}
    if order.shard is None:
        yield Local(partial(store.write, **ids)), store
    else:
        with ShardWriter.open(shard_folder(db), job.recipe) as writer:
            yield Local(partial(writer.write, **ids)), writer


@contextmanager
def _recorded(record: Record, run: Run, outcome: Outcome) -> Iterator[None]:
    """Record that a run began, and how it ended whatever ends it."""
    record.start_run(run)
    exit_code = 1
    try:
        yield
        exit_code = outcome.exit_code
    except (RuntimeError, OSError) as error:
        exit_code = 4 if hasattr(error, "code") else 1
        raise
    finally:
        record.end_run(run.run_id, exit_code)


def _pending(db: Path, store: Store, recipe: Recipe, order: Order) -> Pending:
    return store.pending(
        recipe.recipe_id,
        shard=order.shard,
        limit=order.limit,
        retry_failed=order.retry_failed,
        written=shard_folder(db) if order.shard is not None else None,
    )


def _with_readings(store: Store, recipe: Recipe, images: Iterable[ImageRef]) -> Work:
    """Each image with the reading that is stored for it, if there is one."""
    rest = iter(images)
    while page := list(islice(rest, PAGE)):
        readings = store.stored_readings(recipe, [image.image_id for image in page])
        yield from ((image, readings.get(image.image_id)) for image in page)
