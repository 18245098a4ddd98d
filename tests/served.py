"""A real `lrrg serve judge` for tests: one for the whole run, and what the processes behind it are."""

import ctypes
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

import psutil
import pytest
from lrrg.pipelines.serving.environment import find
from lrrg.pipelines.serving.errors import ServeError
from lrrg.pipelines.settings import load
from lrrg.tests.project import LRRG, all_gone, family
from lrrg.tests.scripted import AGES

PR_SET_PDEATHSIG = 1
CONTEXT = 4096
"""Tokens the server takes: more than the compact judge was made for, so that it can be asked with the long prompt."""


@dataclass(frozen=True)
class Served:
    """A judge that answers.

    Attributes:
        url: base URL, such as `http://127.0.0.1:8000/v1`.
        model: name to ask it for.
        process: `lrrg serve`, which starts vLLM again where it dies.
    """

    url: str
    model: str
    process: subprocess.Popen[str]

    @property
    def root(self) -> str:
        """Of its pages `/health` and `/metrics`."""
        return self.url.removesuffix("/v1")

    def page(self, path: str) -> str:
        """What it says there."""
        with build_opener(ProxyHandler({})).open(f"{self.root}{path}", timeout=AGES) as reply:
            return reply.read().decode()

    def cache(self) -> tuple[float, float]:
        """Prompt tokens that were looked up in the prefix cache so far, and those found there."""
        text, names = self.page("/metrics"), ("prefix_cache_queries", "prefix_cache_hits")
        asked, hit = (sum(map(float, re.findall(rf"^vllm:{name}_total\S* (\S+)$", text, re.M))) for name in names)
        return asked, hit

    def front(self) -> psutil.Process | None:
        """vLLM's first process, with its engine and worker below it; None while there is none."""
        for each in family(self.process.pid):
            with suppress(psutil.NoSuchProcess):
                if each.cmdline()[1:2] == ["-m"]:
                    return each
        return None


@contextmanager
def a_judge(logs: Path) -> Iterator[Served]:
    """Serve the compact judge; skips where no vLLM is installed. In the end no process may be left."""
    skip_without_vllm()
    longer = json.dumps({"text_config": {"max_position_embeddings": CONTEXT}})
    flags = ("--max-model-len", str(CONTEXT), "--hf-overrides", longer)
    with serving("--port", "0", "--", *flags, logs=logs) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, (logs / "stderr").read_text()
        facts = json.loads(line)
        yield Served(facts["url"], facts["model"], process)
        everything = family(process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(AGES) == 128 + signal.SIGTERM
        assert len(everything) >= 4, "the keeper, vLLM's front, its engine and its worker"
        assert all_gone(everything)


def skip_without_vllm() -> None:
    """Skip the test, saying why, where there is no vLLM."""
    try:
        find(load().serve.environment)
    except ServeError as error:
        pytest.skip(str(error))


@contextmanager
def serving(*arguments: str, logs: Path) -> Iterator[subprocess.Popen[str]]:
    """Run `lrrg serve judge --json …`; it dies with this process, and is killed at the end of the block."""
    given = os.environ | {"LRRG_SERVE__LOGS": str(logs)}
    with (logs / "stderr").open("w") as said:
        command = [*LRRG, "serve", "judge", "--json", *arguments]
        process = subprocess.Popen(
            command, env=given, stdout=subprocess.PIPE, stderr=said, text=True, preexec_fn=_dies_with_us
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


def _dies_with_us() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
