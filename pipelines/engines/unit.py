"""The one unit of work: a shard of images through one agent and its worker processes, the same for every engine."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ...agent.policy import Policy
from ...agent.state import ImageRef, Reading, Verdict
from ..judging import open_agent, under_way
from ..pool import Pool
from ..recipe import Recipe, Run
from ..settings import Settings
from .batch import Batch
from .outcome import Outcome, nothing_to_drop

Decide = Callable[[ImageRef, Reading | None], Awaitable[Verdict]]
Work = Iterator[tuple[ImageRef, Reading | None]]
"""Images, each with the reading that is stored for it, if there is one."""
Advance = Callable[..., None]
LANES_PER_WORKER = 2
"""Images under way for each worker: while one is measured, the agent decides on another."""


@dataclass(frozen=True)
class Job:
    """What a unit needs beside its images to decide on them; it travels to other machines, so it holds no handle."""

    settings: Settings
    policy: Policy
    recipe: Recipe
    run: Run


async def run_shard(work: Work, job: Job, batch: Batch, outcome: Outcome, advance: Advance) -> None:
    """Decide on every image of `work` into `batch`, with an agent and worker processes of its own.

    Once the outcome is over, the images in flight finish and no other is begun; `outcome.drop` drops those too.
    Either way, and when something breaks, every finished verdict is committed before this returns or raises.

    Raises:
        JudgeUnavailable: the judge cannot be reached.
        PoolError: worker processes do not start.
        ToolError: a tool broke.
        StoreError: verdicts cannot be written.
    """
    how = job.settings.annotate
    with _droppable(outcome):
        async with (
            Pool(how.workers, job.settings.read, how.tool_timeout) as pool,
            open_agent(job.policy, job.settings, pool.ask) as agent,
        ):
            lanes = how.workers * LANES_PER_WORKER + under_way(job.settings)
            await decide_all(agent.decide, work, batch, outcome, lanes=lanes, advance=advance)


async def decide_all(
    decide: Decide, work: Work, batch: Batch, outcome: Outcome, *, lanes: int, advance: Advance
) -> None:
    """Decide on the images of `work`, `lanes` at a time, into `batch`."""
    try:
        async with batch, asyncio.TaskGroup() as group:
            for _ in range(lanes):
                group.create_task(_lane(decide, work, batch, outcome, advance))
    except BaseExceptionGroup as broken:
        raise broken.exceptions[0] from None


async def _lane(decide: Decide, work: Work, batch: Batch, outcome: Outcome, advance: Advance) -> None:
    while not outcome.over and (item := next(work, None)):
        verdict = await decide(*item)
        await batch.add(verdict)
        outcome.note(verdict)
        advance(1, **outcome.counts)


@contextmanager
def _droppable(outcome: Outcome) -> Iterator[None]:
    """Have `outcome.drop` cancel this task, which then leaves the block as if it were done."""
    me, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert me is not None
    outcome.drop = lambda: loop.call_soon_threadsafe(me.cancel)  # a signal may find the loop asleep
    try:
        yield
    except asyncio.CancelledError:
        if outcome.stopped_by is None:
            raise
        me.uncancel()
    finally:
        outcome.drop = nothing_to_drop
