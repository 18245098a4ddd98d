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

PR_SET_CHILD_SUBREAPER = 36
SAMPLE_SECONDS = 0.2


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
        wall: in seconds.
        memory: of every process, a few times a second.
    """

    exit_code: int = 0
    cpu: float = 0.0
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
        watcher = threading.Thread(target=_watch, args=(process.pid, found.memory, over))
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


def _watch(main: int, samples: list[Sample], over: threading.Event) -> None:
    started = time.monotonic()
    while not over.wait(SAMPLE_SECONDS):
        for pid, role in _roles(main).items():
            with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
                samples.append(Sample(time.monotonic() - started, role, *_memory(pid)))


def _roles(main: int) -> dict[int, str]:
    """`main`, and `worker` for the processes that its fork server forked."""
    parents = {int(path.name): _parent(path) for path in Path("/proc").iterdir() if path.name.isdecimal()}
    helpers = {pid for pid, parent in parents.items() if parent == main}
    return {main: "main"} | {pid: "worker" for pid, parent in parents.items() if parent in helpers}


def _parent(process: Path) -> int | None:
    try:
        return int(process.joinpath("stat").read_text().rpartition(")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return None


def _memory(pid: int) -> tuple[int, int]:
    """Resident and unique memory in bytes."""
    lines = [line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]]
    size = {line[0]: int(line[1]) * 1024 for line in lines}
    return size.get("Rss:", 0), size.get("Private_Clean:", 0) + size.get("Private_Dirty:", 0)
