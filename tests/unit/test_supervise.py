"""A server that does not start, or does not stay: said with the reason, and nothing is left running."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from lrrg.pipelines.serving.errors import ServeError
from lrrg.pipelines.serving.launch import Launch
from lrrg.pipelines.serving.models import Model
from lrrg.pipelines.serving.server import Server, running
from lrrg.pipelines.serving.supervise import supervise
from lrrg.tests.scripted import AGES, reserved

ANSWERS_AND_DIES = """
import sys, threading
from lrrg.tests.scripted import says, serving
answered = threading.Event()
def answers(handler, body):
    says('{"ready": true}')(handler, body)
    answered.set()
with serving(answers, port=int(sys.argv[1])):
    answered.wait()
print("out of memory", flush=True)
"""
REFUSES = """
import sys, time
from lrrg.tests.scripted import fails, serving
with serving(fails(400), port=int(sys.argv[1])):
    time.sleep(600)
"""


def a_launch(log: Path, code: str, port: int = 9) -> Launch:
    command = [sys.executable, "-c", code, str(port)]
    return Launch("judge", Model("judge", "judge"), "cpu", command, dict(os.environ), "127.0.0.1", port, log)


def start(launch: Launch, seconds: float = AGES) -> ServeError:
    """What a start that fails says; its processes have ended by then."""
    with pytest.raises(ServeError) as failure, running(launch, seconds):
        pass
    return failure.value


def test_a_server_that_ends_at_once_shows_its_last_words(tmp_path: Path):
    failure = start(a_launch(tmp_path / "log", "print('no such model'); raise SystemExit(3)"))
    assert failure.code == "start"
    assert "no such model" in str(failure)
    assert "exit status 3" in str(failure)
    assert str(tmp_path / "log") in str(failure)


def test_a_server_that_never_gets_ready_is_ended(tmp_path: Path):
    failure = start(a_launch(tmp_path / "log", "import time; time.sleep(600)"), 1.0)
    assert failure.code == "start-timeout"
    assert f"the end of {tmp_path / 'log'}" in str(failure)


def test_a_server_that_refuses_its_first_request_is_not_handed_out(tmp_path: Path):
    with reserved() as port:
        failure = start(a_launch(tmp_path / "log", REFUSES, port))
    assert failure.code == "start"
    assert "first request" in str(failure)


def test_what_keeps_dying_is_started_again_and_then_given_up(tmp_path: Path):
    ready: list[Server] = []
    told: list[str] = []
    with reserved() as port:
        launch = a_launch(tmp_path / "log", ANSWERS_AND_DIES, port)
        with pytest.raises(ServeError, match="out of memory") as failure:
            supervise(launch, start_seconds=AGES, restarts=2, ready=ready.append, tell=told.append)
    assert failure.value.code == "died"
    assert len({server.process.pid for server in ready}) == 3
    assert {server.url for server in ready} == {launch.url}, "at one address"
    assert [message for message in told if "started again" in message][-1].count("(2 of 2)") == 1


SENDS = """
import os, signal, sys, time
from lrrg.pipelines.serving.supervise import stopping
signal.signal(signal.SIGHUP, signal.SIG_IGN if "ignored" in sys.argv else signal.SIG_DFL)
with stopping():
    os.kill(os.getpid(), signal.SIGHUP)
    time.sleep(0.1)
"""


@pytest.mark.parametrize(("arguments", "status"), [([], 128 + signal.SIGHUP), (["ignored"], 0)])
def test_a_hangup_ends_it_unless_nohup_says_otherwise(arguments: list[str], status: int):
    assert subprocess.run([sys.executable, "-c", SENDS, *arguments]).returncode == status
