"""The main job: a verdict for every image of the catalog that has none yet."""

import asyncio
import json
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from ..agent import graph
from ..agent.policy import Policy, load
from ..agent.state import ImageRef
from ..tools import TOOLS
from ..tools.image import READER_VERSION
from .batch import Batch, Write
from .engine import Advance, Outcome, Work, run
from .errors import SettingsError
from .pool import Pool
from .recipe import Recipe, Run, begin_run, build_recipe
from .settings import Settings
from .store import Pending, ShardWriter, Store

Progress = Callable[[str, int], AbstractContextManager[Advance]]
LANES_PER_WORKER = 2
"""Images under way for each worker: while one is measured, the agent decides on another."""
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


def recipe_of(chosen: Policy) -> Recipe:
    """The recipe of a run by the tools of this version and the policy chosen."""
    return build_recipe(reader=READER_VERSION, tools=TOOLS, policy=json.loads(chosen.canonical()))


def count_pending(db: Path, settings: Settings, order: Order) -> int:
    """Images that `annotate` would take on; changes nothing.

    Raises:
        StoreError: the database cannot be read.
    """
    recipe = recipe_of(load(settings.agent.policy))
    with Store.open(db, read_only=True) as store:
        return len(_pending(db, store, recipe, order))


def annotate(db: Path, settings: Settings, order: Order, progress: Progress) -> Outcome:
    """Give every pending image its verdict; running it again takes up where it stopped.

    A reading stored under another recipe with the same tools is decided on anew without opening the file.

    Raises:
        StoreError: the database cannot be opened or written; what was committed stays.
        PoolError: worker processes do not start.
        ToolError: a tool broke; verdicts finished before it are committed.
    """
    chosen = load(settings.agent.policy)
    recipe = recipe_of(chosen)
    with Store.open(db, read_only=order.shard is not None, create=False) as store:
        if order.shard is None:
            store.register_recipe(recipe)
        images = _pending(db, store, recipe, order)
        outcome = Outcome(failure_limit=settings.annotate.max_failures * len(images))
        if len(images):
            this_run = begin_run(recipe, settings.model_dump(mode="json"))
            sink = _sink(db, store, recipe, this_run, order)
            write = partial(sink.write, recipe_id=recipe.recipe_id, run_id=this_run.run_id)
            exit_code = 1
            try:
                with progress("annotate", len(images)) as advance:
                    asyncio.run(_work(chosen, settings, _with_readings(store, recipe, images), write, outcome, advance))
                exit_code = outcome.exit_code
            finally:
                sink.end_run(this_run.run_id, exit_code)
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


async def _work(
    chosen: Policy, settings: Settings, work: Work, write: Write, outcome: Outcome, advance: Advance
) -> None:
    how = settings.annotate
    async with Pool(how.workers, settings.read, how.tool_timeout) as pool:
        decide = partial(graph.decide, graph.build(pool.measure, chosen))
        batch = Batch(write, how.batch_rows, how.batch_seconds)
        await run(decide, work, batch, outcome, lanes=how.workers * LANES_PER_WORKER, advance=advance)


def _sink(db: Path, store: Store, recipe: Recipe, this_run: Run, order: Order) -> Store | ShardWriter:
    """Where verdicts go: the database, or files beside it, because only one process may write a database."""
    if order.shard is not None:
        return ShardWriter(shard_folder(db), recipe, this_run)
    store.start_run(this_run)
    return store


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
