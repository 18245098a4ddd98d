"""The one unit of work: a shard of images through one agent and its worker processes, the same for every engine."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from ...agent.policy import Policy
from ...agent.state import ImageRef, Reading, Verdict
from ..places import refuse_gone
from ..recipe import Recipe, Run
from ..settings import Settings
from .batch import Batch
from .judging import open_agent, under_way
from .outcome import Outcome, nothing_to_drop
from .pool import Pool
from .together import together

Decide = Callable[[ImageRef, Reading | None], Awaitable[Verdict]]
Work = Iterator[tuple[ImageRef, Reading | None]]
"""Images, each with the reading that is stored for it, if there is one."""
Advance = Callable[..., None]
LANES_PER_WORKER = 2
"""Images under way for each worker: while one is measured, the agent decides on another."""


@dataclass(frozen=True)
class Job:
    """What a unit needs beside its images to decide on them; it travels to other machines, so it holds no handle.

    Attributes:
        folders: catalogued ones, in which the images lie.
    """

    settings: Settings
    policy: Policy
    recipe: Recipe
    run: Run
    folders: tuple[str, ...] = ()

    def for_one_worker(self) -> "Job":
        """The same with one worker process."""
        how = self.settings.annotate.model_copy(update={"workers": 1})
        return replace(self, settings=self.settings.model_copy(update={"annotate": how}))


async def run_shard(work: Work, job: Job, batch: Batch, outcome: Outcome, advance: Advance) -> None:
    """Decide on every image of `work` into `batch`, with an agent and worker processes of its own.

    Once the outcome is over, the images in flight finish and no other is begun; `outcome.drop` drops those too.
    Either way, and when something breaks, every finished verdict is committed before this returns or raises.

    Raises:
        JudgeUnavailable: the judge cannot be reached.
        PoolError: worker processes do not start.
        ToolError: a tool broke.
        StoreError: verdicts cannot be written, or a folder of films is gone.
    """
    how = job.settings.annotate
    with _droppable(outcome):
        async with (
            Pool(how.workers, job.settings.read, how.tool_timeout) as pool,
            open_agent(job.policy, job.settings, pool.ask) as agent,
        ):
            lanes = how.workers * LANES_PER_WORKER + under_way(job.settings)
            decide = _where_films_are(agent.decide, job.folders)
            await decide_all(decide, work, batch, outcome, lanes=lanes, advance=advance)


def _where_films_are(decide: Decide, folders: Sequence[str]) -> Decide:
    """Stop where a film is missing because its whole folder is: a verdict that it is missing would stand for good."""

    async def decided(image: ImageRef, reading: Reading | None) -> Verdict:
        verdict = await decide(image, reading)
        if verdict.error_code == "missing":
            refuse_gone(folder for folder in folders if image.path.startswith(f"{folder}/"))
        return verdict

    return decided


async def decide_all(
    decide: Decide, work: Work, batch: Batch, outcome: Outcome, *, lanes: int, advance: Advance
) -> None:
    """Decide on the images of `work`, `lanes` at a time, into `batch`."""
    async with batch:
        await together(_lane(decide, work, batch, outcome, advance) for _ in range(lanes))


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
