"""The house's walls: what may import what, and that the packaging lists every room."""

import ast
import subprocess
import sys
import tomllib
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOORS = {"tools": 0, "prompts": 0, "agent": 1, "benchmark": 1, "pipelines": 2}
FENCES = {
    "langgraph": ("agent/",),
    "langsmith": ("agent/",),
    "openai": ("agent/server.py",),
    "duckdb": ("pipelines/store",),
    "matplotlib": ("pipelines/score/figures.py", "pipelines/demo/overview.py"),
    "httpx2": ("agent/server.py",),
    "torch": ("pipelines/finetune/", "pipelines/generate/reporter.py", "pipelines/bridges/"),
    "transformers": ("pipelines/finetune/", "pipelines/generate/reporter.py", "pipelines/bridges/"),
    "tokenizers": ("pipelines/finetune/", "pipelines/bridges/"),
    "radeval": ("pipelines/bridges/",),
    "peft": ("pipelines/finetune/",),
    "accelerate": ("pipelines/finetune/",),
    "safetensors": ("pipelines/finetune/",),
    "ray": ("pipelines/engines/",),
    "fsspec": ("pipelines/storage.py",),
    "typer": ("pipelines/cli/", "pipelines/view.py"),
    "rich": ("pipelines/cli/", "pipelines/view.py"),
}
SOURCES = sorted(path for floor in FLOORS for path in (ROOT / floor).rglob("*.py"))


def imported(path: Path) -> list[tuple[str, int]]:
    """(dotted name, relative level) of every import in a file, those inside functions too."""
    found: list[tuple[str, int]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(alias.name, 0) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [(f"{node.module or ''}.{alias.name}".strip("."), node.level) for alias in node.names]
    return found


def floor_reached(path: Path, name: str, level: int) -> str | None:
    """The folder a relative import ends in; None for third-party imports and the root package."""
    if level == 0:
        return None
    parts = list(path.relative_to(ROOT).parent.parts)
    target = parts[: len(parts) - (level - 1)] + name.split(".")
    return target[0] if target[0] in FLOORS else None


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down_and_stay_behind_their_fence(path: Path):
    where = str(path.relative_to(ROOT))
    own = path.relative_to(ROOT).parts[0]
    for name, level in imported(path):
        reached = floor_reached(path, name, level)
        if reached and reached != own:
            assert FLOORS[reached] < FLOORS[own], f"{where} imports {reached}, which is not below {own}"
        if level == 0:
            allowed = FENCES.get(name.partition(".")[0])
            assert allowed is None or where.startswith(allowed), f"{where} imports {name}; that lives in {allowed}"
            assert name.partition(".")[0] != "lrrg", f"{where}: imports inside the package are relative"


def test_no_room_of_pipelines_leads_back_to_itself():
    doors: defaultdict[str, set[str]] = defaultdict(set)
    for path in (path for path in SOURCES if path.is_relative_to(ROOT / "pipelines")):
        room, *_ = path.relative_to(ROOT / "pipelines").with_suffix("").parts
        inside = path.parent.relative_to(ROOT).parts
        reached = ((*inside[: len(inside) - level + 1], *name.split(".")) for name, level in imported(path) if level)
        doors[room] |= {parts[1] for parts in reached if parts[0] == "pipelines"} - {room}
    order = list(TopologicalSorter(doors).static_order())  # raises a CycleError that names the rooms
    assert order.index("errors") < order.index("store") < order.index("annotate") < order.index("cli")


def test_packages_are_the_folders():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    folders = {
        ".".join(("lrrg", *path.parent.relative_to(ROOT).parts))
        for floor in FLOORS
        for path in (ROOT / floor).rglob("__init__.py")
    }
    assert set(listed) == folders | {"lrrg"}


def test_tools_need_no_database_agent_or_terminal():
    code = "import sys, lrrg.tools; print([m for m in sys.modules if m in set(sys.argv[1:])])"
    heavy = ["duckdb", "langgraph", "openai", "typer", "rich", "pydicom", "pydantic", "scipy.stats", "pandas"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from typer.testing import CliRunner; from lrrg.pipelines.cli import app;"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0;"
        "print([m for m in sys.modules if m in sys.argv[1:]])"
    )
    heavy = ["duckdb", "langgraph", "openai", "cv2", "numpy", "pydantic", "pydicom", "skimage"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_stay_small(path: Path):
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= 350, "split the file: no room holds more than 350 lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            assert length <= 50, f"{node.name} has {length} lines: no function has more than 50"
