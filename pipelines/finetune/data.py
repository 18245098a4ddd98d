"""Training examples of the benchmark's folder, and their films as a step shows them."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from ...benchmark.degrade import degrade
from ...benchmark.ladder import Ladder, read_ladder
from ...prompts import Prompt
from ..errors import SettingsError
from ..pixels import Grey, reduced
from ..question import Question, ask
from ..settings import ReadSettings
from ..shown import decoded
from ..splits.files import prompt_of, read_materials
from .config import Config

Regime = Literal["high", "low"]


@dataclass(frozen=True)
class Example:
    """One film, what is asked about it and what a radiologist wrote."""

    case_id: str
    study_id: str
    image_id: str
    path: str
    view: str
    regime: Regime
    question: Question
    target: str


class Corpus(NamedTuple):
    """What a run learns from and is watched on, and the hashes that name the data."""

    train: Sequence[Example]
    validate: Sequence[Example]
    manifest: Mapping[str, Any]


def read_corpus(splits: Path, config: Config) -> Corpus:
    """Read the training and validation cases of a folder that `lrrg splits` wrote.

    Raises:
        SettingsError: the folder holds no benchmark, was made for another prompt, or has no training case.
    """
    rows, manifest = materials = read_materials(splits)
    prompt = prompt_of(splits, materials)
    section = manifest["spec"]["target"]
    train, validate = (_examples(rows, split, section, prompt, config) for split in ("train", "validate"))
    if not train:
        raise SettingsError(f"{splits}: no training case; the catalog needs films of split train with reports")
    return Corpus(train, validate, manifest)


def _examples(
    rows: Sequence[Mapping[str, Any]], split: str, section: str, prompt: Prompt, config: Config
) -> list[Example]:
    return [
        Example(
            case_id=row["case_id"],
            study_id=row["study_id"],
            image_id=row["image_id"],
            path=row["image_path"],
            view=row["view"],
            regime=regime,
            question=ask(row, section, prompt),
            target=" ".join(row["reference"].split()),
        )
        for row in rows
        if row["split"] == split and (regime := _regime(row["regime"], config)) is not None
    ]


def _regime(said: str, config: Config) -> Regime | None:
    if said == "borderline":
        return None if config.data.borderline == "leave-out" else config.data.borderline
    return "low" if said == "low" else "high"


class Films:
    """Reads films as the agent does, and spoils copies of them; equal arguments give equal pixels in any process."""

    def __init__(self, config: Config, read: ReadSettings) -> None:
        """Choose the defects.

        Raises:
            LadderError: an unknown defect.
            SettingsError: one that the benchmark declares unseen.
        """
        self._config, self._read, self._ladder = config, read, read_ladder()
        self._defects = _trainable(self._ladder, config.augment.defects)
        self._kept: dict[str, Grey] = {}

    def clean(self, example: Example) -> Grey:
        """The film, uint8 (H, W), at most `images.side` long.

        Raises:
            SettingsError: the file cannot be read; the message names it.
        """
        path = example.path
        if path in self._kept:
            return self._kept[path]
        film = np.ascontiguousarray(reduced(decoded(path, self._read), self._config.images.side))
        film.flags.writeable = False
        # No film makes room for another: each is drawn once a turn, so the oldest would be the next to be wanted.
        if len(self._kept) < self._config.data.kept:
            self._kept[path] = film
        return film

    def spoilt(self, example: Example, turn: int) -> Grey:
        """The film with a defect drawn by seed, turn and film; otherwise as `clean`."""
        key = f"{self._config.train.seed}\0{turn}\0{example.image_id}"
        draw = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "big")
        place, step = divmod(draw, len(self._config.augment.severities))
        defect = self._defects[place % len(self._defects)]
        return degrade(self.clean(example), defect, self._config.augment.severities[step], key=key, ladder=self._ladder)


def _trainable(ladder: Ladder, named: Sequence[str]) -> list[str]:
    """Defects that training may draw: all seen ones with degrees, or those named."""
    chosen = sorted(named) or sorted(name for name, defect in ladder.defects.items() if defect.seen and defect.ordered)
    if unseen := [name for name in chosen if not ladder[name].seen]:
        raise SettingsError(
            f"augment.defects: {', '.join(unseen)} is declared unseen; the benchmark's headline rests on it"
        )
    return chosen
