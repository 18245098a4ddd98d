"""A server that stays up until it is told to stop: what dies is started again, with growing pauses."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Never

from .errors import ServeError
from .launch import Launch
from .server import Server, Tell, last_lines, running

STEADY_SECONDS = 300.0
"""After so long a life, earlier deaths are forgiven."""
LONGEST_PAUSE = 60.0


def supervise(
    launch: Launch, *, start_seconds: float, restarts: int, ready: Callable[[Server], None], tell: Tell
) -> Never:
    """Serve until a signal, which ends as `SystemExit` with 128 + its number once no process is left.

    Args:
        launch: how to start the server.
        start_seconds: until it has to be healthy.
        restarts: in a row at most.
        ready: told each time that it answers.
        tell: told how it gets on.

    Raises:
        ServeError: it does not start the first time, or `restarts` starts in a row did not last (code `died`).
    """
    deaths = 0
    with stopping():
        while True:
            lived = _one_life(launch, start_seconds, ready, tell, first=deaths == 0)
            deaths = 1 if lived > STEADY_SECONDS else deaths + 1
            if deaths > restarts:
                raise ServeError("died", f"{launch.role}: vLLM died {deaths} times; {last_lines(launch.log)}")
            pause = min(2.0 ** (deaths - 1), LONGEST_PAUSE)
            tell(f"{launch.role}: vLLM died; started again in {pause:g} s ({deaths} of {restarts}); log {launch.log}")
            time.sleep(pause)


def _one_life(
    launch: Launch, start_seconds: float, ready: Callable[[Server], None], tell: Tell, *, first: bool
) -> float:
    """Seconds that the server lived; 0 where it did not start again."""
    try:
        with running(launch, start_seconds, tell) as server:
            ready(server)
            began = time.monotonic()
            server.process.wait()
            return time.monotonic() - began
    except ServeError as error:
        if first:
            raise
        tell(str(error))
        return 0.0


@contextmanager
def stopping() -> Iterator[None]:
    """Let SIGINT, SIGTERM and SIGHUP leave the block as `SystemExit` with 128 + the signal's number."""

    def stop(number: int, frame: FrameType | None) -> None:
        # A second signal must not cut short the ending of the server.
        for each in caught:
            signal.signal(each, signal.SIG_IGN)
        raise SystemExit(128 + number)

    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    # What nohup or a shell's & has us ignore stays ignored.
    caught = {each: handler for each, handler in handlers.items() if handler != signal.SIG_IGN}
    for each in caught:
        signal.signal(each, stop)
    try:
        yield
    finally:
        for each, handler in caught.items():
            signal.signal(each, handler)
