"""What a command and every process it starts cost: CPU time to the last orphan, memory by role. Linux only."""

import ctypes
import os
import resource
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

PR_SET_CHILD_SUBREAPER = 36
SAMPLE_SECONDS = 0.2
CPU_SECONDS = 0.05
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Sample:
    """Memory of one process at one moment, in bytes."""

    seconds: float
    """Since the command's start."""
    role: str
    resident: int
    unique: int
    """Private pages only (USS): what its end would free."""


@dataclass
class Cost:
    """What a command cost, its descendants included.

    Attributes:
        cpu: user and system time in seconds.
        seen: the same as last seen of every process while the command ran, a little less: those count too that
            something other than their parent ends, as a cluster's workers.
        seen_of_workers: what of that the processes used that a fork server forked.
        wall: in seconds.
        memory: of every process, a few times a second.
    """

    exit_code: int = 0
    cpu: float = 0.0
    seen: float = 0.0
    seen_of_workers: float = 0.0
    wall: float = 0.0
    memory: list[Sample] = field(default_factory=list)

    def peak(self, role: str, share: tuple[float, float] = (0.0, 1.0)) -> tuple[int, int]:
        """Largest resident and unique memory of a process in that role, between two fractions of the run."""
        low, high = (fraction * self.wall for fraction in share)
        seen = [each for each in self.memory if each.role == role and low <= each.seconds <= high]
        return max((each.resident for each in seen), default=0), max((each.unique for each in seen), default=0)


def cost(command: Sequence[str], environment: Mapping[str, str]) -> Cost:
    """Run a command to its end and add up what it and its descendants used.

    Descendants whose parent dies first become this process's children, so that none of their time is lost.
    """
    found, before, started = Cost(), _children_cpu(), time.monotonic()
    with _adopting_orphans():
        process = subprocess.Popen(command, env=dict(environment), stdout=subprocess.DEVNULL, process_group=0)
        over = threading.Event()
        spent = _Spent()
        watcher = threading.Thread(target=_watch, args=(process.pid, found.memory, spent, over))
        watcher.start()
        try:
            found.exit_code = process.wait()
            with suppress(ChildProcessError):
                while True:
                    os.waitpid(-process.pid, 0)  # any child in the command's process group
        finally:
            process.kill()
            over.set()
            watcher.join()
    found.wall = time.monotonic() - started
    found.cpu = _children_cpu() - before
    found.seen = sum(spent.cpu.values())
    found.seen_of_workers = sum(spent.cpu[worker] for worker in spent.workers)
    return found


@contextmanager
def _adopting_orphans() -> Iterator[None]:
    library = ctypes.CDLL(None)
    library.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        library.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@dataclass
class _Spent:
    """CPU seconds of every process by number and clock tick of its birth, and which of them were seen as workers."""

    cpu: dict[tuple[int, int], float] = field(default_factory=dict)
    workers: set[tuple[int, int]] = field(default_factory=set)


def _watch(main: int, samples: list[Sample], spent: _Spent, over: threading.Event) -> None:
    started = last = time.monotonic()
    while not over.wait(CPU_SECONDS):
        living = family(main)
        roles = _roles(main, living)
        spent.cpu |= {(each.pid, each.born): each.cpu for each in living}
        spent.workers |= {(each.pid, each.born) for each in living if roles.get(each.pid) == "worker"}
        if time.monotonic() - last >= SAMPLE_SECONDS:
            last = time.monotonic()
            for pid, role in roles.items():
                with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
                    samples.append(Sample(last - started, role, *_memory(pid)))


class Process(NamedTuple):
    """One line of `ps`: number, parent's number, clock tick of its birth, CPU seconds."""

    pid: int
    parent: int
    born: int
    cpu: float


def family(main: int) -> list[Process]:
    """`main` and all its descendants."""
    living = {each.pid: each for each in map(_process, Path("/proc").glob("[0-9]*")) if each}
    known, unknown = {main}, set(living) - {main}
    while children := {pid for pid in unknown if living[pid].parent in known}:
        known |= children
        unknown -= children
    return [living[pid] for pid in known & set(living)]


def _process(folder: Path) -> Process | None:
    try:
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return Process(int(folder.name), int(fields[1]), int(fields[19]), (int(fields[11]) + int(fields[12])) / TICKS)


def _roles(main: int, family: Sequence[Process]) -> dict[int, str]:
    """`main`, and `worker` for the processes that its fork server forked."""
    helpers = {each.pid for each in family if each.parent == main}
    return {main: "main"} | {each.pid: "worker" for each in family if each.parent in helpers}


def _memory(pid: int) -> tuple[int, int]:
    """Resident and unique memory in bytes."""
    lines = [line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]]
    size = {line[0]: int(line[1]) * 1024 for line in lines}
    return size.get("Rss:", 0), size.get("Private_Clean:", 0) + size.get("Private_Dirty:", 0)
