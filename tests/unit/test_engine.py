"""The engine and its batches, without processes: what is committed when, and what a fault leaves behind."""

import asyncio
import pickle
import threading
from collections.abc import Callable, Sequence

import pytest
from lrrg.agent.state import ImageRef, Reading, Verdict
from lrrg.pipelines.engines.batch import Batch
from lrrg.pipelines.engines.outcome import Outcome
from lrrg.pipelines.engines.unit import decide_all
from lrrg.pipelines.errors import ClusterError, StoreError

IMAGES = [ImageRef(f"film{index:02d}", "") for index in range(40)]


class Table:
    """Keeps the batches it is given, and who gave them."""

    def __init__(self, full_after: int = 99):
        self.batches: list[list[str]] = []
        self.threads: set[int] = set()
        self._full_after = full_after

    def write(self, verdicts: Sequence[Verdict]) -> None:
        self.threads.add(threading.get_ident())
        if len(self.batches) == self._full_after:
            raise StoreError("disk-full", "the disk is full")
        self.batches.append([verdict.image_id for verdict in verdicts])

    @property
    def ids(self) -> list[str]:
        return sorted(image_id for batch in self.batches for image_id in batch)


async def fine(image: ImageRef, reading: Reading | None) -> Verdict:
    await asyncio.sleep(0)
    return Verdict(image.image_id, "unreadable")


def run_all(
    table: Table, decide: Callable = fine, *, rows: int = 8, seconds: float = 60, allowed: float = 99
) -> Outcome:
    outcome = Outcome(allowed)

    async def go() -> None:
        work = iter([(image, None) for image in IMAGES])
        await decide_all(
            decide, work, Batch(table.write, rows, seconds), outcome, lanes=3, advance=lambda *_, **__: None
        )

    asyncio.run(go())
    return outcome


def test_every_image_is_committed_once_by_one_thread_that_is_not_the_loops():
    table = Table()
    outcome = run_all(table)
    assert table.ids == [image.image_id for image in IMAGES]
    assert max(map(len, table.batches)) <= 8 + 3
    assert len(table.threads) == 1
    assert threading.get_ident() not in table.threads
    assert (outcome.counts.total(), outcome.exit_code) == (len(IMAGES), 0)


def test_a_verdict_does_not_wait_longer_than_the_clock():
    table = Table()

    async def slow_second(image: ImageRef, reading: Reading | None) -> Verdict:
        if image is not IMAGES[0]:
            while not table.batches:
                await asyncio.sleep(0.01)
        return Verdict(image.image_id, "unreadable")

    run_all(table, slow_second, rows=1000, seconds=0.05)
    assert table.batches[0] == [IMAGES[0].image_id]
    assert table.ids == [image.image_id for image in IMAGES]


def test_a_bug_ends_the_run_and_what_was_finished_is_committed():
    table = Table()

    async def broken_at_20(image: ImageRef, reading: Reading | None) -> Verdict:
        if image is IMAGES[20]:
            raise ZeroDivisionError
        return await fine(image, reading)

    with pytest.raises(ZeroDivisionError):
        run_all(table, broken_at_20, rows=1000)
    assert 17 <= len(table.ids) <= 22
    assert IMAGES[20].image_id not in table.ids


@pytest.mark.parametrize("rows", [8, 1000])
def test_a_full_disk_ends_the_run_with_the_stores_error(rows):
    table = Table(full_after=1)

    async def slow(image: ImageRef, reading: Reading | None) -> Verdict:
        await asyncio.sleep(0.02)
        return await fine(image, reading)

    with pytest.raises(StoreError):
        run_all(table, slow, rows=rows, seconds=0.05)
    assert len(table.batches) == 1


def test_a_run_stops_when_it_cannot_succeed_any_more():
    table = Table()
    outcome = run_all(table, allowed=5)
    assert outcome.exit_code == 3
    assert 6 <= len(table.ids) <= 6 + 3


def test_cancelling_the_last_commit_again_and_again_loses_nothing():
    """As a second and a third signal do, when they find a slow disk."""
    began, impatience_over, table = threading.Event(), threading.Event(), Table()

    def slowly(verdicts: Sequence[Verdict]) -> None:
        began.set()
        impatience_over.wait()
        table.write(verdicts)

    async def go() -> None:
        async with Batch(slowly, 1000, 60) as batch:
            await batch.add(Verdict("film00", "unreadable"))

    async def impatient() -> None:
        run = asyncio.create_task(go())
        for _ in range(3):
            await asyncio.to_thread(began.wait)
            run.cancel()
            await asyncio.sleep(0.02)
        impatience_over.set()
        with pytest.raises(asyncio.CancelledError):
            await run

    asyncio.run(impatient())
    assert table.ids == ["film00"]


def test_verdicts_whose_commit_failed_are_tried_once_more():
    tries: list[int] = []

    def full_at_first(verdicts: Sequence[Verdict]) -> None:
        tries.append(len(verdicts))
        if len(tries) == 1:
            raise StoreError("disk-full", "the disk is full")

    async def go() -> None:
        async with Batch(full_at_first, 2, 60) as batch:
            await batch.add(Verdict("film00", "unreadable"))
            await batch.add(Verdict("film01", "unreadable"))

    with pytest.raises(StoreError):
        asyncio.run(go())
    assert tries == [2, 2]


@pytest.mark.parametrize("error", [StoreError("disk-full", "full"), ClusterError("lost", "two tasks")])
def test_errors_cross_process_borders_whole(error: StoreError | ClusterError):
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.code, str(again)) == (type(error), error.code, str(error))
