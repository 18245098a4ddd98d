"""From what is asked for to the one command that starts the server."""

import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ...agent.server import checked
from ..errors import SettingsError
from ..settings import Settings
from . import environment
from .errors import ServeError
from .models import Model, resolve
from .profiles import Device, Role, profile

OURS = ("--host", "--port", "--model", "--served-model-name")
"""Flags that `lrrg` sets by options of its own."""


@dataclass(frozen=True)
class Launch:
    """Everything it takes to start one server, and again the same.

    Attributes:
        role: what it serves.
        model: which.
        device: on what.
        command: whole.
        environment: of the process, whole.
        host: address it listens on.
        port: it listens on.
        log: file for all that it prints.
    """

    role: Role
    model: Model
    device: Device
    command: list[str]
    environment: dict[str, str]
    host: str
    port: int
    log: Path

    @property
    def root(self) -> str:
        """Of the server's addresses."""
        return f"http://{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Base URL for clients."""
        return f"{self.root}/v1"


def plan(
    role: Role, settings: Settings, *, model: str | None = None, port: int | None = None, extra: Sequence[str] = ()
) -> Launch:
    """Decide how to start a server; nothing is started.

    Args:
        role: what is served.
        settings: section `serve`, and which hosts are allowed.
        model: folder, or name on the hub; by default the judge that fits the machine.
        port: instead of the one set; 0 for any that is free.
        extra: more flags for `vllm serve`.

    Raises:
        RefusedURL: the host is neither this machine nor allowed; a server answers whoever reaches it.
        SettingsError: no such model, or `extra` holds what is set otherwise.
        ServeError: codes `no-vllm` and `port-taken`.
    """
    taken = [flag for flag in extra if flag.partition("=")[0] in OURS]
    if taken:
        raise SettingsError(f"{taken[0]}: is set by an option or setting of lrrg, not after --")
    how = settings.serve
    checked(f"http://{how.host}:{how.port}", settings.client.allow_hosts)
    vllm = environment.find(how.environment)
    chosen = resolve(role, vllm.device, model)
    asked = profile(role, vllm.device)
    number = free_port(how.host, how.port if port is None else port)
    address = ["--host", how.host, "--port", str(number)]
    told = [*chosen.arguments(), *address, *asked.arguments(chosen.own), *extra]
    offline = {"HF_HUB_OFFLINE": "1"} if chosen.is_local else {}
    variables = asked.environment | offline | os.environ | vllm.environment
    log = how.logs.expanduser() / f"{role}-{number}.log"
    return Launch(role, chosen, vllm.device, [*vllm.command, "serve", *told], variables, how.host, number, log)


def free_port(host: str, port: int) -> int:
    """The port, or any free one for 0.

    Raises:
        ServeError: code `port-taken`.
    """
    with socket.socket() as probe:
        # As the server does: connections of one that has just ended do not keep the port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServeError(
                "port-taken", f"port {port} on {host}: {error.strerror}; name another with --port"
            ) from error
        return probe.getsockname()[1]
