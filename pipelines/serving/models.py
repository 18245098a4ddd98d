"""What is served: a folder with weights, an adapter on top of one, or a name on the model hub."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SettingsError
from .profiles import UNLIMITED, Device, Own, Role

COMPACT = Path(__file__).with_name("models") / "judge"
COMPACT_NAME = "lrrg-judge-v1"
LARGE = "Qwen/Qwen2.5-VL-7B-Instruct"
LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Greatest ranks that vLLM can be told."""
STATE = ("*config.json", "token*.json", "vocab.json", "merges.txt", "chat_template*", "*.safetensors")
"""Files of a model's folder that decide what it answers."""


@dataclass(frozen=True)
class Model:
    """What a server is asked for, and what it loads.

    Attributes:
        name: by which requests ask for it.
        weights: folder, or name on the hub.
        adapter: folder of a LoRA adapter on those weights.
        rank: of the adapter.
        own: its limits, as far as its folder is here and tells them.
        revision: which state of it, by the bytes of its folder or the adapter's; None where that is not here.
    """

    name: str
    weights: str
    adapter: Path | None = None
    rank: int = 0
    own: Own = UNLIMITED
    revision: str | None = None

    def arguments(self) -> list[str]:
        """What `vllm serve` is told of it.

        A second name `NAME@REVISION` tells clients which state of the model answers.
        """
        names = [self.name, *([f"{self.name}@{self.revision}"] if self.revision else [])]
        if self.adapter is None:
            return [self.weights, "--served-model-name", *names]
        rank = next((each for each in LORA_RANKS if each >= self.rank), self.rank)
        adapters = [json.dumps({"name": name, "path": str(self.adapter)}) for name in names]
        lora = ["--enable-lora", "--max-lora-rank", str(rank), "--lora-modules", *adapters]
        return [self.weights, "--served-model-name", f"{self.name}-base", *lora]

    @property
    def is_local(self) -> bool:
        """Whether nothing has to be fetched."""
        return Path(self.weights).is_dir()


def resolve(role: Role, device: Device, asked: str | None) -> Model:
    """The model to serve: the one asked for, else the judge that fits the machine.

    Args:
        role: what it is for.
        device: what it runs on.
        asked: folder, or `OWNER/NAME` on the hub.

    Raises:
        SettingsError: no model named for a reporter, or a folder without a model.
    """
    if asked is not None:
        return _asked(asked)
    if role == "reporter":
        raise SettingsError("serve reporter: --model names the folder of a report model, or one on the hub")
    return Model(LARGE, LARGE) if device == "gpu" else _folder(COMPACT, COMPACT_NAME)


def _asked(asked: str) -> Model:
    folder = Path(asked)
    if (folder / "adapter_config.json").is_file():
        return _adapter(folder.resolve())
    if folder.is_dir():
        return _folder(folder.resolve(), COMPACT_NAME if folder.resolve() == COMPACT else folder.resolve().name)
    if asked.count("/") != 1 or asked.startswith((".", "~", "/")):
        raise SettingsError(f"{asked}: no such folder, and no OWNER/NAME of the hub either")
    return Model(asked, asked)


def _adapter(folder: Path) -> Model:
    config = _read(folder / "adapter_config.json")
    if any(".visual." in name for name in _weights(folder / "adapter_model.safetensors")):
        raise SettingsError(f"{folder}: adapts the vision tower, which vLLM would leave out; serve the merged model")
    base = Path(config["base_model_name_or_path"])
    if not base.is_dir():
        return Model(folder.name, str(base), folder, config["r"], revision=_revision(folder))
    whole = _folder(base.resolve(), base.name)
    return Model(folder.name, whole.weights, folder, config["r"], whole.own, _revision(folder))


def _weights(path: Path) -> list[str]:
    """Names of the weights in a file, which starts with the length of their table (safetensors' format)."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            return list(json.loads(file.read(min(length, path.stat().st_size))))
    except (FileNotFoundError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: not an adapter's weights ({error})") from error


def _folder(folder: Path, name: str) -> Model:
    config = _read(folder / "config.json")
    return Model(name, str(folder), own=_own(folder, config.get("text_config", config)), revision=_revision(folder))


def _own(folder: Path, text: dict[str, Any]) -> Own:
    images = folder / "preprocessor_config.json"
    prepared = _read(images) if images.is_file() else {}
    edges = prepared.get("size", {})
    told = {
        "context": text.get("max_position_embeddings"),
        "min_pixels": prepared.get("min_pixels", edges.get("shortest_edge")),
        "max_pixels": prepared.get("max_pixels", edges.get("longest_edge")),
    }
    return Own(**{name: value for name, value in told.items() if value is not None})


def _revision(folder: Path) -> str:
    """Of everything in a model's folder that its answers depend on."""
    whole = hashlib.sha256()
    for path in sorted({each for pattern in STATE for each in folder.glob(pattern)}):
        with path.open("rb") as file:
            whole.update(path.name.encode() + hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:12]


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError) as error:
        raise SettingsError(f"{path}: not a model's configuration ({error}); name the folder of a model") from error
