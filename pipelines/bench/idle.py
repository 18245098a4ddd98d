"""How long something would have taken had nobody else used the machine: wall time less waiting for a processor.

Linux counts for every thread how long it ran and how long it was ready but had to wait. Both are read a few times a
second for this process and all that it started. Where they wanted more than the machine has, only what others took
from them is left out.
"""

import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from .processes import family

SAMPLE_SECONDS = 0.5
"""A cluster has hundreds of threads, and every look at them takes from what is measured."""


@dataclass
class Spent:
    """Totals of some threads, in seconds: on a processor, and ready without one."""

    ran: float = 0.0
    waited: float = 0.0


def cores() -> int:
    """Cores that this process and what it starts may use."""
    return len(os.sched_getaffinity(0))


class IdleClock:
    """Counts while its block runs.

    Attributes:
        seconds: on an otherwise idle machine, as far as it ran.
        wall: as it was.
    """

    def __init__(self) -> None:
        self.seconds = self.wall = 0.0
        self._cores = cores()
        self._over = threading.Event()
        self._last: dict[str, tuple[int, int]] = {}

    def __enter__(self) -> Self:
        self._then = time.monotonic()
        self._spent()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._count()

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self._count()

    def _count(self) -> None:
        now, spent = time.monotonic(), self._spent()
        passed, self._then = now - self._then, now
        self.wall += passed
        self.seconds += undisturbed(passed, spent, self._cores)

    def _spent(self) -> Spent:
        """Since the last time asked, threads that are new counted from their start."""
        found = Spent()
        seen = dict(_threads(os.getpid()))
        for thread, (ran, waited) in seen.items():
            before = self._last.get(thread, (0, 0))
            found.ran += (ran - before[0]) / 1e9
            found.waited += (waited - before[1]) / 1e9
        self._last = seen
        return found


def undisturbed(passed: float, spent: Spent, cores: int) -> float:
    """What `passed` seconds would have been with all cores for these threads alone.

    Args:
        passed: seconds.
        spent: by the threads meanwhile.
        cores: of the machine.
    """
    wanted = spent.ran + spent.waited
    if wanted <= passed:
        return passed - spent.waited
    return passed * min(1.0, spent.ran / min(wanted, cores * passed))


def _threads(main: int) -> list[tuple[str, tuple[int, int]]]:
    """Nanoseconds that each thread of a process and of its descendants ran and waited."""
    found = []
    for each in family(main):
        with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            for task in Path(f"/proc/{each.pid}/task").iterdir():
                with suppress(FileNotFoundError, ProcessLookupError):
                    ran, waited, _ = map(int, (task / "schedstat").read_text().split())
                    found.append((f"{each.pid}/{task.name}", (ran, waited)))
    return found
