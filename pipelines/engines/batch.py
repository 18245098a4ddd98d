"""Verdicts on their way into the table: few at a time in memory, none waiting long, one writer."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

from ...agent.state import Verdict

Write = Callable[[Sequence[Verdict]], object]


class Batch:
    """Collects verdicts and commits them `rows` at a time or every `seconds`, whichever comes first.

    Whoever completes a batch waits for its commit, which is what bounds the memory when the disk is slow. All
    commits happen in one thread of their own, so that the event loop keeps the workers busy meanwhile.
    """

    def __init__(self, write: Write, rows: int, seconds: float):
        self._write = write
        self._rows = rows
        self._seconds = seconds
        self._waiting: list[Verdict] = []
        self._commits = asyncio.Lock()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writer")

    async def __aenter__(self) -> Self:
        self._clock = asyncio.create_task(self._tick())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit the rest, whatever ended the block and however often this is cancelled: nothing computed is lost."""
        self._clock.cancel()
        last = asyncio.create_task(self._commit())
        cancelled: asyncio.CancelledError | None = None
        while not last.done():
            try:
                await asyncio.wait([last])
            except asyncio.CancelledError as again:
                cancelled = again
        self._thread.shutdown()
        last.result()
        if cancelled:
            raise cancelled

    async def add(self, verdict: Verdict) -> None:
        """Take one verdict; waits for the commit where it completes a batch."""
        if self._clock.done():
            self._clock.result()  # a commit on the clock has nobody who waits for it: its error surfaces here
        self._waiting.append(verdict)
        if len(self._waiting) >= self._rows:
            await self._flush()

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(self._seconds)
            await self._flush()

    async def _flush(self) -> None:
        """Commit what waits; a commit under way outlives the task that asked for it."""
        await asyncio.shield(asyncio.create_task(self._commit()))

    async def _commit(self) -> None:
        async with self._commits:
            rows, self._waiting = self._waiting, []
            if not rows:
                return
            try:
                await asyncio.get_running_loop().run_in_executor(self._thread, self._write, rows)
            except BaseException:
                self._waiting = rows + self._waiting  # the last commit tries once more, and says what is wrong
                raise
