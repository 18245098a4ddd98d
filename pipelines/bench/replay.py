"""The agent's requests to a judge, kept by a server that finds no defect, and replayed to a real one."""

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ...agent.policy import load
from ...agent.state import ASPECTS, ImageRef
from ..engines.judging import open_agent
from ..engines.pool import Pool
from ..engines.together import together
from ..errors import SettingsError
from ..settings import Settings


class Timed(NamedTuple):
    """How long some work took: all of it, each piece, and on processors, in seconds."""

    seconds: float
    latencies: list[float]
    cpu: float = 0.0


@dataclass(frozen=True)
class DryServer:
    """A server that keeps requests and finds no defect on any film, in a thread of its own.

    Attributes:
        url: to ask it at.
        requests: whole, byte for byte.
    """

    url: str
    requests: list[bytes]
    _clock: int

    def spent(self) -> float:
        """CPU seconds of its thread."""
        return time.clock_gettime(self._clock)


async def recorded(refs: Sequence[ImageRef], judge: Mapping[str, Any], settings: Settings, pool: Pool) -> list[bytes]:
    """The requests that the agent sends to a judge for some films, byte for byte; the judge gets none of them."""
    with dry_server(judge) as server:
        async with open_agent(load(settings.agent.policy), asking(settings, server.url), pool.ask) as agent:
            for ref in refs:
                await agent.decide(ref)
        return server.requests


def only_judge(settings: Settings) -> str:
    """The URL of the one judge that requests are to be replayed to.

    Raises:
        SettingsError: there is not one, or it does not speak plain HTTP.
    """
    if len(settings.judge.urls) != 1:
        raise SettingsError("this bench measures one server of a judge; name it with --judge URL")
    (url,) = settings.judge.urls
    if urlsplit(url).scheme != "http":
        raise SettingsError(f"{url}: the load generator speaks plain HTTP; name an http:// URL")
    return url


def asking(settings: Settings, url: str) -> Settings:
    """The same with one judge, who sees every film once."""
    every = {"urls": (url,), "when": "all", "looks": 0}
    return settings.model_copy(update={"judge": settings.judge.model_copy(update=every)})


@contextmanager
def dry_server(judge: Mapping[str, Any]) -> Iterator[DryServer]:
    """Serve in the name of a judge, whose `model` and `revision` are given."""
    names = [judge["model"], *([f"{judge['model']}@{judge['revision']}"] if judge["revision"] else [])]
    listing = json.dumps({"object": "list", "data": [{"id": name, "object": "model"} for name in names]}).encode()
    flawless, requests = json.dumps(_flawless(names[0])).encode(), list[bytes]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _message(reader):
                asked = request.startswith(b"POST")
                if asked:
                    requests.append(request)
                content = flawless if asked else listing
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
                writer.write(head.encode() + content)
        finally:
            writer.close()

    ready = Future[tuple[int, Callable[[], object]]]()

    async def serve_until_stopped() -> None:
        stopped, loop = asyncio.Event(), asyncio.get_running_loop()
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        ready.set_result((server.sockets[0].getsockname()[1], lambda: loop.call_soon_threadsafe(stopped.set)))
        await stopped.wait()
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve_until_stopped()), daemon=True)
    thread.start()
    port, stop = ready.result()
    try:
        yield DryServer(f"http://127.0.0.1:{port}/v1", requests, time.pthread_getcpuclockid(thread.ident or 0))
    finally:
        stop()
        thread.join()


async def replay(requests: Sequence[bytes], settings: Settings) -> Timed:
    """Send all requests, as many at a time as the client may, over connections that stay open.

    Raises:
        SettingsError: the server refuses one, or ends a connection.
    """
    url = settings.judge.urls[0]
    parts = urlsplit(url)
    free = asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]()

    async def one(request: bytes) -> None:
        reader, writer = await free.get()
        try:
            writer.write(request)
            reply = await _message(reader)
        finally:
            free.put_nowait((reader, writer))
        if not reply.startswith(b"HTTP/1.1 200"):
            raise SettingsError(f"{url}: to a replayed request the server says {reply[:300]!r}")

    try:
        for _ in range(settings.client.concurrency):
            free.put_nowait(await asyncio.open_connection(parts.hostname, parts.port or 80))
        return await in_lanes(requests, settings.client.concurrency, one)
    finally:
        while not free.empty():
            free.get_nowait()[1].close()


async def in_lanes(items: Sequence[Any], lanes: int, work: Callable[[Any], Awaitable[None]]) -> Timed:
    """Work on all items, so many at a time; the first that breaks breaks all."""
    latencies: list[float] = []
    rest: Iterator[Any] = iter(items)

    async def lane() -> None:
        for item in rest:
            before = time.perf_counter()
            await work(item)
            latencies.append(time.perf_counter() - before)

    started = time.perf_counter()
    await together(lane() for _ in range(lanes))
    return Timed(time.perf_counter() - started, latencies)


def _flawless(model: str) -> dict[str, Any]:
    pieces = [piece for aspect in ASPECTS for piece in (f'"{aspect}":', "0", ",")]
    tokens = ["{", *pieces[:-1], "}"]
    listed = [{"token": token, "logprob": 0.0, "top_logprobs": []} for token in tokens]
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "".join(tokens)}}
    reply = {"id": "dry", "object": "chat.completion", "created": 0, "model": model}
    return {**reply, "choices": [{**choice, "logprobs": {"content": listed}}]}


async def _message(reader: asyncio.StreamReader) -> bytes:
    """One HTTP message whose length its header tells; empty where the connection ends before it does."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(line.partition(b":")[2]) for line in lines if line.startswith(b"content-length:")), 0)
        return head + await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return b""
