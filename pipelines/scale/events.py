"""Discrete-event simulation in small: processes are generators, a heap is the clock.

A process yields seconds to let time pass, or a resource to wait for one unit of it, which it gives back by `release`.
"""

import heapq
from collections import deque
from collections.abc import Generator
from itertools import count
from typing import Any

Process = Generator["float | Resource", None, Any]


class Clock:
    """Runs processes in the order of their times; those of equal time in the order in which they came."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Process]] = []
        self._order = count()

    def start(self, process: Process, after: float = 0.0) -> None:
        """Have a process go on after some seconds."""
        heapq.heappush(self._due, (self.now + after, next(self._order), process))

    def run(self) -> float:
        """Run until nothing is due; returns the time of the last event, in seconds."""
        while self._due:
            self.now, _, process = heapq.heappop(self._due)
            self._step(process)
        return self.now

    def _step(self, process: Process) -> None:
        try:
            wanted = next(process)
        except StopIteration:
            return
        if isinstance(wanted, Resource):
            wanted.queue(process)
        else:
            self.start(process, wanted)


class Resource:
    """So many equal units, given out in the order of asking.

    Attributes:
        units: how many there are.
        busy: unit-seconds that were held so far; those given back only.
    """

    def __init__(self, clock: Clock, units: int):
        self.units = units
        self.busy = 0.0
        self._clock = clock
        self._free = units
        self._waiting: deque[Process] = deque()

    def queue(self, process: Process) -> None:
        """Let a process wait for a unit; called by the clock."""
        if self._free:
            self._free -= 1
            self.busy -= self._clock.now
            self._clock.start(process)
        else:
            self._waiting.append(process)

    def release(self) -> None:
        """Give one unit back; whoever waits longest has it at once."""
        if self._waiting:
            self._clock.start(self._waiting.popleft())
        else:
            self._free += 1
            self.busy += self._clock.now

    def held(self, seconds: float) -> Process:
        """Take a unit, keep it for a while, and give it back; for `yield from`."""
        yield self
        yield seconds
        self.release()
