"""Which films make up a step: a pure function of seed and step, so that a run resumes wherever it stopped."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from math import floor
from typing import Any, NamedTuple

import numpy as np

from ..errors import SettingsError
from .config import Config
from .data import Example, Regime


class Pick(NamedTuple):
    """One film of a step.

    Attributes:
        film: number of the example.
        turn: how often its pool was gone through before; another turn draws another spoilt copy.
        spoilt: whether a defect is drawn into it.
    """

    film: int
    turn: int = 0
    spoilt: bool = False


class Draw(NamedTuple):
    """The films of one step by regime; spoilt copies are low."""

    high: tuple[Pick, ...]
    low: tuple[Pick, ...]


class Stream:
    """A pool gone through again and again, each time in another order."""

    def __init__(self, pool: Sequence[int], seed: int, name: str) -> None:
        self._pool = np.asarray(pool, int)
        self._key = int.from_bytes(hashlib.sha256(f"{seed}\0{name}".encode()).digest()[:8], "big")
        self._order = lru_cache(maxsize=4)(self._shuffled)

    def __getitem__(self, position: int) -> Pick:
        """The film at a position of the endless stream."""
        turn, place = divmod(position, len(self._pool))
        return Pick(int(self._order(turn)[place]), turn)

    def _shuffled(self, turn: int) -> np.ndarray:
        return np.random.default_rng([self._key, turn]).permutation(self._pool)


class Sampler:
    """An endless series of steps; iterate over it, or ask for any step.

    Of equal seed and films, micro-step m of one process is the same as step m // world of process m % world.
    """

    def __init__(self, examples: Sequence[Example], config: Config, *, rank: int = 0, world: int = 1) -> None:
        """Sort the films into pools.

        Raises:
            SettingsError: a regime that must be drawn from has no film.
        """
        self._config, self._rank, self._world, self._step = config, rank, world, 0
        self._regimes: tuple[Regime, ...] = tuple(example.regime for example in examples)
        self._twins = _twins(examples)
        self._sha256 = hashlib.sha256("\n".join(example.case_id for example in examples).encode()).hexdigest()
        pools: dict[str, list[int]] = {
            "high": [index for index, regime in enumerate(self._regimes) if regime == "high"],
            "low": [index for index, regime in enumerate(self._regimes) if regime == "low"],
            "all": list(range(len(examples))),
        }
        for pool, share in self._needed().items():
            if share and not pools[pool]:
                raise SettingsError(
                    f"no {pool} film to train on, and {share:.0%} of the draws need one; see augment.share"
                )
        seed = config.train.seed
        self._streams = {name: Stream(pool, seed, name) for name, pool in pools.items() if pool}
        self._copied = Stream(pools["high"], seed, "copied")

    def _needed(self) -> Mapping[str, float]:
        spoilt = self._config.augment.share
        if self._config.sampling == "clean":
            return {"high": 1.0}
        if self._config.sampling == "proportional":
            return {"all": 1 - spoilt, "high": spoilt}
        return {"high": 1.0, "low": self._config.data.low_share * (1 - spoilt)}

    def __iter__(self) -> Iterator[Draw]:
        """Steps of this process, from where it stands, without end."""
        while True:
            self._step += 1
            yield self.draw(self._step - 1)

    def draw(self, step: int) -> Draw:
        """The films of one step of this process."""
        step = step * self._world + self._rank
        size, low = self._config.train.batch_size, self._config.low_rows
        if self._config.sampling == "clean":
            return Draw(tuple(self._streams["high"][slot] for slot in range(step * size, (step + 1) * size)), ())
        if self._config.sampling == "proportional":
            picks = [self._slot("all", slot) for slot in range(step * size, (step + 1) * size)]
            return Draw(tuple(p for p in picks if not self._is_low(p)), tuple(p for p in picks if self._is_low(p)))
        rows = size - low
        high = tuple(self._streams["high"][slot] for slot in range(step * rows, (step + 1) * rows))
        slots = range(step * low, (step + 1) * low)
        if self._config.sampling == "balanced":
            return Draw(high, tuple(self._slot("low", slot) for slot in slots))
        return Draw(high, tuple(self._twin(high[row % rows], slot) for row, slot in enumerate(slots)))

    def _is_low(self, pick: Pick) -> bool:
        return pick.spoilt or self._regimes[pick.film] == "low"

    def _slot(self, pool: str, slot: int) -> Pick:
        """A film of the pool, or in `augment.share` of the slots a spoilt copy of a high one."""
        copies = floor(slot * self._config.augment.share)
        if floor((slot + 1) * self._config.augment.share) > copies:
            return self._copied[copies]._replace(spoilt=True)
        return self._streams[pool][slot - copies]

    def _twin(self, high: Pick, slot: int) -> Pick:
        """The other film of the study where there is one; else a spoilt copy, or in its turn a film of the low pool."""
        copies = floor(slot * self._config.augment.share)
        if high.film in self._twins:
            return Pick(self._twins[high.film], high.turn)
        if floor((slot + 1) * self._config.augment.share) > copies:
            return high._replace(spoilt=True)
        return self._streams["low"][slot - copies]

    def state_dict(self) -> dict[str, Any]:
        """How far this process is, and of which films."""
        return {"step": self._step, "sha256": self._sha256}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where a run stopped.

        Raises:
            SettingsError: the run was on other films.
        """
        if state["sha256"] != self._sha256:
            raise SettingsError("the training films are not those of the run to resume; name a new --out")
        self._step = int(state["step"])


def _twins(examples: Sequence[Example]) -> dict[int, int]:
    """The low film of a study by its high one, in one projection."""
    low = {(each.study_id, each.view): index for index, each in enumerate(examples) if each.regime == "low"}
    return {
        index: low[each.study_id, each.view]
        for index, each in enumerate(examples)
        if each.regime == "high" and (each.study_id, each.view) in low
    }
