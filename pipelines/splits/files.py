"""The folder that `lrrg splits` wrote, read back: what scoring, training and generation share."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...prompts import Prompt, load
from ..errors import SettingsError
from ..files import sha256
from ..store import read_parquet
from .export import CASES, MANIFEST


class Materials(NamedTuple):
    """A materialised benchmark: the rows of `cases.parquet`, sorted by case, and the manifest."""

    rows: Sequence[Mapping[str, Any]]
    manifest: Mapping[str, Any]


def prompt_of(splits: Path, materials: Materials) -> Prompt:
    """The prompt that the training files were made with.

    Raises:
        SettingsError: its text is another one now.
    """
    said = materials.manifest["prompt"]
    prompt = load(said["name"])
    if prompt.sha256 != said["sha256"]:
        raise SettingsError(f"{splits}: made with another text of prompt {prompt.name}; run lrrg splits again")
    return prompt


def read_materials(splits: Path) -> Materials:
    """Read what `lrrg splits` wrote.

    Raises:
        SettingsError: the folder holds no benchmark, or its cases are not those of its manifest.
    """
    path, manifest_path = splits / CASES, splits / MANIFEST
    if not path.is_file() or not manifest_path.is_file():
        raise SettingsError(f"{splits}: no {CASES} and {MANIFEST}; name a folder that lrrg splits wrote")
    try:
        manifest = json.loads(manifest_path.read_text(encoding="utf-8"))
        described = manifest["files"][CASES]
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{manifest_path}: not a manifest of lrrg splits; run it again") from error
    if sha256(path) != described:
        raise SettingsError(f"{path}: not the file {MANIFEST} describes; run lrrg splits again")
    return Materials(read_parquet(path), manifest)
