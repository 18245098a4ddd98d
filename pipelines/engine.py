"""Runs the agent over many images at once, and stops well: on a signal, on too many failures, on a bug."""

import asyncio
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..agent.state import ImageRef, Reading, Verdict
from .batch import Batch

Decide = Callable[[ImageRef, Reading | None], Awaitable[Verdict]]
Work = Iterator[tuple[ImageRef, Reading | None]]
Advance = Callable[..., None]
WITHOUT_VERDICT = ("unreadable", "failed")


@dataclass
class Outcome:
    """How a run went, kept up to date while it goes.

    Attributes:
        failure_limit: number of images without a verdict above which the run has failed.
        counts: images by regime, or by status where that is not `ok`.
        stopped_by: the signal that ended it early.
    """

    failure_limit: float
    counts: Counter[str] = field(default_factory=Counter)
    stopped_by: signal.Signals | None = None

    def note(self, verdict: Verdict) -> None:
        """Count one verdict."""
        found = verdict.assessment
        self.counts[found.regime if found and verdict.status == "ok" else verdict.status] += 1

    @property
    def failed(self) -> bool:
        """Whether more images are without a verdict than the run allows; going on would be in vain."""
        return sum(self.counts[status] for status in WITHOUT_VERDICT) > self.failure_limit

    @property
    def exit_code(self) -> int:
        """0 done, 3 more failures than allowed, 130 or 143 interrupted and resumable."""
        if self.stopped_by is not None:
            return 128 + self.stopped_by
        return 3 if self.failed else 0


async def run(decide: Decide, work: Work, batch: Batch, outcome: Outcome, *, lanes: int, advance: Advance) -> None:
    """Decide on every image of `work`, `lanes` at a time, into `batch`.

    The first SIGINT or SIGTERM lets the images in flight finish; the second drops them. Either way, and when
    something breaks, every finished verdict is committed before this returns or raises.
    """
    me = asyncio.current_task()
    assert me is not None
    with _signals(outcome, stop_now=me.cancel):
        try:
            async with batch, asyncio.TaskGroup() as group:
                for _ in range(lanes):
                    group.create_task(_lane(decide, work, batch, outcome, advance))
        except BaseExceptionGroup as broken:
            raise broken.exceptions[0] from None
        except asyncio.CancelledError:
            if outcome.stopped_by is None:
                raise
            me.uncancel()


async def _lane(decide: Decide, work: Work, batch: Batch, outcome: Outcome, advance: Advance) -> None:
    for image, reading in work:
        verdict = await decide(image, reading)
        await batch.add(verdict)
        outcome.note(verdict)
        advance(1, **outcome.counts)
        if outcome.stopped_by is not None or outcome.failed:
            return


@contextmanager
def _signals(outcome: Outcome, stop_now: Callable[[], object]) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def received(number: signal.Signals) -> None:
        if outcome.stopped_by is None:
            outcome.stopped_by = number
        else:
            stop_now()

    caught = (signal.SIGINT, signal.SIGTERM)
    for each in caught:
        loop.add_signal_handler(each, received, each)
    try:
        yield
    finally:
        for each in caught:
            loop.remove_signal_handler(each)
