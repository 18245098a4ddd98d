"""What every worker of the bridge shares; runs under the other environment's interpreter, standard library only.

A worker is `WORKER --pairs IN --values OUT …`. IN holds one JSON object a line: id, hypothesis, reference. OUT gets a
header (columns, versions, sha256 of weights) and then one object a line: id, values in the columns' order. A worker
that cannot work writes one object with `error` (a stable code) and `message` instead.
"""

import argparse
import hashlib
import importlib.metadata
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

Texts = list[tuple[str, str]]


class CannotWork(Exception):  # noqa: N818 - not a bug but an answer
    """Something the user must provide is not there.

    Attributes:
        code: `missing-checkpoint`, `missing-vocabulary`, `missing-weights`, `not-a-checkpoint` or `unknown-metric`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Answer:
    """What a model said about pairs.

    Attributes:
        columns: names of the values.
        rows: one sequence of values a pair, in the pairs' order.
        versions: of the packages that computed them, by name.
        weights: sha256 by model.
    """

    columns: Sequence[str]
    rows: Iterable[Sequence[float]]
    versions: dict[str, str]
    weights: dict[str, str]


def run(compute: Callable[[Texts, argparse.Namespace], Answer], parser: argparse.ArgumentParser) -> None:
    """Read the pairs, compute, write the answer; exit 3 where the worker cannot work.

    Args:
        compute: maps (hypothesis, reference) pairs and the parsed options to the answer.
        parser: knows the worker's own options.
    """
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--values", type=Path, required=True)
    options = parser.parse_args()
    with options.pairs.open(encoding="utf-8") as lines:
        pairs = [json.loads(line) for line in lines]
    try:
        answer = compute([(pair["hypothesis"], pair["reference"]) for pair in pairs], options)
    except CannotWork as error:
        options.values.write_text(json.dumps({"error": error.code, "message": str(error)}) + "\n", encoding="utf-8")
        sys.exit(3)
    header = {"columns": list(answer.columns), "versions": answer.versions, "sha256": answer.weights}
    with options.values.open("w", encoding="utf-8") as out:
        out.write(json.dumps(header) + "\n")
        for pair, values in zip(pairs, answer.rows):  # noqa: B905 - who reads the file counts
            out.write(json.dumps({"id": pair["id"], "values": [float(value) for value in values]}) + "\n")


def versions(*packages: str) -> dict[str, str]:
    """Installed versions, Python's among them."""
    return {"python": sys.version.split()[0], **{name: importlib.metadata.version(name) for name in packages}}


def sha256(*files: Path) -> str:
    """One hash of some files' contents, in order."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
