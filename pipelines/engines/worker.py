"""What a worker process does: read one file, measure it, answer; and how it stays out of everybody's way."""

import ctypes
import hashlib
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeVar

import cv2

from ...agent.state import Failure, Reading
from ...tools import TOOLS, measure
from ...tools.film import Film
from ...tools.fingerprint import fingerprint
from ...tools.image import ImageError, decode
from ..errors import SettingsError
from ..settings import ReadSettings
from ..storage import read_bytes

ADDRESS_SPACE = 4 << 30
"""Bytes a worker may map beyond what it maps at its start: what slips through the pixel cap fails alone."""
DETAIL_CHARS = 300
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3


class ToolError(RuntimeError):
    """A tool broke on a file that decoded: a defect of the program, never a verdict on the image."""


Found = TypeVar("Found")
Work = Callable[[str, ReadSettings], Found]
"""What to do with one file; it crosses a process border, so it is a module's function or a `partial` of one."""


def serve(pipe: Connection, limits: ReadSettings) -> None:
    """Do one piece of work after another until the pipe closes; the first message says that the worker is ready."""
    settle()
    pipe.send(os.getpid())
    while True:
        try:
            path, work = pipe.recv()
        except EOFError:
            return
        pipe.send(answer(path, limits, work))


def answer(path: str, limits: ReadSettings, work: Work[Found]) -> Found | Failure | ToolError:
    """Do one piece of work; what goes wrong comes back as data, because it has to cross a process border."""
    try:
        return work(path, limits)
    except ImageError as error:
        return Failure("unreadable", error.code, f"{path}: {error}"[:DETAIL_CHARS])
    except SettingsError as error:
        return Failure("failed", error.code, f"{path}: {error}"[:DETAIL_CHARS])
    except OSError as error:
        return Failure("failed", "io-error", f"{path}: {error.strerror or error}"[:DETAIL_CHARS])
    except ImportError as error:
        return Failure("failed", "missing-decoder", f"{path}: {error}"[:DETAIL_CHARS])
    except MemoryError:
        return Failure("failed", "out-of-memory", f"{path}: takes more memory than a worker may use"[:DETAIL_CHARS])
    except Exception:
        return ToolError(f"{path}: measuring it broke\n{traceback.format_exc()}")


def read(path: str, limits: ReadSettings) -> Reading:
    """Read, check, decode and measure one file.

    Raises:
        ImageError: the file is missing, larger than allowed, or not a sound image; the code says which.
        OSError: the file is there and the machine does not give it.
    """
    started = time.perf_counter()
    data, film = opened(path, limits)
    return reading(data, film, started)


def opened(path: str, limits: ReadSettings) -> tuple[bytes, Film]:
    """Read, check and decode one file.

    Raises:
        ImageError: see `read`.
        OSError: see `read`.
    """
    data = read_bytes(path, limits)
    return data, decode(data, max_pixels=limits.max_pixels)


def reading(data: bytes, film: Film, started: float) -> Reading:
    """Measure an opened film.

    Args:
        data: the file.
        film: decoded from it.
        started: `time.perf_counter` when it began to be read.
    """
    height, width = film.pixels.shape
    measures = {f"{each.tool}.{each.metric}": each.value for each in measure(film, TOOLS)}
    return Reading(
        sha256=hashlib.sha256(data).hexdigest(),
        fingerprint=fingerprint(film),
        file_bytes=len(data),
        file_format=film.file_format,
        width=width,
        height=height,
        bits=film.bits,
        intensity_domain=film.domain,
        view=film.view,
        notes=film.notes,
        measures=measures,
        elapsed_ms=(time.perf_counter() - started) * 1e3,
    )


def settle() -> None:
    """Leave signals to the main process, keep to one core and within bounds, and never outlive the main process."""
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    cv2.setNumThreads(1)
    if sys.platform == "linux":
        _bound_memory()
        _keep_memory()
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _bound_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    _, hard = limits = resource.getrlimit(resource.RLIMIT_AS)
    set_already = [each for each in limits if each != resource.RLIM_INFINITY]  # by a batch system, say
    bound = min([pages * resource.getpagesize() + ADDRESS_SPACE, *set_already])
    resource.setrlimit(resource.RLIMIT_AS, (bound, hard))


def _keep_memory() -> None:
    """Have the C library reuse a film's pages for the next: returning and faulting them in again costs a tenth."""
    allocator = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if allocator is not None:
        allocator(M_MMAP_THRESHOLD, 1 << 25)
        allocator(M_TRIM_THRESHOLD, 1 << 28)


def _die_with_parent() -> None:
    """A hung or busy worker would stay for ever after the main process was killed."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
