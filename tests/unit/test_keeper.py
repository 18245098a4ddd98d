"""The process between `lrrg` and a server: whatever ends, nothing is left."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from lrrg.pipelines.serving.server import KEEPER
from lrrg.tests.project import all_gone, eventually, family

DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
PARENT = """
import subprocess, sys, time
from pathlib import Path
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE)
child.stdout.readline()
print("up", flush=True)
while not Path(sys.argv[2]).exists():
    time.sleep(0.02)
"""


@contextmanager
def kept(log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A keeper that holds a process with a child that ignores SIGTERM; a file `end` beside the log ends the process."""
    server = [sys.executable, "-c", PARENT, DEAF, str(log.with_name("end"))]
    with log.open("wb") as said:
        command = [sys.executable, "-I", "-S", str(KEEPER), "0.3", *server]
        keeper = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=said, stderr=said)
    eventually(lambda: b"up" in log.read_bytes())
    yield keeper
    keeper.wait()


def both(keeper: subprocess.Popen[bytes]) -> list[psutil.Process]:
    found = family(keeper.pid)
    assert len(found) == 2
    return found


def test_the_end_of_its_input_ends_all_even_what_ignores_signals(tmp_path: Path):
    with kept(tmp_path / "log") as keeper:
        processes = both(keeper)
        assert keeper.stdin is not None
        keeper.stdin.close()
        assert all_gone(processes)


def test_a_server_that_ends_takes_its_children_along_and_its_status_is_said(tmp_path: Path):
    with kept(tmp_path / "log") as keeper:
        processes = both(keeper)
        (tmp_path / "end").touch()
        assert all_gone(processes)
    assert "exit status 0" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signals_to_the_keeper_change_nothing(tmp_path: Path, number: signal.Signals):
    with kept(tmp_path / "log") as keeper:
        processes = both(keeper)
        keeper.send_signal(number)
        assert not all_gone(processes, within=0.5)
        assert os.getpgid(processes[1].pid) == keeper.pid, "one group, led by the keeper"
        assert keeper.stdin is not None
        keeper.stdin.close()
