"""`lrrg bench judge`: the agent's requests a second against a bare load generator's, at the same server, in one run."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import cv2
import numpy as np

from ...agent.policy import load
from ...agent.state import ImageRef, Verdict
from ...benchmark.mimic import mimic_jpeg
from ...benchmark.phantom import phantom
from ..adapters.base import SUFFIXES
from ..engines.judging import Agent, identify, open_agent, under_way
from ..engines.pool import Pool
from ..engines.unit import LANES_PER_WORKER
from ..errors import SettingsError
from ..settings import Settings
from .replay import Timed, asking, in_lanes, only_judge, recorded, replay

HEIGHT = 640
"""Rows of the phantoms: films that take a worker less time than a judge, on one core each; else tools are measured."""
DISTINCT = 12
"""Phantoms drawn; each is asked about several times."""
Report = Callable[[int], object]


class Arm(NamedTuple):
    """How fast one of the two was."""

    who: str
    requests: int
    seconds: float
    rate: float
    """Requests a second."""
    p50: float
    """Median latency in milliseconds: of a request for the generator, of a whole image for the agent."""
    p95: float
    cpu: float
    """CPU milliseconds a request costs on this side: of this process and its workers, not of the server."""


@dataclass(frozen=True)
class Kept:
    """What the agent keeps of the throughput that a server gives a bare load generator.

    Attributes:
        arms: generator and agent.
        rounds: ratio of the agent's rate to the generator's in each round.
    """

    arms: tuple[Arm, Arm]
    rounds: tuple[float, ...]

    def summary(self) -> dict[str, Any]:
        """The figure this is about."""
        bare, agent = self.arms
        low, high = min(self.rounds), max(self.rounds)
        return {"kept": round(agent.rate / bare.rate, 3), "rounds": len(self.rounds), "from": low, "to": high}


def bench_judge(films: Path | None, settings: Settings, images: int, rounds: int, done: Report) -> Kept:
    """Ask a judge about the same films through the agent and through a generator that replays the agent's requests.

    The two take turns, and each goes first every other round, because a server remembers what it has seen. The
    generator has the requests ready: whatever the agent does beside sending them is what it is compared for. Where the
    server computes on the same cores as the agent's workers, they compete; give each its own (`taskset`). A server that
    caches prefixes answers films it has seen without looking at them again, which no run asks of it: serve with
    `-- --no-enable-prefix-caching`. What a run takes to fill and to empty its lanes counts, so rounds should be long.

    Args:
        films: folder of films; None draws phantoms.
        settings: with the judge's URL; one request an image, all films.
        images: asked about in each round.
        rounds: of both.
        done: told of each finished round.

    Raises:
        SettingsError: no film in the folder, not one URL of plain HTTP, or the server refuses a replayed request.
        JudgeUnavailable: the judge cannot be reached.
    """
    settings = asking(settings, only_judge(settings))
    with TemporaryDirectory(prefix="lrrg-bench-") as scratch:
        paths = _films(films) if films else _draw(Path(scratch))
        refs = [ImageRef(f"{k}", str(path)) for k, path in enumerate(islice(cycle(paths), images))]
        return asyncio.run(_compare(refs, settings, rounds, done))


async def _compare(refs: Sequence[ImageRef], settings: Settings, rounds: int, done: Report) -> Kept:
    how = settings.annotate
    async with Pool(how.workers, settings.read, how.tool_timeout) as pool:
        judge = await asyncio.to_thread(identify, settings)
        assert judge is not None
        requests = await recorded(refs, judge, settings, pool)
        bare, ours = list[Timed](), list[Timed]()
        async with open_agent(load(settings.agent.policy), settings, pool.ask) as agent:
            await _annotate(agent, refs, settings)  # neither meets a cold server
            for k in range(rounds):
                if k % 2:
                    ours.append(await _metered(_annotate(agent, refs, settings), pool))
                bare.append(await _metered(replay(requests, settings), pool))
                if not k % 2:
                    ours.append(await _metered(_annotate(agent, refs, settings), pool))
                done(1)
    ratios = tuple(round(one.seconds / other.seconds, 3) for one, other in zip(bare, ours, strict=True))
    return Kept((_arm("load generator", bare), _arm("agent", ours)), ratios)


def _arm(who: str, timed: Sequence[Timed]) -> Arm:
    latencies = [each for one in timed for each in one.latencies]
    number, seconds = len(latencies), sum(one.seconds for one in timed)
    p50, p95 = np.quantile(latencies, [0.5, 0.95]) * 1e3
    cpu = sum(one.cpu for one in timed) / number * 1e3
    return Arm(who, number, *(round(float(each), 2) for each in (seconds, number / seconds, p50, p95, cpu)))


async def _metered(work: Awaitable[Timed], pool: Pool) -> Timed:
    before = _cpu(pool)
    timed = await work
    return timed._replace(cpu=_cpu(pool) - before)


def _cpu(pool: Pool) -> float:
    """CPU seconds that this process and its workers have used."""
    stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in (os.getpid(), *pool.pids)]
    return sum(int(user) + int(system) for *_, user, system in (stat[:13] for stat in stats)) / os.sysconf("SC_CLK_TCK")


async def _annotate(agent: Agent, refs: Sequence[ImageRef], settings: Settings) -> Timed:
    """Decide on every film, as many at a time as a run does."""
    verdicts: list[Verdict] = []

    async def one(ref: ImageRef) -> None:
        verdicts.append(await agent.decide(ref))

    lanes = settings.annotate.workers * LANES_PER_WORKER + under_way(settings)
    timed = await in_lanes(refs, lanes, one)
    wrong = [each for each in verdicts if each.judgement is None]
    if wrong:
        raise SettingsError(f"{wrong[0].image_id}: no judgement: {wrong[0].error_detail}")
    return timed


def _films(folder: Path) -> list[Path]:
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        raise SettingsError(f"{folder}: no PNG, JPEG or DICOM film below it")
    return found


def _draw(folder: Path) -> list[Path]:
    cv2.setNumThreads(1)
    paths = [folder / f"{seed}.jpg" for seed in range(DISTINCT)]
    for seed, path in enumerate(paths):
        path.write_bytes(mimic_jpeg(phantom(seed, height=HEIGHT).stored))
    return paths
