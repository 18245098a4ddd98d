"""What tests of disturbed runs share: films that hang, who reads them, and the comparison with a calm run."""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from lrrg.tests.poison import write_poison
from lrrg.tests.project import Project, eventually, write_films

HELD = ("film030", "film050")
"""Films in the midst of a run, far enough from each other to be in different shards of it."""


def write_films_and_poison(folder: Path, films: int) -> None:
    """Write some films, and every kind of bad file below them."""
    write_films(folder, films)
    write_poison(folder / "poison")
    for path in (folder / "poison").iterdir():
        path.rename(path.with_stem(f"{path.stem}-{path.suffix[1:]}"))  # so that no two share an image id


def copied(project: Project, folder: Path) -> Project:
    """The project with a database of its own in `folder`."""
    for path in (project.db, project.policy):
        (folder / path.name).write_bytes(path.read_bytes())
    return Project(project.films, folder / project.db.name)


@dataclass(frozen=True)
class Stuck:
    """Films whose reading hangs, as on a dead network disk: a pipe that nothing comes from is in the place of each.

    Attributes:
        asides: where each film is meanwhile.
        pipes: the pipe of each, held open.
    """

    asides: dict[Path, Path]
    pipes: list[int]

    def reached(self) -> bool:
        """Whether each of them holds somebody up."""
        return all(holders(os.fstat(pipe)) for pipe in self.pipes)

    def let_go(self) -> None:
        """Put the films back, and kill who hangs in reading one: another process will read it anew."""
        self.put_back()
        for pipe in self.pipes:
            for each in holders(os.fstat(pipe)):
                with suppress(psutil.NoSuchProcess):
                    each.kill()

    def put_back(self) -> None:
        """Put the films back, for whoever opens them from now on."""
        for path, aside in self.asides.items():
            if aside.exists():
                aside.rename(path)


@contextmanager
def stuck(*paths: Path) -> Iterator[Stuck]:
    """Make the reading of films hang; in the end they are back."""
    made = Stuck({path: path.with_suffix(".aside") for path in paths}, [])
    try:
        for path, aside in made.asides.items():
            path.rename(aside)
            os.mkfifo(path)
            made.pipes.append(os.open(path, os.O_RDWR))  # with a writer there, a reader hangs in read, not in open
        yield made
    finally:
        for pipe in made.pipes:
            os.close(pipe)
        made.put_back()


def held(project: Project) -> AbstractContextManager[Stuck]:
    """Make a run of two workers stop at two films, however long this process takes to see it."""
    return stuck(*(project.films / f"{name}.jpg" for name in HELD))


def interrupt(run: subprocess.Popen[str]) -> None:
    """Send a SIGINT and wait until it has arrived: two that wait for a stalled process count as one."""
    run.send_signal(signal.SIGINT)
    eventually(lambda: signal.SIGINT not in waiting(run.pid))


def waiting(pid: int) -> set[int]:
    """Signals that a process has been sent and not taken yet."""
    masks = re.findall(r"^S(?:ig|hd)Pnd:\s(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return {bit + 1 for bit in range(64) if any(int(mask, 16) >> bit & 1 for mask in masks)}


def readers(path: Path) -> list[psutil.Process]:
    """Other processes that have a file open."""
    return holders(path.stat())


def holders(file: os.stat_result) -> list[psutil.Process]:
    """Other processes that have a file open, whatever its name is by now and whoever started them."""
    found = []
    for pid in set(psutil.pids()) - {os.getpid()}:
        with suppress(FileNotFoundError, ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if any(os.path.samestat(handle.stat(), file) for handle in Path(f"/proc/{pid}/fd").iterdir()):
                found.append(psutil.Process(pid))
    return found


def wait_for_rows(project: Project) -> None:
    """Wait until a run, the first on its database, has committed verdicts: its start alone writes less."""
    log = project.db.with_suffix(".duckdb.wal")
    eventually(lambda: log.exists() and log.stat().st_size > 50_000)


def finish_and_compare(project: Project, undisturbed: list[str]) -> None:
    """Run the same command again, and see that the table is that of a run that nothing happened to."""
    assert project.annotate().exit_code == 0
    assert project.nothing_lost_nothing_doubled()
    assert project.table() == undisturbed
