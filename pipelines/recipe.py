"""Identity of a verdict: the hash of everything that can change it."""

import hashlib
import json
import os
import platform
import secrets
import socket
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..tools import Tool

RECIPE_FORMAT = 1
PACKAGES = ("lrrg", "duckdb", "langgraph", "numpy", "opencv-python-headless", "pillow", "pydicom", "scikit-image")


@dataclass(frozen=True)
class Recipe:
    """What a verdict depends on; transport options (URLs, retries, concurrency) stay out.

    Attributes:
        recipe_id: sha256 of the canonical JSON of `body`, in hex.
        measure_id: sha256 of the part that can change a raw measure; two recipes that share it can share readings.
        body: `format`, `reader`, `tools`, `policy`, `judge`.
    """

    recipe_id: str
    measure_id: str
    body: Mapping[str, Any]


def build_recipe(
    *,
    reader: int,
    tools: Iterable["Tool"],
    policy: Mapping[str, Any],
    judge: Mapping[str, Any] | None = None,
) -> Recipe:
    """Put a recipe together.

    Args:
        reader: version of what reading a file means (decoding, collapsing, intensity domain).
        tools: the quality tools of the run, in any order.
        policy: the policy's JSON, whole, reference quantiles included.
        judge: prompt hash, model, revision and decoding parameters; None where no judge is asked.
    """
    measured = {
        "format": RECIPE_FORMAT,
        "reader": reader,
        "tools": {each.name: {"version": each.version, "unit": each.unit} for each in tools},
    }
    body = {**measured, "policy": policy, "judge": judge}
    return Recipe(digest(body), digest(measured), body)


def digest(body: Mapping[str, Any]) -> str:
    """sha256 (hex) of the canonical JSON: keys sorted, no spaces, UTF-8.

    >>> digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1})
    True
    """
    return hashlib.sha256(canonical(body).encode()).hexdigest()


def canonical(body: Mapping[str, Any]) -> str:
    """One text for equal contents; a NaN or an infinity is refused."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


@dataclass(frozen=True)
class Run:
    """One run of annotate: who, what, when."""

    run_id: str
    recipe_id: str
    command: str
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    host: str
    process: int
    started_at: datetime
    """UTC, without a zone: what the database stores."""


def begin_run(recipe: Recipe, settings: Mapping[str, Any]) -> Run:
    """Describe the run of this process that starts now."""
    now = datetime.now(UTC).replace(tzinfo=None)
    run_id = f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"
    command = " ".join(sys.argv)
    return Run(run_id, recipe.recipe_id, command, settings, versions(), socket.gethostname(), os.getpid(), now)


def versions() -> dict[str, str]:
    """Versions of what touches pixels or rows in this process."""
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
