"""Which flags and which environment a server gets: by what it serves and by what it runs on."""

import json
import os
import sys
from dataclasses import dataclass
from typing import Literal, NamedTuple

Role = Literal["judge", "reporter"]
Device = Literal["cpu", "gpu"]
Value = str | int | float | bool | dict[str, object]

PATCH_PIXELS = 28 * 28
"""Qwen2.5-VL merges 2 x 2 patches of 14 x 14 px into one token."""
CORES_PER_API_SERVER = 4
API_SERVERS_AT_MOST = 8


class Own(NamedTuple):
    """Limits that a model brings along; what it does not say does not limit it.

    Attributes:
        context: tokens it can take.
        min_pixels: smaller images are scaled up to that area, as they were in training.
        max_pixels: larger images are scaled down to that area, as they were in training.
    """

    context: int = sys.maxsize
    min_pixels: int = 4 * PATCH_PIXELS
    max_pixels: int = sys.maxsize


UNLIMITED = Own()


@dataclass(frozen=True)
class Profile:
    """What a server is told.

    Attributes:
        max_model_len: tokens of prompt and reply together; a model with a shorter context gets its own.
        images: a request may hold at most.
        max_pixels: of one image; larger ones are scaled down, to less where the model was trained on less. Never left
            open: by default a radiograph of 3056 x 2544 px would take 9,919 tokens.
        flags: the rest, by name without dashes; True stands for a flag without value.
        environment: variables, where the caller has not set them.
    """

    max_model_len: int
    images: int
    max_pixels: int
    flags: dict[str, Value]
    environment: dict[str, str]

    def arguments(self, own: Own = UNLIMITED) -> list[str]:
        """The flags as `vllm serve` takes them.

        Args:
            own: limits of the model.
        """
        size = {"shortest_edge": own.min_pixels, "longest_edge": min(self.max_pixels, own.max_pixels)}
        flags: dict[str, Value] = {
            "max-model-len": min(self.max_model_len, own.context),
            "limit-mm-per-prompt": {"image": self.images, "video": 0},
            "mm-processor-kwargs": {"size": size},
            **self.flags,
        }
        return [word for name, value in flags.items() for word in _words(name, value)]


def _words(name: str, value: Value) -> list[str]:
    if value is True:
        return [f"--{name}"]
    return [f"--{name}", json.dumps(value, separators=(",", ":")) if isinstance(value, dict) else str(value)]


COMMON: dict[str, Value] = {
    # Films come once each, so a cache of preprocessed images only costs memory; the text before them repeats.
    "mm-processor-cache-gb": 0,
    "enable-prefix-caching": True,
    # A weak model may otherwise fill its reply with white space, which JSON allows.
    "structured-outputs-config": {"backend": "xgrammar", "disable_any_whitespace": True},
    # One line a request would be 40 MB on MIMIC-CXR.
    "disable-uvicorn-access-log": True,
}
GPU: dict[str, Value] = {
    **COMMON,
    "dtype": "bfloat16",
    "max-num-batched-tokens": 16_384,
    "gpu-memory-utilization": 0.9,
}
CPU: dict[str, Value] = {
    **COMMON,
    "dtype": "float32",
    "max-num-seqs": 16,
    # Only full blocks are cached, and the default of 128 tokens is longer than a compact judge's text.
    "block-size": 32,
    "enforce-eager": True,
    "skip-mm-profiling": True,
}
PRIVATE = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
CPU_ENVIRONMENT = {
    **PRIVATE,
    "VLLM_TARGET_DEVICE": "cpu",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    # Binding reserves cores, one of two on a laptop; and two threads of a small model wait for each other.
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
}


def profile(role: Role, device: Device) -> Profile:
    """The profile of a server."""
    if device == "cpu":
        images, length, tokens = (8, 2048, 256) if role == "judge" else (4, 4096, 1280)
        return Profile(length, images, tokens * PATCH_PIXELS, CPU, CPU_ENVIRONMENT)
    images, length = (8, 8192) if role == "judge" else (4, 4096)
    # One API server prepares images in one thread, which starves the card long before the card is busy.
    flags: dict[str, Value] = {**GPU, "api-server-count": api_servers(os.cpu_count() or 1)}
    return Profile(length, images, 1280 * PATCH_PIXELS, flags, PRIVATE)


def api_servers(cores: int) -> int:
    """Processes that prepare images for one card.

    >>> api_servers(2), api_servers(16), api_servers(128)
    (1, 4, 8)
    """
    return max(1, min(API_SERVERS_AT_MOST, cores // CORES_PER_API_SERVER))
