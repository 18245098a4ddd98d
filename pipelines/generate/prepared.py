"""Films of many cases, read, spoilt and brought to a model's size, ahead of whoever asks about them."""

import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, islice
from multiprocessing import get_context
from typing import Any, NamedTuple

import cv2

from ..pixels import Grey, resized
from ..question import Question
from ..settings import ReadSettings
from ..shown import decoded, spoilt
from .predictions import Written

CHUNK = 16
"""Cases of one film that are made at once: decoding it is shared, and no answer is too large to be handed over."""
Row = Mapping[str, Any]


class Prepared(NamedTuple):
    """A case and its film, uint8 (H, W), at the model's size."""

    row: Row
    film: Grey


@dataclass(frozen=True)
class Job:
    """Reports to be written, whichever model writes them.

    Attributes:
        films: cases and their films, as the model wants them.
        ask: what to ask about a film.
        take: given the reports as they come.
        over: whether no further report is to be begun, though films are left.
    """

    films: Iterator[Prepared]
    ask: Callable[[Prepared], Question]
    take: Callable[[Sequence[Written]], None]
    over: Callable[[], bool]


@dataclass(frozen=True)
class Making:
    """How films are made: within which limits they are read, and to which sizes they are brought."""

    limits: ReadSettings
    min_pixels: int
    max_pixels: int

    def __call__(self, rows: Sequence[Row]) -> list[Grey]:
        """The films of cases that show one image.

        Raises:
            SettingsError: the image cannot be read.
            OSError: the storage failed.
        """
        grey = decoded(rows[0]["image_path"], self.limits)
        return [resized(spoilt(grey, row), self.min_pixels, self.max_pixels) for row in rows]


@contextmanager
def prepared(rows: Iterable[Row], making: Making, workers: int) -> Iterator[Iterator[Prepared]]:
    """Films in the rows' order, made in processes of their own where there is more than one; see `Making`."""
    if workers == 1:
        yield (each for chunk in _chunks(rows) for each in map(Prepared, chunk, making(chunk)))
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("forkserver"), initializer=_settle) as pool:
        try:
            yield _ahead(_chunks(rows), lambda chunk: pool.submit(making, chunk), 2 * workers)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    for _, same in groupby(rows, key=lambda row: row["image_path"]):
        while chunk := list(islice(same, CHUNK)):
            yield chunk


def _ahead(
    chunks: Iterator[list[Row]], submit: Callable[[list[Row]], Future[list[Grey]]], most: int
) -> Iterator[Prepared]:
    waiting: deque[tuple[list[Row], Future[list[Grey]]]] = deque()
    while True:
        waiting.extend((chunk, submit(chunk)) for chunk in islice(chunks, most - len(waiting)))
        if not waiting:
            return
        chunk, films = waiting.popleft()
        yield from map(Prepared, chunk, films.result())


def _settle() -> None:
    """Signals are for the main process to act on."""
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    cv2.setNumThreads(1)
