"""The pool against real deaths and hangs: a named pipe in a file's place keeps a worker busy for as long as we like."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from lrrg.agent.state import Failure, ImageRef, Reading
from lrrg.pipelines.engines import worker
from lrrg.pipelines.engines.pool import Pool
from lrrg.pipelines.errors import PoolError
from lrrg.pipelines.settings import ReadSettings
from lrrg.tests.project import printed

PATIENCE = 10.0
"""Seconds after which an image counts as hung: more than a busy machine takes for a sound one."""


@pytest.fixture
def films(tmp_path: Path) -> list[ImageRef]:
    noise = np.random.default_rng(7)
    found = []
    for name in ("a", "b", "c", "d", "e", "f"):
        path = tmp_path / f"{name}.png"
        cv2.imwrite(str(path), noise.integers(0, 255, (128, 96), np.uint8))
        found.append(ImageRef(name, str(path)))
    return found


@pytest.fixture
def stuck(tmp_path: Path) -> ImageRef:
    """An image whose reading never ends."""
    path = tmp_path / "stuck.png"
    os.mkfifo(path)
    return ImageRef("stuck", str(path))


def measure_all(images: list[ImageRef], *, timeout: float = 600, size: int = 2, meanwhile=None, read=None):
    """Results of `images` in their order, and the pids of the workers that were left."""

    async def go():
        async with Pool(size, read or ReadSettings(), timeout) as pool:
            other = asyncio.create_task(meanwhile(pool)) if meanwhile else None
            results = await asyncio.gather(*(pool.ask(image, worker.read) for image in images))
            if other:
                other.cancel()
            return results, pool.pids

    return asyncio.run(go())


def opens(pid: int, path: str) -> bool:
    """Whether a process has a file open."""
    with suppress(FileNotFoundError):
        return any(Path(handle).resolve() == Path(path) for handle in Path(f"/proc/{pid}/fd").iterdir())
    return False


def killer(path: str, deaths: list[int], at_most: int = 99):
    """Kill every worker that opens `path`."""

    async def watch(pool: Pool):
        pipe = os.open(path, os.O_RDWR)  # holds the named pipe open, so that a reader blocks in read, not in open
        try:
            while len(deaths) < at_most:
                for pid in pool.pids:
                    with suppress(ProcessLookupError, FileNotFoundError):
                        if opens(pid, path):
                            os.kill(pid, signal.SIGKILL)
                            deaths.append(pid)
                await asyncio.sleep(0.01)
        finally:
            os.close(pipe)

    return watch


def test_every_image_gets_its_own_reading(films):
    results, _ = measure_all(films)
    assert [result.sha256 for result in results] == [measured(film).sha256 for film in films]
    assert {(result.width, result.height) for result in results} == {(96, 128)}


def measured(film: ImageRef) -> Reading:
    (result,), _ = measure_all([film], size=1)
    assert isinstance(result, Reading)
    return result


def test_a_bad_file_is_an_answer_with_its_code(tmp_path, films):
    (tmp_path / "text.jpg").write_text("<html>not found</html>")
    bad = [ImageRef("gone", str(tmp_path / "gone.png")), ImageRef("text", str(tmp_path / "text.jpg"))]
    gone, text, good = measure_all([*bad, films[0]])[0]
    assert (gone.status, gone.code) == ("unreadable", "missing")
    assert (text.status, text.code) == ("unreadable", "not-an-image")
    assert "text.jpg" in text.detail
    assert isinstance(good, Reading)


def test_a_file_above_the_size_cap_is_refused(films):
    (result,), _ = measure_all(films[:1], read=ReadSettings(max_bytes=100))
    assert (result.status, result.code) == ("unreadable", "too-many-bytes")


def test_a_hung_image_times_out_and_its_worker_is_replaced(films, stuck):
    results, pids = measure_all([stuck, *films], timeout=PATIENCE)
    assert results[0] == Failure("failed", "timeout", f"{stuck.path}: no answer within {PATIENCE:g} s")
    assert all(isinstance(result, Reading) for result in results[1:])
    assert len(pids) == 2


def test_an_image_that_kills_every_worker_fails_alone(films, stuck):
    deaths: list[int] = []
    results, pids = measure_all([*films[:3], stuck, *films[3:]], meanwhile=killer(stuck.path, deaths))
    assert results[3].code == "worker-killed"
    assert len(set(deaths)) == 2
    assert all(isinstance(result, Reading) for result in results[:3] + results[4:])
    assert len(pids) == 2


def test_a_worker_killed_once_costs_nothing(films):
    async def shoot(pool: Pool):
        os.kill(pool.pids[0], signal.SIGKILL)

    results, _ = measure_all(films * 5, meanwhile=shoot)
    assert all(isinstance(result, Reading) for result in results)


def test_a_batch_systems_signal_leaves_dead_workers_replaceable(films):
    """It goes to the whole process group, and so to the process that forks the workers."""

    async def shoot(pool: Pool):
        first = pool.pids[0]
        server.append(psutil.Process(first).parent())
        server[0].terminate()
        os.kill(first, signal.SIGKILL)

    server: list[psutil.Process] = []
    results, pids = measure_all(films * 5, meanwhile=shoot)
    assert all(isinstance(result, Reading) for result in results)
    assert server[0].is_running()
    assert len(pids) == 2


class Deadly:
    """Settings that kill the first process that is sent them, before it can say that it is ready."""

    sent = 0

    def __reduce__(self):
        self.sent += 1
        return (signal.raise_signal, (signal.SIGKILL,)) if self.sent == 1 else (ReadSettings, ())


def test_a_pool_that_does_not_start_leaves_no_worker():
    started: list[int] = []

    async def note(pool: Pool):
        while len(pool.pids) < 2:
            await asyncio.sleep(0)
        started.extend(pool.pids)

    async def go():
        pool = Pool(2, Deadly(), 60)  # pyright: ignore[reportArgumentType]
        await asyncio.gather(pool.__aenter__(), note(pool))

    with pytest.raises(PoolError):
        asyncio.run(go())
    assert len(started) == 2
    assert not any(psutil.pid_exists(pid) for pid in started)


def test_workers_leave_the_main_module_alone(tmp_path: Path):
    """In a task of Ray it is Ray's, and takes longer to import than a film to measure."""
    imported = tmp_path / "imported"
    script = tmp_path / "main.py"
    script.write_text(f"""
import asyncio
from pathlib import Path
from lrrg.pipelines.engines.pool import Pool
from lrrg.pipelines.settings import ReadSettings

with open({str(imported)!r}, "a") as file:
    print(__name__, file=file)

async def main():
    async with Pool(2, ReadSettings(), 60) as pool:
        assert len(pool.pids) == 2

if __name__ == "__main__":
    asyncio.run(main())
""")
    subprocess.run([sys.executable, str(script)], check=True)
    assert imported.read_text().split() == ["__main__"]


def test_an_answer_that_came_while_this_process_stood_still_counts(films: list[ImageRef]):
    async def go() -> Reading | Failure:
        async with Pool(1, ReadSettings(), PATIENCE) as pool:
            (only,) = pool._alive
            asked = asyncio.create_task(only.ask(films[0].path, worker.read, timeout=0.01))
            await asyncio.sleep(0)
            assert only._pipe.poll(600)  # nothing else goes on meanwhile, nor does the time that is allowed end
            time.sleep(0.05)
            return await asked

    assert isinstance(asyncio.run(go()), Reading)


def test_a_worker_loads_what_measures_and_neither_graph_nor_database():
    code = (
        "import sys; from lrrg.pipelines.engines import worker;"
        "print([m for m in sys.modules if m in ('langgraph', 'openai', 'duckdb', 'torch')])"
    )
    assert printed(code) == "[]"


def test_a_bound_that_a_batch_system_set_is_kept():
    code = (
        "import resource; from pathlib import Path; from lrrg.pipelines.engines import worker;"
        "mapped = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize();"
        "bounds = (mapped + (1 << 30),) * 2; resource.setrlimit(resource.RLIMIT_AS, bounds);"
        "worker.settle(); print(resource.getrlimit(resource.RLIMIT_AS) == bounds)"
    )
    assert printed(code) == "True"
