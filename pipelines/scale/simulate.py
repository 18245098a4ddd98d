"""The engines as processes and resources: one machine image by image, a cluster task by task."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

from ..engines.unit import LANES_PER_WORKER
from .events import Clock, Process, Resource
from .parts import Parts

SLICE = 0.005
"""Seconds for which a process keeps a processor before the next gets its turn."""
TURNS = 32
"""Of one piece of work at most: what a task of a thousand films does in turns of seconds, it does in as many."""


@dataclass(frozen=True)
class Hardware:
    """What a run has at its disposal.

    Attributes:
        machines: of a cluster, or 1.
        cores: of each.
        workers: processes that measure films, or tasks at once, on each machine.
        wait: seconds a worker waits for the first byte of a film.
        stream: bytes a second of one film that arrives.
        network: bytes a second of all films together.
        judges: model servers.
        judge_rate: images a second of each.
        judged: share of the images that a judge is asked about.
    """

    machines: int = 1
    cores: int = 1
    workers: int = 1
    wait: float = 0.0
    stream: float = 1e9
    network: float = 1e11
    judges: int = 0
    judge_rate: float = 1.0
    judged: float = 0.0

    @property
    def reads(self) -> float:
        """How often a film is read: once more for a judge, where it was not known from the start that one sees it."""
        return 1 + (self.judged if self.judged < 1 else 0.0)

    def shown(self, parts: Parts) -> float:
        """Mean seconds of a worker for what judges see, an image."""
        return self.judged * parts.show + (self.reads - 1) * parts.reopen


@dataclass(frozen=True)
class Forecast:
    """How a run would go.

    Attributes:
        seconds: until its last verdict is stored.
        used: share of the time for which each resource was busy; the highest is the bottleneck.
    """

    seconds: float
    used: dict[str, float]


def local_run(images: int, parts: Parts, here: Hardware, seed: int = 0) -> Forecast:
    """One machine: lanes of images share worker processes, one main process and one writer, and those the cores."""
    clock = Clock()
    cores, workers = Resource(clock, here.cores), Resource(clock, here.workers)
    main, writer, judge = Resource(clock, 1), Resource(clock, 1), Resource(clock, max(1, here.judges))
    draw = random.Random(seed)
    left = iter(range(images))

    def lane() -> Process:
        for _ in left:
            yield from worked(draw.choice(parts.films) + (parts.show if here.judged == 1 else 0.0))
            yield from served(main, parts.decide)
            if draw.random() < here.judged:
                if here.judged < 1:
                    yield from worked(parts.reopen + parts.show)
                yield from served(main, parts.ask)
                yield from judge.held(1 / here.judge_rate)
            yield from served(writer, parts.write)

    def worked(seconds: float) -> Process:
        yield workers
        yield here.wait + parts.film_bytes / here.stream
        yield from _computed(cores, seconds)
        workers.release()

    def served(one: Resource, seconds: float) -> Process:
        yield one
        yield from _computed(cores, seconds)
        one.release()

    for _ in range(here.workers * LANES_PER_WORKER + here.judges):
        clock.start(lane())
    seconds = clock.run()
    named = {"cores": cores, "workers": workers, "main process": main, "writer": writer, "judges": judge}
    return Forecast(parts.start + seconds, _used(named, seconds))


def cluster_run(images: int, shard: int, parts: Parts, here: Hardware, seed: int = 0) -> Forecast:
    """A cluster: every task measures its films in turn, then waits for the judge and the driver, who merges its file.

    A task's films are drawn together: their sum is near enough to a normal distribution.
    """
    clock = Clock()
    cores = Resource(clock, here.machines * here.cores)
    slots = Resource(clock, here.machines * here.workers)
    streams = Resource(clock, max(1, int(here.network / here.stream)))
    driver, judge = Resource(clock, 1), Resource(clock, max(1, here.judges))
    draw = random.Random(seed)
    sizes = _shards(images, shard)

    def task(films: int) -> Process:
        reads = films * here.reads
        yield from streams.held(reads * parts.film_bytes / here.stream)
        yield reads * here.wait
        each = parts.decide + parts.write + here.shown(parts) + here.judged * parts.ask
        yield from _computed(cores, parts.task + films * each + _sum(parts, films, draw))
        slots.release()
        if here.judged:
            yield from judge.held(films * here.judged / here.judge_rate)
        yield from driver.held(parts.merge + films * parts.merge_row)

    def submit() -> Process:
        for films in sizes:
            yield slots
            clock.start(task(films))

    clock.start(submit())
    seconds = clock.run()
    named = {"cores": cores, "tasks": slots, "network": streams, "driver": driver, "judges": judge}
    return Forecast(parts.cluster_start + seconds, _used(named, seconds))


def _computed(cores: Resource, seconds: float) -> Process:
    """Use a processor in turns with whoever else wants one; long work in longer turns."""
    turns = max(1, min(TURNS, math.ceil(seconds / SLICE)))
    for _ in range(turns):
        yield cores
        yield seconds / turns
        cores.release()


def _sum(parts: Parts, films: int, draw: random.Random) -> float:
    variance = sum((each - parts.film) ** 2 for each in parts.films) / len(parts.films)
    return max(0.0, draw.gauss(films * parts.film, math.sqrt(films * variance)))


def _shards(images: int, shard: int) -> Iterator[int]:
    whole, rest = divmod(images, shard)
    yield from (shard for _ in range(whole))
    yield from ([rest] if rest else [])


def _used(resources: dict[str, Resource], seconds: float) -> dict[str, float]:
    return {name: each.busy / (seconds * each.units) for name, each in resources.items() if seconds}
