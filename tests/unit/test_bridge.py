"""The bridge to another interpreter, with small workers under this one: what comes home, and every way to fail."""

import sys
import tempfile
from pathlib import Path

import pytest
from lrrg.pipelines.errors import ModelMetricError
from lrrg.pipelines.score.bridge import WORKERS, ask

PAIRS = [("clear lungs", "lungs are clear"), ("", "effusion"), ("line\nbreak é", "edema"), ("clear lungs", "edema")]
WORKER = """
import json, os, signal, sys
sent, received = sys.argv[sys.argv.index("--pairs") + 1], sys.argv[sys.argv.index("--values") + 1]
pairs = [json.loads(line) for line in open(sent, encoding="utf-8")]
header = {"columns": ["hypothesis", "reference"], "versions": {"worker": "1"}, "sha256": {"model": "ab"}}
rows = [{"id": p["id"], "values": [len(p["hypothesis"]), len(p["reference"])]} for p in reversed(pairs)]
FAULT
with open(received, "w", encoding="utf-8") as out:
    for line in [header, *rows]:
        out.write(json.dumps(line) + "\\n")
"""


def worker(folder: Path, fault: str = "") -> Path:
    path = folder / "worker.py"
    path.write_text(WORKER.replace("FAULT", fault))
    return path


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A temporary folder of the test's own, which must be empty again."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == [], "report texts were left on disk"


def test_every_pair_gets_its_own_values_whatever_their_order(tmp_path: Path):
    answer = ask(worker(tmp_path), sys.executable, [], [*PAIRS, *PAIRS])
    assert answer.values == {pair: (len(pair[0]), len(pair[1])) for pair in PAIRS}
    assert answer.column("reference")["clear lungs", "edema"] == 5
    assert (answer.versions, answer.sha256) == ({"worker": "1"}, {"model": "ab"})


def test_the_interpreter_may_be_named_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(Path(sys.executable).parents[1])
    python = str(Path(sys.executable).relative_to(Path.cwd()))
    fault = "header['versions'] = {'prefix': sys.prefix}"
    assert ask(worker(tmp_path, fault), python, [], PAIRS).versions == {"prefix": sys.prefix}


def test_the_other_interpreter_is_led_neither_to_our_packages_nor_to_a_network(tmp_path: Path, monkeypatch):
    for name in ("PYTHONPATH", "PYTHONHOME", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("KEPT", "1")
    fault = """
header["versions"] = {name: value for name, value in os.environ.items()}
"""
    seen = ask(worker(tmp_path, fault), sys.executable, [], PAIRS).versions
    assert not {"PYTHONPATH", "PYTHONHOME", "https_proxy", "ALL_PROXY"} & seen.keys()
    assert (seen["KEPT"], seen["HF_HUB_OFFLINE"]) == ("1", "1")


@pytest.mark.parametrize(
    ("fault", "code", "says"),
    [
        ("raise RuntimeError('no luck')", "crash", "no luck"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "crash", "-9"),
        ("import no_such_package", "missing-package", "no_such_package"),
        ("import importlib.metadata as m; m.version('no-such')", "missing-package", "no-such"),
        ("sys.exit(0)", "malformed", "worker.py"),
        ("del header['sha256']", "malformed", "sha256"),
        ("rows[1]['values'].pop()", "malformed", "worker.py"),
        ("rows[1]['values'][0] = 'x'", "malformed", "worker.py"),
        ("rows[0] = []", "malformed", "worker.py"),
        ("rows.pop()", "missing", "1 of 4"),
        ("rows.append(rows[0])", "doubled", "several"),
        ("rows[0]['id'] = '99'", "foreign", "99"),
        ("rows[2]['values'][1] = float('nan')", "not-a-number", "nan"),
        ("rows[2]['values'][1] = float('inf')", "not-a-number", "inf"),
    ],
)
def test_every_fault_has_its_code_and_says_where(tmp_path: Path, fault: str, code: str, says: str):
    with pytest.raises(ModelMetricError, match=says) as caught:
        ask(worker(tmp_path, fault), sys.executable, [], PAIRS)
    assert (caught.value.code, "worker.py" in str(caught.value)) == (code, True)


@pytest.mark.parametrize("python", ["no-such-python", "/no/such/python", "."])
def test_a_missing_interpreter_is_named(tmp_path: Path, python: str):
    with pytest.raises(ModelMetricError, match="no such interpreter") as caught:
        ask(worker(tmp_path), python, [], PAIRS)
    assert caught.value.code == "missing-interpreter"


def test_a_worker_says_itself_why_it_cannot_work(tmp_path: Path):
    script = tmp_path / "worker.py"
    script.write_text(
        f"import argparse, sys; sys.path.insert(0, {str(WORKERS)!r})\n"
        "from exchange import CannotWork, run\n"
        "def compute(pairs, options): raise CannotWork('missing-weights', '/models/x: no weights')\n"
        "run(compute, argparse.ArgumentParser())\n"
    )
    with pytest.raises(ModelMetricError, match="/models/x: no weights") as caught:
        ask(script, sys.executable, [], PAIRS)
    assert caught.value.code == "missing-weights"
