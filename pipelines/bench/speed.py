"""What the tools cost beside bare decoding, in CPU time, so that other work on the machine counts little."""

import time
from collections.abc import Callable, Iterable

import cv2
import numpy as np

from ...benchmark.mimic import mimic_jpeg
from ...benchmark.phantom import phantom
from ...tools import TOOLS, Film, Tool, measure

HEIGHT, WIDTH = 3056, 2544
REPEATS = 15
TARGET = 0.8


def speed() -> list[tuple[str, float, float]]:
    """CPU milliseconds of each step on one film of 2544 x 3056 px and its ratio to `cv2.imdecode`.

    Rows: decoding; the pyramid; the field; each measure as it runs after the ones before it, so that the first of a
    family pays for what the family shares; all of it together on a fresh film.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        return _rows()
    finally:
        cv2.setNumThreads(threads)


def _rows() -> list[tuple[str, float, float]]:
    stored = phantom(1, height=HEIGHT).stored[:, :WIDTH]
    data = np.frombuffer(mimic_jpeg(stored), np.uint8)
    grey = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
    # Decoding and measuring take turns, so that both see the same load and clock.
    turns = [(_ms(lambda: cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)), _all(grey), _steps(grey)) for _ in range(REPEATS)]
    decode = min(turn[0] for turn in turns)
    rows = [("cv2.imdecode", decode)]
    rows += [(name, min(turn[2][name] for turn in turns)) for name in turns[0][2]]
    rows.append((f"all tools (target ≤ {TARGET})", min(turn[1] for turn in turns)))
    return [(name, ms, ms / decode) for name, ms in rows]


def _all(grey: np.ndarray) -> float:
    return _ms(lambda: measure(Film(grey, "equalised"), TOOLS))


def _steps(grey: np.ndarray) -> dict[str, float]:
    film = Film(grey, "equalised")
    shared: Iterable[tuple[str, Callable[[], object]]] = (
        ("pyramid", lambda: film.view128),
        ("field", lambda: film.field),
    )
    times = {name: _ms(step) for name, step in shared}
    return times | {each.name: _ms(_on(each, film)) for each in TOOLS if film.domain in each.domains}


def _on(each: Tool, film: Film) -> Callable[[], object]:
    return lambda: each(film)


def _ms(work: Callable[[], object]) -> float:
    started = time.process_time()
    work()
    return 1e3 * (time.process_time() - started)
