"""The engine of a Ray cluster: a task a shard, a file a task, and this process the only writer of the database."""

import logging
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import ray
from ray import ObjectRef
from ray.exceptions import RayError, RayTaskError, TaskCancelledError

from ..errors import ClusterError
from ..records import SHARD_IMAGES
from ..store import shard_files
from .outcome import Outcome, nothing_to_drop
from .task import SHARDS_PER_CPU, Done, Shard, finish
from .unit import Advance, Job, Work

TASKS_PER_CPU = 2
"""Tasks under way for every CPU: one runs, one waits."""
RETRIES = 3
"""Times a task is begun anew after its process or its machine died."""
POLL_SECONDS = 0.5
STOP_SECONDS = 60.0
"""Longest wait for tasks that were told to stop after an error."""

_task = ray.remote(num_cpus=1, max_retries=RETRIES)(finish)


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Be connected to the cluster at an address.

    Raises:
        ClusterError: there is none.
    """
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (RayError, ConnectionError, RuntimeError, ValueError) as error:
        raise ClusterError("unreachable", f"{address}: cannot connect: {error}".splitlines()[0]) from error
    try:
        with redirect_stdout(sys.stderr):  # what Ray says of its nodes is no result
            yield
    finally:
        ray.shutdown()


@dataclass
class Ray:
    """Runs work as tasks of the cluster that this process is connected to.

    Attributes:
        merge: commits shard files, those it did not commit before.
        folder: where tasks leave their files; every machine of the cluster sees it under this name.
        images: number of images in the run.
    """

    merge: Callable[[Sequence[Path]], object]
    folder: Path
    images: int
    _running: list[ObjectRef] = field(default_factory=list)
    _lost: list[RayError] = field(default_factory=list)
    _dropping: bool = False

    def run(self, work: Work, job: Job, outcome: Outcome, advance: Advance) -> None:
        """See `Engine.run`.

        Raises:
            ClusterError: tasks died more often than they are retried (all others are done), or a machine has
                another version of the program.
        """
        outcome.drop = self._drop
        try:
            self._work(_cut(work, self._shard_images()), job.for_one_worker(), outcome, advance)
        finally:
            outcome.drop = nothing_to_drop
            self._stop()
            self._collect(job.run.run_id)
        if self._lost:
            said = str(self._lost[0]).partition("\n")[0]
            raise ClusterError("lost", f"tasks lost: {len(self._lost)}; run the same command again: {said}")

    def _work(self, shards: Iterator[Shard], job: Job, outcome: Outcome, advance: Advance) -> None:
        shared = ray.put(job)
        told = False
        while True:
            while not outcome.over and len(self._running) < TASKS_PER_CPU * _cpus() and (shard := next(shards, None)):
                self._running.append(_task.remote(shard, shared, self.folder))
            if not self._running:
                return
            self._take(self._ended(), outcome, advance)
            # To drop, again and again: signals that reach a process while it stands still come as one.
            if self._dropping or (outcome.over and not told):
                self._cancel()
                told = True

    def _ended(self) -> list[ObjectRef]:
        """Tasks that ended meanwhile: all of them, because files cost less to merge together than one by one."""
        ended, self._running = ray.wait(self._running, num_returns=len(self._running), timeout=POLL_SECONDS)
        return ended

    def _take(self, tasks: Sequence[ObjectRef], outcome: Outcome, advance: Advance) -> None:
        """Commit what tasks found."""
        found = [done for task in tasks if (done := self._found(task))]
        self._merge([path for done in found for path in done.paths])
        for done in found:
            outcome.add(done.counts)
            advance(done.counts.total(), **outcome.counts)

    def _found(self, task: ObjectRef) -> Done | None:
        try:
            return ray.get(task)
        except TaskCancelledError:
            return None  # it had not begun, or was dropped: its images stay pending
        except RayTaskError as error:
            raise error.cause from None
        except RayError as error:
            self._lost.append(error)
            return None

    def _drop(self) -> None:
        self._dropping = True

    def _cancel(self) -> None:
        """Those that wait are not begun; those that run take it as the signal that `finish` knows."""
        for each in self._running:
            ray.cancel(each)

    def _stop(self) -> None:
        """Let what still runs after an error write down what it has."""
        self._cancel()
        if self._running:
            ray.wait(self._running, num_returns=len(self._running), timeout=STOP_SECONDS)

    def _collect(self, run_id: str) -> None:
        """Commit files whose task did not live to name them."""
        self._merge([path for path in shard_files(self.folder) if run_id in path.name])

    def _merge(self, paths: Sequence[Path]) -> None:
        for path in paths:
            if not path.exists():
                raise ClusterError(
                    "folder", f"{path}: a task wrote it, and it is not here; name a --shards that all see"
                )
        self.merge(paths)

    def _shard_images(self) -> int:
        return min(SHARD_IMAGES, math.ceil(self.images / (SHARDS_PER_CPU * _cpus())))


def _cpus() -> int:
    """CPUs of the cluster as it is now: machines come and go."""
    return max(1, int(ray.cluster_resources().get("CPU", 0)))


def _cut(work: Work, images: int) -> Iterator[Shard]:
    while shard := list(islice(work, images)):
        yield shard
