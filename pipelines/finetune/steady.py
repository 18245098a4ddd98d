"""Batches of a run, and the share of its time that it waited for them."""

from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import Any

import torch


class Steady:
    """Batches whose start takes nothing from the global generator.

    A DataLoader draws a seed when it starts; a resumed run starts one more, after its generators were restored.
    """

    def __init__(self, batches: Iterable[Any]) -> None:
        self._batches = batches
        self._waited, self._since = 0.0, perf_counter()

    def __iter__(self) -> Iterator[Any]:
        self._waited, self._since = 0.0, perf_counter()
        with torch.random.fork_rng(devices=[]):
            return self._timed(iter(self._batches))

    def _timed(self, batches: Iterator[Any]) -> Iterator[Any]:
        while True:
            began = perf_counter()
            try:
                batch = next(batches)
            except StopIteration:
                return
            self._waited += perf_counter() - began
            yield batch

    def waited(self) -> float:
        """Share of the time since the last call that the run waited for a batch, 0 … 1."""
        now = perf_counter()
        share = self._waited / max(now - self._since, 1e-9)
        self._waited, self._since = 0.0, now
        return share
