"""What a run is given: its films, its batches, and the test set with every way of being bad."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch

from ....benchmark.cases import Case
from ...pixels import patches, resized
from ...question import Question
from ..processor import Asked, Batch, Processor
from .config import Comparison, Law, RowSection
from .films import Films, Grey, ladder, spoil

QUESTION = Question("", "Report.")
SEEN = ("quantum_noise", "defocus", "under_exposure", "low_contrast", "shutter", "tilt", "jpeg")
UNSEEN = (
    "electronic_noise", "motion", "over_exposure", "scatter", "cut_off", "grid_lines", "overlay_text", "low_resolution",
)  # fmt: skip
HELD_OUT = ("electronic_noise", "over_exposure")
"""Unseen defects that learning rates may be chosen on; the test's unseen figure leaves them out."""
TESTED = tuple(defect for defect in UNSEEN if defect not in HELD_OUT)
TESTED_SEEN = SEEN[:4]
"""Seen defects that are scored one by one; `low` has all of them in mixtures."""
SEVERITY = 4
"""Of the test's single defects."""
LAWS: Mapping[Law, tuple[Sequence[str], Sequence[int], Sequence[int]]] = {
    "seen": (SEEN, (1, 2), (3, 4, 5)),
    "natural": (SEEN + TESTED, (2, 3), (2, 3, 4)),
}
"""Defects, their number and severities of low films: one or two that augmentation knows, or any mixture."""
Defects = Sequence[tuple[str, int]]


def defects_of(key: str, law: Law) -> Defects:
    """What is wrong with a low film: drawn from its name."""
    names, numbers, severities = LAWS[law]
    rng = np.random.default_rng(np.frombuffer(f"{law}\0{key}".encode(), np.uint8))
    chosen = rng.choice(len(names), int(rng.choice(numbers)), replace=False)
    return [(str(names[index]), int(rng.choice(severities))) for index in sorted(chosen)]


def copy_of(key: str) -> Defects:
    """What is wrong with the spoilt copy of a clean film: one seen defect, of other severities than low films have."""
    rng = np.random.default_rng(np.frombuffer(f"copy\0{key}".encode(), np.uint8))
    return [(SEEN[rng.integers(len(SEEN))], int(rng.integers(2, 6)))]


class Film(NamedTuple):
    """A film with its report as tokens; patches are cut when it is drawn, which takes little, and memory even less."""

    asked: Asked
    grey: Grey


class Data:
    """The films of one run: clean ones, a spoilt copy of every clean one, and low ones of every law."""

    def __init__(self, films: Films, comparison: Comparison, processor: Processor, seed: int) -> None:
        """Spoil a run's films: the first ones stay clean."""
        high = comparison.films.high
        self._size, self._seed, self._processor = comparison.run.batch_size, seed, processor
        severities = ladder()

        def film(number: int, defects: Defects) -> Film:
            grey = spoil(films.grey[number], defects, films.keys[number], severities)
            asked = processor.row(QUESTION, grey, films.reports[number])
            return Film(asked._replace(pixel_values=torch.empty(0)), grey)

        self.high = [film(each, ()) for each in range(high)]
        self.copies = [film(each, copy_of(films.keys[each])) for each in range(high)]
        low = range(high, len(films))
        self.low = {law: [film(each, defects_of(films.keys[each], law)) for each in low] for law in LAWS}

    def step(self, row: RowSection, step: int) -> dict[str, list[Batch]]:
        """Batches of one step: a function of seed, step and shares, whatever the strategy."""
        rng = np.random.default_rng([self._seed, 12, step])
        if row.strategy.name == "sft_clean":
            return {"high": [self._batch(self._some(rng, self.high, self._size))], "low": []}
        low = round(row.low_share * self._size)
        copied = round(row.augment * low)
        high = self._some(rng, self.high, self._size - low)
        spoilt = self._some(rng, self.low[row.law], low - copied) + self._some(rng, self.copies, copied)
        return {"high": [self._batch(high)], "low": [self._batch(spoilt)]}

    def _some(self, rng: np.random.Generator, pool: Sequence[Film], number: int) -> list[Film]:
        return [pool[each] for each in rng.integers(len(pool), size=number)]

    def _batch(self, films: Sequence[Film]) -> Batch:
        return self._processor.batch([drawn(film.asked, film.grey, self._processor) for film in films])


def drawn(asked: Asked, grey: Grey, processor: Processor) -> Asked:
    """A row with the patches of a film."""
    cut = patches(resized(grey, processor.min_pixels, processor.max_pixels))
    return asked._replace(pixel_values=torch.from_numpy(cut.values))


def shown(films: Films, defects: Mapping[str, Sequence[Defects]]) -> dict[str, list[Grey]]:
    """Every film in every condition: `defects` gives each condition's, film by film."""
    severities = ladder()
    return {
        condition: [
            spoil(grey, found, key, severities) for grey, found, key in zip(films.grey, each, films.keys, strict=True)
        ]
        for condition, each in defects.items()
    }


def tested(films: Films) -> dict[str, list[Defects]]:
    """Conditions of the test by name."""
    return {
        "clean": [() for _ in films.keys],
        "low": [defects_of(key, "seen") for key in films.keys],
        "natural": [defects_of(key, "natural") for key in films.keys],
        **_single(films, (*TESTED_SEEN, *TESTED)),
    }


def watched(films: Films, law: Law) -> dict[str, list[Defects]]:
    """Conditions of validation by name: low films are such as the run has, held-out defects such as no test has."""
    return {
        "clean": [() for _ in films.keys],
        "low": [defects_of(key, law) for key in films.keys],
        **_single(films, HELD_OUT),
    }


def _single(films: Films, defects: Sequence[str]) -> dict[str, list[Defects]]:
    return {defect: [[(defect, SEVERITY)] for _ in films.keys] for defect in defects}


def cases(films: Films, names: Sequence[str]) -> list[Case]:
    """The benchmark's cases of the test, condition by condition: T4 for single defects, T1 and T1h for mixtures."""
    clean = [
        Case(key, key, key, report, ("T1", "T1h", "T4", "T5"), "high", image_id=key, view="PA")
        for key, report in zip(films.keys, films.reports, strict=True)
    ]
    return [_shown_as(case, name) for name in names for case in clean]


def _shown_as(clean: Case, condition: str) -> Case:
    if condition == "clean":
        return clean
    named = replace(clean, case_id=f"{clean.case_id}:{condition}")
    if condition in ("low", "natural"):
        return replace(named, tracks=("T1" if condition == "low" else "T1h",), regime="low")
    return replace(named, tracks=("T4",), defect=condition, severity=SEVERITY)
