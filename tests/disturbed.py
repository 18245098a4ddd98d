"""What tests of disturbed runs share: films that hang, who reads them, and the comparison with a calm run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from lrrg.tests.poison import write_poison
from lrrg.tests.project import Project, eventually, family, write_films


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


@contextmanager
def stuck(path: Path) -> Iterator[Path]:
    """A file that never ends: reading it hangs, as on a dead network disk. The film is back afterwards."""
    aside = path.with_suffix(".aside")
    path.rename(aside)
    os.mkfifo(path)
    pipe = os.open(path, os.O_RDWR)  # with a writer there, a reader hangs in read rather than in open
    try:
        yield path
    finally:
        os.close(pipe)
        aside.rename(path)


def readers(path: Path, root: int) -> list[psutil.Process]:
    """Descendants of a process that have a file open."""
    found = []
    for each in family(root):
        with suppress(FileNotFoundError, ProcessLookupError):
            if any(handle.resolve() == path for handle in Path(f"/proc/{each.pid}/fd").iterdir()):
                found.append(each)
    return found


def wait_for_rows(project: Project, within: float = 60.0) -> None:
    """Wait until the run has committed something more: the write-ahead log grows."""
    log = project.db.with_suffix(".duckdb.wal")
    before = log.stat().st_size if log.exists() else 0
    eventually(lambda: log.exists() and log.stat().st_size > before + 20_000, within)


def finish_and_compare(project: Project, undisturbed: list[str]) -> None:
    """Run the same command again, and see that the table is that of a run that nothing happened to."""
    assert project.annotate().exit_code == 0
    assert project.nothing_lost_nothing_doubled()
    assert project.table() == undisturbed
