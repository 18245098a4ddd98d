"""Model servers of our own: a real vLLM with the right flags, ended cleanly, whatever happens."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Never

from ..settings import Settings
from .launch import plan
from .profiles import Role
from .server import Server, Tell, running
from .supervise import supervise


def serve(
    role: Role,
    settings: Settings,
    model: str | None,
    extra: Sequence[str],
    show: Callable[[dict[str, Any]], None],
    tell: Tell,
) -> Never:
    """Serve until a signal comes.

    Args:
        role: what is served.
        settings: section `serve`, and which hosts are allowed.
        model: folder, or name on the hub; None for the judge that fits the machine.
        extra: more flags for `vllm serve`.
        show: is given url, model, device, process id and log, each time the server is ready.
        tell: is told how it gets on.

    Raises:
        RefusedURL: the host is neither this machine nor allowed.
        SettingsError: no such model.
        ServeError: the server does not start, or does not stay up.
    """
    launch = plan(role, settings, model=model, extra=extra)
    launch.log.unlink(missing_ok=True)
    how = settings.serve
    supervise(
        launch,
        start_seconds=how.start_seconds,
        restarts=how.restarts,
        ready=lambda server: show(server.facts()),
        tell=tell,
    )


@contextmanager
def served(
    role: Role, settings: Settings, model: str | None = None, tell: Tell = lambda message: None
) -> Iterator[Server]:
    """A server on any free port for the length of a block; see `serve` for the arguments and errors."""
    launch = plan(role, settings, model=model, port=0)
    launch.log.unlink(missing_ok=True)
    with running(launch, settings.serve.start_seconds, tell) as server:
        yield server
    launch.log.unlink()  # of no use any more; the next one gets another port, and another name
