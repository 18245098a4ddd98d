"""One frozen settings tree: command line > `LRRG_*` environment > `lrrg.toml` > defaults."""

import os
import tomllib
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource
from pydantic_settings import SettingsError as SourceError

from .errors import SettingsError


class Section(BaseModel):
    """A group of settings."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ReadSettings(Section):
    """Limits of one image file; beyond them it is `unreadable`, not a reason to stop."""

    max_bytes: int = Field(200_000_000, gt=0, description="largest file read, in bytes")
    max_pixels: int = Field(100_000_000, gt=0, description="largest image decoded, in pixels")


class AnnotateSettings(Section):
    """How a batch run spreads and commits its work; none of it can change a verdict."""

    workers: int = Field(default_factory=lambda: os.cpu_count() or 1, gt=0, description="worker processes")
    batch_rows: int = Field(256, gt=0, description="verdicts a transaction holds at most")
    batch_seconds: float = Field(2.0, gt=0, description="longest time a finished verdict waits for its commit")
    tool_timeout: float = Field(120.0, gt=0, description="seconds one image may keep a worker busy")
    max_failures: float = Field(1.0, ge=0, le=1, description="fraction of failed images above which a run exits 3")


class AgentSettings(Section):
    """What decides a verdict, apart from the tools."""

    policy: str = Field("standard.v1", description="name of a shipped policy, or path of one made by `lrrg policy fit`")


class ClientSettings(Section):
    """How model servers are talked to; none of it can change an answer."""

    allow_hosts: tuple[str, ...] = Field((), description="hosts beyond this machine that may be sent films and reports")
    connect_seconds: float = Field(5.0, gt=0, description="until a connection stands")
    read_seconds: float = Field(60.0, gt=0, description="of silence, after which an attempt is given up")
    attempts: int = Field(10, ge=1, le=100, description="of one request, the first included")
    longest_wait: float = Field(60.0, gt=0, description="seconds between two attempts at most")
    concurrency: int = Field(8, gt=0, description="requests under way at once")


class Settings(BaseSettings):
    """Everything a run can be told, resolved; a copy is stored in table `runs`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="LRRG_", env_nested_delimiter="__", toml_file="lrrg.toml"
    )

    read: ReadSettings = ReadSettings()  # pyright: ignore[reportCallIssue]
    agent: AgentSettings = AgentSettings()  # pyright: ignore[reportCallIssue]
    annotate: AnnotateSettings = AnnotateSettings()  # pyright: ignore[reportCallIssue]
    client: ClientSettings = ClientSettings()  # pyright: ignore[reportCallIssue]

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
    try:
        return Settings(**given)  # pyright: ignore[reportArgumentType]
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise SettingsError(f"settings: {problems}") from error
    except SourceError as error:
        raise SettingsError(f"settings: {error}; name one setting, such as LRRG_ANNOTATE__WORKERS") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"lrrg.toml: not TOML: {error}") from error
