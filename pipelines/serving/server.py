"""One running server: started, waited for, warmed up, and ended with everything it started."""

import asyncio
import base64
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from os import killpg
from pathlib import Path
from signal import SIGKILL
from typing import Any
from urllib.request import ProxyHandler, build_opener

import cv2
import numpy as np
from pydantic import BaseModel

from ...agent.client import Client
from ...agent.faults import JudgeReplyError, JudgeUnavailable
from ...agent.server import Limits
from .errors import ServeError
from .launch import Launch

KEEPER = Path(__file__).with_name("keeper.py")
GRACE_SECONDS = 10.0
"""A server has to stop in before it is killed."""
POLL_SECONDS = 0.5
SHOWN_LINES = 25
Tell = Callable[[str], None]


class Ready(BaseModel):
    """The reply to the first request."""

    ready: bool


@dataclass(frozen=True)
class Server:
    """A server that answers.

    Attributes:
        launch: how it was started.
        process: that holds it; ends with it.
    """

    launch: Launch
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """Base URL for clients, such as `http://127.0.0.1:8000/v1`."""
        return self.launch.url

    @property
    def model(self) -> str:
        """Name to ask it for."""
        return self.launch.model.name

    def facts(self) -> dict[str, Any]:
        """What a client, or a person, has to know of it."""
        return {
            "url": self.url,
            "model": self.model,
            "device": self.launch.device,
            "pid": self.process.pid,
            "log": str(self.launch.log),
        }


@contextmanager
def running(launch: Launch, start_seconds: float, tell: Tell = lambda message: None) -> Iterator[Server]:
    """A server that is healthy and warm, until the block is left; no process outlives it, or us.

    Args:
        launch: how to start it.
        start_seconds: until it has to be healthy.
        tell: is told how the start gets on.

    Raises:
        ServeError: codes `start` and `start-timeout`, with the last lines of the log.
    """
    launch.log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with launch.log.open("ab") as log:
        command = [sys.executable, "-I", "-S", str(KEEPER), str(GRACE_SECONDS), *launch.command]
        process = subprocess.Popen(
            command, env=launch.environment, stdin=subprocess.PIPE, stdout=log, stderr=subprocess.STDOUT
        )
    try:
        _wait_until_healthy(launch, process, start_seconds, tell)
        _warm_up(launch, tell)
        yield Server(launch, process)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.wait()
    # Of use only where the keeper itself was killed: it leads the group of what it started.
    with suppress(ProcessLookupError):
        killpg(process.pid, SIGKILL)


def _wait_until_healthy(launch: Launch, process: subprocess.Popen[bytes], seconds: float, tell: Tell) -> None:
    began = told = time.monotonic()
    while not healthy(launch.root):
        now = time.monotonic()
        if process.poll() is not None:
            raise ServeError("start", f"{launch.role}: vLLM ended before it was ready; {last_lines(launch.log)}")
        if now - began > seconds:
            raise ServeError("start-timeout", f"{launch.role}: not ready in {seconds:g} s; {last_lines(launch.log)}")
        if now - told >= 10:
            tell(f"{launch.role}: {launch.model.name} is loading, {now - began:.0f} s; log {launch.log}")
            told = now
        time.sleep(POLL_SECONDS)


def healthy(root: str) -> bool:
    """Whether the server at `http://HOST:PORT` says that it is well."""
    try:
        with build_opener(ProxyHandler({})).open(f"{root}/health", timeout=5):
            return True
    except (OSError, HTTPException):
        return False


def _warm_up(launch: Launch, tell: Tell) -> None:
    """Pay now for what the first request pays for: imports, the grammar compiler, the first image."""
    began = time.monotonic()
    try:
        asyncio.run(_first_request(launch))
    except (JudgeReplyError, JudgeUnavailable) as error:
        raise ServeError("start", f"{launch.role}: the first request failed: {error}; log {launch.log}") from error
    tell(f"{launch.role}: first answer after {time.monotonic() - began:.1f} s")


async def _first_request(launch: Launch) -> None:
    _, png = cv2.imencode(".png", np.full((112, 112), 128, np.uint8))
    image = f"data:image/png;base64,{base64.b64encode(png.tobytes()).decode()}"
    content = [{"type": "text", "text": "Ready?"}, {"type": "image_url", "image_url": {"url": image}}]
    limits = Limits((launch.host,), read_seconds=180, attempts=1, patience=0)
    async with Client(launch.url, launch.model.name, limits) as client:
        await client.ask([{"role": "user", "content": content}], Ready, max_tokens=32, seeds=[0])


def last_lines(log: Path) -> str:
    """The end of a log, for a message."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-SHOWN_LINES:]
    return "\n".join([f"the end of {log}:", *lines])
