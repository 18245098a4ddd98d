"""How long an archive takes on given hardware, and what holds it up: totals of each resource, and a simulated run."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from ..records import SHARD_IMAGES
from .parts import Parts
from .simulate import Forecast, Hardware, cluster_run, local_run

SAMPLE = 4096
"""Images of a local run that are simulated; a longer run goes on at the same pace."""
HOUR = 3600.0


class Demand(NamedTuple):
    """What a run asks of one resource: hours if that alone held it up, and its busy share of the simulated run."""

    resource: str
    alone_hours: float
    busy: float


@dataclass(frozen=True)
class Plan:
    """A run that has not been made.

    Attributes:
        hours: until the last verdict is stored, by simulation.
        demands: of every resource, the bottleneck first.
        terabytes: read from storage.
        requests: to the storage, a second.
    """

    hours: float
    demands: tuple[Demand, ...]
    terabytes: float
    requests: float

    def summary(self) -> dict[str, float | str]:
        """The figures that are no table."""
        return {
            "hours": round(self.hours, 2),
            "bottleneck": self.demands[0].resource,
            "TB read": round(self.terabytes, 2),
            "reads/s": round(self.requests, 1),
        }


def plan(images: int, parts: Parts, there: Hardware) -> Plan:
    """Forecast a run: on one machine by the local engine, on several by a cluster with full tasks."""
    found = _local(images, parts, there) if there.machines == 1 else cluster_run(images, SHARD_IMAGES, parts, there)
    alone = _alone(images, parts, there)
    demands = [Demand(name, alone[name] / HOUR, found.used[name]) for name in alone]
    demands.sort(key=lambda each: -each.alone_hours)
    reads = images * there.reads
    return Plan(found.seconds / HOUR, tuple(demands), reads * parts.film_bytes / 1e12, reads / found.seconds)


def _local(images: int, parts: Parts, there: Hardware) -> Forecast:
    few = min(images, SAMPLE)
    found = local_run(few, parts, there)
    return replace(found, seconds=parts.start + (found.seconds - parts.start) * images / few)


def _alone(images: int, parts: Parts, there: Hardware) -> dict[str, float]:
    """Seconds that each resource would take by itself."""
    judging = images * there.judged / (max(1, there.judges) * there.judge_rate)
    reads = images * there.reads
    reading = reads * (there.wait + parts.film_bytes / there.stream)
    working = images * (parts.film + there.shown(parts))
    deciding = images * (parts.decide + there.judged * parts.ask)
    writing = images * parts.write
    if there.machines == 1:
        return {
            "cores": (working + deciding + writing) / there.cores,
            "workers": (reading + working) / there.workers,
            "main process": deciding,
            "writer": writing,
            "judges": judging,
        }
    tasks = images / SHARD_IMAGES
    busy = working + deciding + writing + tasks * parts.task
    return {
        "cores": busy / (there.machines * there.cores),
        "tasks": (busy + reading) / (there.machines * there.workers),
        "network": reads * parts.film_bytes / there.network,
        "driver": tasks * parts.merge + images * parts.merge_row,
        "judges": judging,
    }
