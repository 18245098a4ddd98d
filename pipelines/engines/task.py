"""A shard as a task on some machine of a cluster: what it finds becomes one file that all machines see."""

import asyncio
import math
import signal
from collections import Counter
from collections.abc import Coroutine, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ...agent.state import ImageRef, Reading
from ...tools import TOOLS
from ...tools.image import READER_VERSION
from ..errors import ClusterError
from ..recipe import build_recipe, versions
from ..store import ShardWriter
from .batch import Batch
from .outcome import Outcome, stoppable
from .unit import Job, run_shard

Shard = Sequence[tuple[ImageRef, Reading | None]]
SHARDS_PER_CPU = 4
"""Tasks for every CPU, where a run is too short for full ones: so all CPUs end at about the same time."""
AWAKE_SECONDS = 0.2


class Done(NamedTuple):
    """What a task leaves: its files, and its verdicts counted as in `Outcome`."""

    paths: list[Path]
    counts: Counter[str]


def finish(shard: Shard, job: Job, folder: Path) -> Done:
    """Decide on a shard into a file of `folder`, all of it unless something stops it.

    SIGINT stops it as a run: the first finishes what is under way, the second drops that; the file holds the rest.

    Raises:
        ClusterError: this machine has another version of the program than the one that sent the job.
    """
    _refuse_other_program(job)
    outcome, paths = Outcome(), []
    with stoppable(outcome, signal.SIGINT), ShardWriter.open(folder, job.recipe) as writer:
        write = partial(writer.write, recipe_id=job.recipe.recipe_id, run_id=job.run.run_id)
        batch = Batch(lambda found: paths.append(write(found)), rows=len(shard), seconds=math.inf)
        asyncio.run(_awake(run_shard(iter(shard), job, batch, outcome, lambda done, **counts: None)))
    return Done(paths, outcome.counts)


def _refuse_other_program(job: Job) -> None:
    here = build_recipe(reader=READER_VERSION, tools=TOOLS, policy={}).measure_id, versions()
    if here != (job.recipe.measure_id, job.run.versions):
        differing = sorted({*here[1].items()} ^ {*job.run.versions.items()})
        raise ClusterError("version", f"{job.run.host} and a machine of its cluster differ: {differing or 'tools'}")


async def _awake(work: Coroutine[Any, Any, None]) -> None:
    """Let the loop look around now and then: a signal that a thread raises does not wake it from its sleep."""

    async def tick() -> None:
        while True:
            await asyncio.sleep(AWAKE_SECONDS)

    clock = asyncio.create_task(tick())
    try:
        await work
    finally:
        clock.cancel()
