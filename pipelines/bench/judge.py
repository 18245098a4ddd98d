"""`lrrg bench judge`: the agent's requests a second against a bare load generator's, at the same server, in one run."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import cv2
import numpy as np

from ...agent.policy import load
from ...agent.state import ASPECTS, ImageRef, Verdict
from ...benchmark.mimic import mimic_jpeg
from ...benchmark.phantom import phantom
from ..engines.judging import Agent, identify, open_agent, under_way
from ..engines.pool import Pool
from ..engines.unit import LANES_PER_WORKER
from ..errors import SettingsError
from ..settings import Settings

HEIGHT = 640
"""Rows of the phantoms: films that take a worker less time than a judge, on one core each; else tools are measured."""
DISTINCT = 12
"""Phantoms drawn; each is asked about several times."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".dcm")
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


class _Timed(NamedTuple):
    seconds: float
    latencies: list[float]
    cpu: float = 0.0


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
        SettingsError: no film in the folder, not one URL, or the server refuses a replayed request.
        JudgeUnavailable: the judge cannot be reached.
    """
    if len(settings.judge.urls) != 1:
        raise SettingsError("bench judge compares on one server; name it with --judge URL")
    judge = settings.judge.model_copy(update={"when": "all", "looks": 0})
    settings = settings.model_copy(update={"judge": judge})
    with TemporaryDirectory(prefix="lrrg-bench-") as scratch:
        paths = _films(films) if films else _draw(Path(scratch))
        refs = [ImageRef(f"{k}", str(path)) for k, path in enumerate(islice(cycle(paths), images))]
        return asyncio.run(_compare(refs, settings, rounds, done))


async def _compare(refs: Sequence[ImageRef], settings: Settings, rounds: int, done: Report) -> Kept:
    how = settings.annotate
    async with Pool(how.workers, settings.read, how.tool_timeout) as pool:
        requests = await _recorded(refs, settings, pool)
        bare, ours = list[_Timed](), list[_Timed]()
        async with open_agent(load(settings.agent.policy), settings, pool.ask) as agent:
            await _annotate(agent, refs, settings)  # neither meets a cold server
            for k in range(rounds):
                if k % 2:
                    ours.append(await _metered(_annotate(agent, refs, settings), pool))
                bare.append(await _metered(_generate(requests, settings), pool))
                if not k % 2:
                    ours.append(await _metered(_annotate(agent, refs, settings), pool))
                done(1)
    ratios = tuple(round(one.seconds / other.seconds, 3) for one, other in zip(bare, ours, strict=True))
    return Kept((_arm("load generator", bare), _arm("agent", ours)), ratios)


def _arm(who: str, timed: Sequence[_Timed]) -> Arm:
    latencies = [each for one in timed for each in one.latencies]
    number, seconds = len(latencies), sum(one.seconds for one in timed)
    p50, p95 = np.quantile(latencies, [0.5, 0.95]) * 1e3
    cpu = sum(one.cpu for one in timed) / number * 1e3
    return Arm(who, number, *(round(float(each), 2) for each in (seconds, number / seconds, p50, p95, cpu)))


async def _metered(work: Awaitable[_Timed], pool: Pool) -> _Timed:
    before = _cpu(pool)
    timed = await work
    return timed._replace(cpu=_cpu(pool) - before)


def _cpu(pool: Pool) -> float:
    """CPU seconds that this process and its workers have used."""
    stats = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in (os.getpid(), *pool.pids)]
    return sum(int(user) + int(system) for *_, user, system in (stat[:13] for stat in stats)) / os.sysconf("SC_CLK_TCK")


async def _annotate(agent: Agent, refs: Sequence[ImageRef], settings: Settings) -> _Timed:
    """Decide on every film, as many at a time as a run does."""
    verdicts: list[Verdict] = []

    async def one(ref: ImageRef) -> None:
        verdicts.append(await agent.decide(ref))

    lanes = settings.annotate.workers * LANES_PER_WORKER + under_way(settings)
    timed = await _in_lanes(refs, lanes, one)
    wrong = [each for each in verdicts if each.judgement is None]
    if wrong:
        raise SettingsError(f"{wrong[0].image_id}: no judgement: {wrong[0].error_detail}")
    return timed


async def _generate(requests: Sequence[bytes], settings: Settings) -> _Timed:
    """Send all requests, as many at a time as the client may, over connections that stay open."""
    parts = urlsplit(settings.judge.urls[0])
    free = asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]()
    for _ in range(settings.client.concurrency):
        free.put_nowait(await asyncio.open_connection(parts.hostname, parts.port or 80))

    async def one(request: bytes) -> None:
        reader, writer = await free.get()
        writer.write(request)
        reply = await _message(reader)
        if not reply.startswith(b"HTTP/1.1 200"):
            raise SettingsError(f"the server refuses a replayed request: {reply[:300]!r}")
        free.put_nowait((reader, writer))

    try:
        return await _in_lanes(requests, settings.client.concurrency, one)
    finally:
        while not free.empty():
            free.get_nowait()[1].close()


async def _in_lanes(items: Sequence[Any], lanes: int, work: Callable[[Any], Awaitable[None]]) -> _Timed:
    latencies: list[float] = []
    rest: Iterator[Any] = iter(items)

    async def lane() -> None:
        for item in rest:
            before = time.perf_counter()
            await work(item)
            latencies.append(time.perf_counter() - before)

    started = time.perf_counter()
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(lanes):
                group.create_task(lane())
    except BaseExceptionGroup as broken:
        raise broken.exceptions[0] from None
    return _Timed(time.perf_counter() - started, latencies)


async def _recorded(refs: Sequence[ImageRef], settings: Settings, pool: Pool) -> list[bytes]:
    """The requests that the agent sends for some films, byte for byte; the judge gets none of them."""
    judge = await asyncio.to_thread(identify, settings)
    assert judge is not None
    names = [judge["model"], *([f"{judge['model']}@{judge['revision']}"] if judge["revision"] else [])]
    async with _dry_server(names) as (url, requests):
        dry = settings.model_copy(update={"judge": settings.judge.model_copy(update={"urls": (url,)})})
        async with open_agent(load(settings.agent.policy), dry, pool.ask) as agent:
            for ref in refs:
                await agent.decide(ref)
    return requests


@asynccontextmanager
async def _dry_server(models: Sequence[str]) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that keeps requests and finds no defect on any film."""
    requests: list[bytes] = []
    listing = json.dumps({"object": "list", "data": [{"id": name, "object": "model"} for name in models]})
    flawless = json.dumps(_flawless(models[0]))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _message(reader):
                if request.startswith(b"POST"):
                    requests.append(request)
                content = (flawless if request.startswith(b"POST") else listing).encode()
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
                writer.write(head.encode() + content)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", requests


def _flawless(model: str) -> dict[str, Any]:
    pieces = [piece for aspect in ASPECTS for piece in (f'"{aspect}":', "0", ",")]
    tokens = ["{", *pieces[:-1], "}"]
    listed = [{"token": token, "logprob": 0.0, "top_logprobs": []} for token in tokens]
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "".join(tokens)}}
    reply = {"id": "dry", "object": "chat.completion", "created": 0, "model": model}
    return {**reply, "choices": [{**choice, "logprobs": {"content": listed}}]}


async def _message(reader: asyncio.StreamReader) -> bytes:
    """One HTTP message whose length its header tells; empty where the connection ends before it."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    lines = head.lower().split(b"\r\n")
    length = next((int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")), 0)
    return head + await reader.readexactly(length)


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
