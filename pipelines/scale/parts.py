"""The measured parts of a run: what one film, one task and one start cost."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean

from ..errors import SettingsError

SHIPPED = Path(__file__).with_name("parts.json")
"""Measured by `lrrg bench scale` on the machine that it names."""


@dataclass(frozen=True)
class Parts:
    """Service times, all of a processor of its own: what waiting for a busy one adds is the simulation's to find.

    Attributes:
        machine: where they were measured.
        film_bytes: mean size of the films.
        films: seconds of a worker for each film of a sample: reading, decoding, measuring.
        decide: seconds of the main process for one image: the agent's graph, progress, its pipe to the worker.
        write: seconds of the writer for one verdict.
        start: seconds until a local run's first film, and after its last, with a worker for every core.
        cluster_start: the same for a run on a cluster of this machine.
        task: seconds of a task beside its films: worker processes, agent, file.
        merge: seconds of the driver for one task's file.
        merge_row: seconds of the driver for one verdict in it.
        reopen: seconds of a worker to open a film once more for a judge who does not see all of them.
        show: seconds of a worker to cut what a judge sees of an open film.
        ask: seconds of the main process for one request to a judge.
    """

    machine: str
    film_bytes: float
    films: tuple[float, ...]
    decide: float
    write: float
    start: float
    cluster_start: float
    task: float
    merge: float
    merge_row: float
    reopen: float
    show: float
    ask: float

    @property
    def film(self) -> float:
        """Mean seconds of a worker for one film."""
        return sum(self.films) / len(self.films)

    def save(self, path: Path) -> None:
        """Write them as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def mean(measured: Sequence[Parts]) -> Parts:
    """Several measurements on one machine as one: the films of all, of every other cost the mean."""
    first, every = measured[0], [asdict(each) for each in measured]
    costs = {name: fmean(each[name] for each in every) for name, cost in every[0].items() if isinstance(cost, float)}
    return replace(first, films=tuple(film for each in measured for film in each.films), **costs)


def read_parts(path: Path = SHIPPED) -> Parts:
    """Read parts that were saved.

    Raises:
        SettingsError: no such file, or it holds something else.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return Parts(**found | {"films": tuple(found["films"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SettingsError(f"{path}: no measured parts ({error}); lrrg bench scale --out writes them") from error
