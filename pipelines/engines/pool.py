"""Worker processes, one image at a time each: a killed or hung worker costs its own image and no other."""

import asyncio
import multiprocessing
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from multiprocessing import resource_tracker
from multiprocessing.context import ForkServerContext
from types import ModuleType, TracebackType
from typing import Any, Self

from ...agent.state import Failure, ImageRef
from ..errors import PoolError
from ..settings import ReadSettings
from .worker import Found, ToolError, Work, serve
from .worker import __name__ as worker_module

START_SECONDS = 120.0


class WorkerDied(Exception):  # noqa: N818 - an event between two classes of this room, never shown
    """The process at the other end of the pipe is gone."""


class Worker:
    """One process and the pipe to it."""

    def __init__(self, context: ForkServerContext, limits: ReadSettings):
        self._pipe, far_end = context.Pipe()
        self._process = context.Process(target=serve, args=(far_end, limits), daemon=True)
        with _no_main_module(), _spared_by_batch_systems():
            self._process.start()
        far_end.close()  # or the death of the process would not end the pipe

    @property
    def pid(self) -> int:
        """Process id."""
        assert self._process.pid is not None
        return self._process.pid

    async def ready(self) -> None:
        """Wait until the process has loaded everything.

        Raises:
            PoolError: it died or hung on the way.
        """
        try:
            await self._receive(START_SECONDS)
        except (WorkerDied, TimeoutError) as error:
            raise PoolError("a worker process died while starting; its own message is above") from error

    async def ask(self, path: str, work: Work[Found], timeout: float) -> Found | Failure | ToolError:
        """Have one piece of work done on a file.

        Raises:
            WorkerDied: the process was killed.
            TimeoutError: no answer in `timeout` seconds; the process is still busy.
        """
        try:
            self._pipe.send((path, work))
        except BrokenPipeError as error:
            raise WorkerDied from error
        return await self._receive(timeout)

    def kill(self) -> None:
        """End the process whatever it does."""
        self._process.kill()
        self._process.join()
        self._pipe.close()

    async def _receive(self, timeout: float) -> Any:
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()
        loop.add_reader(self._pipe.fileno(), arrived.set)
        try:
            async with asyncio.timeout(timeout):
                await arrived.wait()
        except TimeoutError:
            if not self._pipe.poll():  # else it came while this process stood still, as after Ctrl-Z
                raise
        finally:
            loop.remove_reader(self._pipe.fileno())
        try:
            return self._pipe.recv()
        except (EOFError, ConnectionResetError) as error:
            raise WorkerDied from error


@contextmanager
def _no_main_module() -> Iterator[None]:
    """Start processes without this one's main module: they would import it, and in a task of Ray that is all of Ray."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _spared_by_batch_systems() -> Iterator[None]:
    """Start processes that do not hear a SIGTERM, which a batch system sends to the whole process group.

    The fork server would die of it, and a worker that is lost while the run drains could not be replaced.
    """
    resource_tracker.ensure_running()  # as the fork server does first, which lets the signal through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Pool:
    """A fixed number of workers, each replaced when it dies; `ask` may be awaited by any number of tasks.

    Every worker has one image at a time, so a death has exactly one suspect. The suspect is measured once more with
    every other worker at rest: what killed it may have been the memory that the others used. A second death decides.
    """

    def __init__(self, size: int, limits: ReadSettings, timeout: float):
        self._size = size
        self._limits = limits
        self._timeout = timeout
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([worker_module])
        self._idle: asyncio.Queue[Worker] = asyncio.Queue()
        self._alive: set[Worker] = set()
        self._quarantine = asyncio.Lock()

    async def __aenter__(self) -> Self:
        try:
            for worker in [self._start() for _ in range(self._size)]:
                await worker.ready()
                self._idle.put_nowait(worker)
        except BaseException:
            self._stop_all()  # or the interpreter would wait for ever for those that did start
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_all()

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [worker.pid for worker in self._alive]

    async def ask(self, image: ImageRef, work: Work[Found]) -> Found | Failure:
        """Have the next idle worker do its work on one image.

        Raises:
            ToolError: a tool broke; the message names the file and holds the worker's traceback.
            PoolError: a dead worker could not be replaced.
        """
        try:
            return await self._once(image, work)
        except WorkerDied:
            return await self._alone(image, work)

    async def _once(self, image: ImageRef, work: Work[Found]) -> Found | Failure:
        try:
            async with self._worker() as worker:
                answer = await worker.ask(image.path, work, self._timeout)
        except TimeoutError:
            return Failure("failed", "timeout", f"{image.path}: no answer within {self._timeout:g} s")
        if isinstance(answer, ToolError):
            raise answer
        return answer

    async def _alone(self, image: ImageRef, work: Work[Found]) -> Found | Failure:
        async with self._quarantine, AsyncExitStack() as at_rest:
            for _ in range(self._size - 1):
                await at_rest.enter_async_context(self._worker())
            try:
                return await self._once(image, work)
            except WorkerDied:
                return Failure("failed", "worker-killed", f"{image.path}: two workers died measuring it")

    @asynccontextmanager
    async def _worker(self) -> AsyncIterator[Worker]:
        """An idle worker; one that leaves without its answer is dead or busy, so it is replaced."""
        worker = await self._idle.get()
        answered = False
        try:
            yield worker
            answered = True
        finally:
            self._idle.put_nowait(worker if answered else await self._replace(worker))

    async def _replace(self, worker: Worker) -> Worker:
        self._stop(worker)
        fresh = self._start()
        await fresh.ready()
        return fresh

    def _start(self) -> Worker:
        worker = Worker(self._context, self._limits)
        self._alive.add(worker)
        return worker

    def _stop_all(self) -> None:
        for worker in list(self._alive):
            self._stop(worker)

    def _stop(self, worker: Worker) -> None:
        worker.kill()
        self._alive.discard(worker)
