"""From drawn films to batches of tensors, read ahead where processes are allowed for it."""

from collections.abc import Sequence
from typing import NamedTuple

from torch.utils.data import DataLoader, Dataset

from ..settings import ReadSettings
from .config import Config
from .data import Example, Films, Regime
from .processor import Asked, Batch, Processor
from .samplers import Draw, Pick, Sampler

VALIDATION_TURN = -1
"""Turn of the spoilt copies that a run is watched on; training's count from 0."""


class Steps(Dataset[dict[Regime, Batch]]):
    """The batches of a step by its draw: `high` and `low`, a regime that was not drawn left out."""

    def __init__(self, examples: Sequence[Example], films: Films, processor: Processor) -> None:
        self._examples, self._films, self.processor = examples, films, processor

    def __getitem__(self, draw: Draw) -> dict[Regime, Batch]:
        """Batches as `Processor.batch` lays them out, on the CPU."""
        halves: dict[Regime, tuple[Pick, ...]] = {"high": draw.high, "low": draw.low}
        return {
            regime: self.processor.batch([self.row(pick) for pick in picks])
            for regime, picks in halves.items()
            if picks
        }

    def row(self, pick: Pick) -> Asked:
        """One film with its question and report."""
        example = self._examples[pick.film]
        film = self._films.spoilt(example, pick.turn) if pick.spoilt else self._films.clean(example)
        return self.processor.row(example.question, film, example.target)


class Loader(NamedTuple):
    """Endless batches of one process, and the sampler that says how far they are."""

    batches: DataLoader[dict[Regime, Batch]]
    sampler: Sampler


def loader(
    config: Config,
    examples: Sequence[Example],
    processor: Processor,
    read: ReadSettings,
    *,
    rank: int = 0,
    world: int = 1,
) -> Loader:
    """Batches of one process of a training run.

    Raises:
        LadderError: `augment.defects` names an unknown defect.
        SettingsError: it names an unseen one, or a regime that must be drawn from has no film.
    """
    sampler, workers = Sampler(examples, config, rank=rank, world=world), config.data.workers
    batches = DataLoader(
        Steps(examples, Films(config, read), processor),
        # A Draw is one "index": the sampler already makes whole batches.
        sampler=sampler,  # pyright: ignore[reportArgumentType]
        batch_size=None,
        num_workers=workers,
        persistent_workers=workers > 0,
        multiprocessing_context="forkserver" if workers else None,
    )
    return Loader(batches, sampler)


class Watched:
    """Batches of one regime that a run is watched on, made anew each time: they would not fit into memory together."""

    def __init__(self, steps: Steps, picks: Sequence[Pick], size: int) -> None:
        self._steps = steps
        self._picks = [picks[start : start + size] for start in range(0, len(picks), size)]

    def __len__(self) -> int:
        return len(self._picks)

    def __getitem__(self, number: int) -> Batch:
        """A batch as `Processor.batch` lays it out, on the CPU."""
        return self._steps.processor.batch([self._steps.row(pick) for pick in self._picks[number]])


def validation(
    config: Config, examples: Sequence[Example], processor: Processor, read: ReadSettings
) -> dict[Regime, Watched]:
    """What a run is watched on: high films, and low ones with a spoilt copy of every high one; always the same."""
    steps = Steps(examples, Films(config, read), processor)
    high = [Pick(film) for film, example in enumerate(examples) if example.regime == "high"]
    low = [Pick(film) for film, example in enumerate(examples) if example.regime == "low"]
    copies = [Pick(pick.film, VALIDATION_TURN, spoilt=True) for pick in high]
    size = config.train.batch_size
    return {"high": Watched(steps, high, size), "low": Watched(steps, [*low, *copies], size)}
