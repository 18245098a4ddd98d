"""The bridge to model-based metrics in another Python environment: pairs out, values back, nothing shared but files.

What those metrics need (numpy < 2, torch, old spaCy) cannot be installed beside ours. A worker script of
`pipelines/bridges` runs under that environment's interpreter; `bridges/exchange.py` says how the two talk.
"""

import json
import math
import os
import shutil
import subprocess
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...benchmark.model_metrics import Pair
from ..errors import ModelMetricError

WORKERS = Path(__file__).parents[1] / "bridges"
IMPORT_FAULTS = ("ModuleNotFoundError", "ImportError", "importlib.metadata.PackageNotFoundError")
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
"""Models come from disk, and nothing about the run is told to anyone."""


@dataclass(frozen=True)
class Answer:
    """What a worker answered.

    Attributes:
        columns: names of the values.
        values: of each pair, finite, in the columns' order.
        versions: of the packages that computed them, by name.
        sha256: of the weights, by model.
    """

    columns: Sequence[str]
    values: Mapping[Pair, Sequence[float]]
    versions: Mapping[str, str]
    sha256: Mapping[str, str]

    def column(self, name: str) -> dict[Pair, float]:
        """One value of every pair."""
        place = self.columns.index(name)
        return {pair: values[place] for pair, values in self.values.items()}


def ask(worker: Path, python: str, options: Sequence[str], pairs: Collection[Pair]) -> Answer:
    """Have a worker value every pair.

    Args:
        worker: script, usually of `WORKERS`.
        python: the other environment's interpreter, a path or a name on PATH.
        options: of the worker.
        pairs: (hypothesis, reference); each is valued once.

    Raises:
        ModelMetricError: no usable answer; see its codes.
    """
    interpreter = _interpreter(python)
    asked = {str(number): pair for number, pair in enumerate(sorted(set(pairs)))}
    with TemporaryDirectory(prefix="lrrg-bridge-") as folder:
        sent, received = Path(folder, "pairs.jsonl"), Path(folder, "values.jsonl")
        with sent.open("w", encoding="utf-8") as lines:
            for number, (hypothesis, reference) in asked.items():
                lines.write(json.dumps({"id": number, "hypothesis": hypothesis, "reference": reference}) + "\n")
        files = ["--pairs", str(sent), "--values", str(received)]
        done = subprocess.run(
            [interpreter, "-B", "-s", str(worker), *files, *options],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
        lines = received.read_text(encoding="utf-8").splitlines() if received.is_file() else []
    if done.returncode:
        raise _fault(worker, interpreter, done, lines)
    return _read(worker.name, lines, asked)


def _interpreter(python: str) -> str:
    found = shutil.which(python)
    if found is None:
        raise ModelMetricError("missing-interpreter", f"{python}: no such interpreter; name the one with the models")
    # Absolute, for the worker starts elsewhere; not resolved, for a virtual environment's interpreter is a link.
    return str(Path(found).absolute())


def _environment() -> dict[str, str]:
    """Ours without what would lead the other interpreter to our packages or anything to a proxy."""
    ours = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return {key: value for key, value in ours.items() if not key.lower().endswith("_proxy")} | OFFLINE


def _fault(
    worker: Path, interpreter: str, done: subprocess.CompletedProcess[str], lines: Sequence[str]
) -> ModelMetricError:
    said = json.loads(lines[0]) if lines and done.returncode == 3 else {}
    if "error" in said:
        return ModelMetricError(said["error"], f"{said['message']} ({worker.name} under {interpreter})")
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    if last.startswith(IMPORT_FAULTS):
        return ModelMetricError("missing-package", f"{interpreter}: {last}; install what {worker.name} needs there")
    return ModelMetricError("crash", f"{worker.name} under {interpreter} ended with {done.returncode}: {last}")


def _read(name: str, lines: Iterable[str], asked: Mapping[str, Pair]) -> Answer:
    try:
        header, *rows = [json.loads(line) for line in lines]
        columns = list(header["columns"])
        values = _values(name, columns, rows, asked)
        return Answer(columns, values, header["versions"], header["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelMetricError("malformed", f"{name}: not an answer of the bridge's form: {error!r}") from error


def _values(
    name: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], asked: Mapping[str, Pair]
) -> dict[Pair, Sequence[float]]:
    found: dict[Pair, Sequence[float]] = {}
    for row in rows:
        number, values = row["id"], row["values"]
        if number not in asked:
            raise ModelMetricError("foreign", f"{name}: a value for pair {number}, which was not asked for")
        if asked[number] in found:
            raise ModelMetricError("doubled", f"{name}: pair {number} has several values")
        if not all(math.isfinite(value) for value in values):
            raise ModelMetricError("not-a-number", f"{name}: pair {number} has no value: {values}")
        found[asked[number]] = tuple(value for _, value in zip(columns, values, strict=True))
    if len(found) < len(asked):
        raise ModelMetricError("missing", f"{name}: {len(asked) - len(found)} of {len(asked)} pairs have no value")
    return found
