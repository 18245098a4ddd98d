"""One frozen settings tree: command line > `LRRG_*` environment > `lrrg.toml` > defaults."""

import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings import SettingsError as SourceError

from .errors import SettingsError

WORKERS_PER_CORE = 16
"""More never helped, also where films arrive slowly; a slip of the finger would fill the memory."""


class Section(BaseModel):
    """A group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ReadSettings(Section):
    """Where films may be read from, and limits of one file; beyond them it is `unreadable`, not a reason to stop."""

    max_bytes: int = Field(200_000_000, gt=0, description="largest file read, in bytes")
    max_pixels: int = Field(100_000_000, gt=0, description="largest image decoded, in pixels")
    endpoint: str | None = Field(
        None, pattern=r"^https?://[\w.:\[\]-]+/?$", description="http(s)://HOST:PORT of an object store of one's own"
    )
    allow_hosts: tuple[str, ...] = Field((), description="hosts beyond this machine whose object stores may be read")


class AnnotateSettings(Section):
    """How a batch run spreads and commits its work; none of it can change a verdict."""

    engine: Literal["local", "ray"] = Field("local", description="where the work happens: this machine, or a cluster")
    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        gt=0,
        le=WORKERS_PER_CORE * (os.cpu_count() or 1),
        description="worker processes; at most 16 a core",
    )
    shards: Path | None = Field(None, description="folder of shard files; beside the database by default")
    batch_rows: int = Field(256, gt=0, description="verdicts a transaction holds at most")
    batch_seconds: float = Field(2.0, gt=0, description="longest time a finished verdict waits for its commit")
    tool_timeout: float = Field(120.0, gt=0, description="seconds one image may keep a worker busy")
    max_failures: float = Field(1.0, ge=0, le=1, description="fraction of failed images above which a run exits 3")


class RaySettings(Section):
    """The cluster of `annotate --engine ray`."""

    address: str | None = Field(None, description="of a cluster that runs; RAY_ADDRESS, then this machine by default")


class AgentSettings(Section):
    """What decides a verdict, apart from the tools."""

    policy: str = Field("standard.v1", description="name of a shipped policy, or path of one made by `lrrg policy fit`")


class ClientSettings(Section):
    """How model servers are talked to; none of it can change an answer."""

    allow_hosts: tuple[str, ...] = Field((), description="hosts beyond this machine that may be sent films and reports")
    connect_seconds: float = Field(5.0, gt=0, description="until a connection stands")
    read_seconds: float = Field(60.0, gt=0, description="of silence, after which an attempt is given up")
    attempts: int = Field(10, ge=1, le=100, description="of one request at each server, the first included")
    longest_wait: float = Field(60.0, gt=0, description="seconds between two attempts at most")
    patience: float = Field(300.0, ge=0, description="seconds to wait for a lost server while no other is left")
    concurrency: int = Field(8, gt=0, le=10_000, description="requests under way at once, at each server")


class ServeSettings(Section):
    """How model servers of our own are started; none of it can change an answer."""

    environment: Path | None = Field(None, description="virtual environment with vLLM, instead of those looked in")
    host: str = Field("127.0.0.1", description="address to listen on: this machine's, or one in client.allow_hosts")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 for any that is free")
    start_seconds: float = Field(900.0, gt=0, description="until a server has to be ready, loading included")
    restarts: int = Field(5, ge=0, description="of a server that dies, in a row at most")
    logs: Path = Field(Path("~/.local/state/lrrg"), description="folder for the servers' logs")


class JudgeSettings(Section):
    """The vision-language judge: where it is served, which films it sees, how long it may look."""

    urls: tuple[str, ...] = Field((), description="servers of one model, http://HOST:PORT/v1; none: no judge is asked")
    model: str | None = Field(None, description="name under which it is served (default: the first the server lists)")
    prompt: str | None = Field(None, description="name of its prompt (default: the one that fits the model)")
    when: Literal["all", "uncertain"] = Field("all", description="which films it sees")
    audit: float = Field(0.01, ge=0, le=1, description="fraction of the clear films it sees under `uncertain`")
    looks: int | None = Field(None, ge=0, le=8, description="more looks it may ask for (default: as its prompt says)")


class Settings(BaseSettings):
    """Everything a run can be told, resolved; a copy is stored in table `runs`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="LRRG_", env_nested_delimiter="__", toml_file="lrrg.toml"
    )

    read: ReadSettings = ReadSettings()  # pyright: ignore[reportCallIssue]
    agent: AgentSettings = AgentSettings()  # pyright: ignore[reportCallIssue]
    annotate: AnnotateSettings = AnnotateSettings()  # pyright: ignore[reportCallIssue]
    ray: RaySettings = RaySettings()  # pyright: ignore[reportCallIssue]
    client: ClientSettings = ClientSettings()  # pyright: ignore[reportCallIssue]
    judge: JudgeSettings = JudgeSettings()  # pyright: ignore[reportCallIssue]
    serve: ServeSettings = ServeSettings()  # pyright: ignore[reportCallIssue]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources; dot-env and secret files are not read."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls)


def load(**overrides: dict[str, Any]) -> Settings:
    """Resolve the settings; `overrides` come from the command line, one dict a section, None values left out.

    Raises:
        SettingsError: an unknown or invalid setting, which the message names, or `lrrg.toml` is no TOML.
    """
    given = {
        section: {key: value for key, value in values.items() if value is not None}
        for section, values in overrides.items()
    }
    _refuse_unknown(os.environ)
    try:
        return Settings(**given)  # pyright: ignore[reportArgumentType]
    except ValidationError as error:
        raise SettingsError(f"settings: {problems(error)}") from error
    except SourceError as error:
        raise SettingsError(f"settings: {error}; name one setting, such as LRRG_ANNOTATE__WORKERS") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"lrrg.toml: not TOML: {error}") from error


def problems(error: ValidationError) -> str:
    """What is wrong with which setting, in words that need no knowledge of how settings are checked."""
    return "; ".join(
        f"{'.'.join(map(str, each['loc'])) or 'file'}: "
        f"{'no such setting' if each['type'] == 'extra_forbidden' else each['msg']}"
        for each in error.errors()
    )


def _refuse_unknown(names: Iterable[str]) -> None:
    """A misspelt section would go unnoticed: the library reads only variables that it expects."""
    for name in names:
        section, nested, _ = name.upper().removeprefix("LRRG_").partition("__")
        if name.upper().startswith("LRRG_") and nested and section.lower() not in Settings.model_fields:
            known = ", ".join(sorted(Settings.model_fields))
            raise SettingsError(f"settings: {name}: no section {section.lower()!r}; there are {known}")
