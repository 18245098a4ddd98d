"""Errors as users script against them: every code is documented, and survives the way home from a worker process."""

import ast
import pickle
import re
from collections import defaultdict
from pathlib import Path

import pytest
from lrrg.pipelines.adapters import DatasetError
from lrrg.pipelines.errors import CodedError
from lrrg.pipelines.finetune.errors import TrainingError

ROOT = Path(__file__).resolve().parents[2]
NODES = [
    node
    for floor in ("agent", "benchmark", "pipelines", "prompts", "tools")
    for path in sorted((ROOT / floor).rglob("*.py"))
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
]
DOCUMENTED = {node.name: ast.get_docstring(node) or "" for node in NODES if isinstance(node, ast.ClassDef)}


def codes() -> dict[str, set[str]]:
    """Codes that errors are made with, by the error's name."""
    made: defaultdict[str, set[str]] = defaultdict(set)
    for node in NODES:
        match node:
            case ast.Call(func=ast.Name(name), args=[ast.Constant(code), _, *_]) if "code" in DOCUMENTED.get(name, ""):
                made[name].add(code)
    return made


@pytest.mark.parametrize(("name", "made"), sorted(codes().items()))
def test_every_code_is_documented_where_its_error_is(name: str, made: set[str]):
    assert made <= set(re.findall(r"`([\w-]+)`", DOCUMENTED[name]))


@pytest.mark.parametrize("kind", [DatasetError, TrainingError])
def test_a_code_comes_home_from_a_worker(kind: type[CodedError]):
    error = pickle.loads(pickle.dumps(kind("no-images", "a/b: no image")))
    assert (type(error), error.code, str(error)) == (kind, "no-images", "a/b: no image")
