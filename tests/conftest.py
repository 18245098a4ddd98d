"""Shared fixtures: where real films are, and files that are generated and kept."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from lrrg.tests.served import Served

REPOSITORY = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rewrite-golden", action="store_true", help="rewrite generated files instead of comparing them")


def pytest_configure() -> None:
    """Let what tests start hear signals: a shell's `&` and `nohup` have their children ignore some, who pass it on."""
    for number in (signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever asks the model server stands in a file `…_vllm.py`, by which runs in parallel know it."""
    for item in items:
        if "judge_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.vllm)
            if not item.path.stem.endswith("_vllm"):
                raise pytest.UsageError(f"{item.nodeid} uses judge_server: name its file …_vllm.py")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Share the tests out one by one, but give all that ask the model server to one process: there is one server."""
    from xdist.scheduler import LoadScopeScheduling

    class OneServer(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return "vllm" if "_vllm.py::" in nodeid else nodeid

    return OneServer(config, log)


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with a file of the repository, or write it there under `--rewrite-golden`."""

    def check(name: str, text: str) -> None:
        path = REPOSITORY / name
        if request.config.getoption("--rewrite-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        said = path.read_text(encoding="utf-8") if path.is_file() else ""
        assert said == text, f"{name} is out of date; make golden rewrites it"

    return check


@pytest.fixture(scope="session")
def films_root() -> Path:
    """Folder of hand-labelled real radiographs; set `LRRG_FILMS` to use another."""
    root = Path(os.environ.get("LRRG_FILMS", REPOSITORY.parent / "shared" / "data" / "cxr"))
    if not root.is_dir():
        pytest.skip(f"no labelled radiographs at {root}; set LRRG_FILMS to a folder with manifest*.csv")
    return root


@pytest.fixture(scope="session")
def judge_server(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Served]":
    """A real vLLM with the compact judge, started once; killed, it comes back at the same URL."""
    from lrrg.tests.served import a_judge

    with a_judge(tmp_path_factory.mktemp("judge")) as served:
        yield served
