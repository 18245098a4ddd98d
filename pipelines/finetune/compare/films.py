"""Thumbnails of synthetic chests with short reports, and the ways they are spoilt."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ....benchmark.degrade import apply
from ....benchmark.ladder import Ladder, read_ladder
from ....benchmark.phantom import phantom
from ....benchmark.phantom_findings import Finding
from ...files import atomic
from ...view import Advance

Grey = NDArray[np.uint8]
HEIGHT = 112
PREVALENCE = 0.3
STATED: dict[Finding, str] = {
    "cardiomegaly": "There is cardiomegaly.",
    "effusion_left": "Left pleural effusion.",
    "effusion_right": "Right pleural effusion.",
    "consolidation_left": "Left consolidation.",
    "consolidation_right": "Right consolidation.",
    "pacemaker": "A pacemaker is in place.",
    "endotracheal_tube": "An endotracheal tube is in place.",
}
"""What a report says of each finding; rule14 reads all of it."""
NORMAL = "No acute disease."
FINER: dict[str, float] = {
    "quantum_noise": 1 / 400,
    "electronic_noise": 20.0,
    "defocus": 4.0,
    "motion": 4.0,
}
"""A thumbnail averages 700 detector pixels: what spoils a film pixel by pixel must be that much stronger to be seen."""


@dataclass(frozen=True, eq=False)
class Films:
    """Clean films with what they show.

    Attributes:
        grey: uint8, shape (N, H, W), air dark.
        reports: N texts.
        keys: N names, from which spoilt copies are drawn.
    """

    grey: NDArray[np.uint8]
    reports: Sequence[str]
    keys: Sequence[str]

    def __len__(self) -> int:
        return len(self.reports)


def films(name: str, first: int, number: int, cache: Path, advance: Advance) -> Films:
    """Draw films, or read those drawn before.

    Args:
        name: of the set, for its file.
        first: seed of the first film; the others follow.
        number: of films.
        cache: folder for `films-<name>-<first>-<number>.npz`.
        advance: told of every film drawn.
    """
    found = [_findings(seed) for seed in range(first, first + number)]
    reports = [" ".join(text for each, text in STATED.items() if each in shown) or NORMAL for shown in found]
    path = cache / f"films-{name}-{first}-{number}.npz"
    if not path.is_file():
        drawn: list[Grey] = []
        for seed, shown in zip(range(first, first + number), found, strict=True):
            drawn.append((phantom(seed, height=HEIGHT, findings=shown).stored >> 4).astype(np.uint8))
            advance()
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic(path) as part:  # another process may draw the same films
            np.savez(part, grey=np.stack(drawn))
    with np.load(path) as stored:
        return Films(stored["grey"], reports, [f"{name}{seed}" for seed in range(first, first + number)])


def _findings(seed: int) -> list[Finding]:
    rng = np.random.default_rng([seed, 3])
    return [each for each in STATED if rng.random() < PREVALENCE]


def ladder() -> Ladder:
    """LRRG-C with severities that show on a thumbnail."""
    shipped = read_ladder()
    steps = {name: tuple(factor * value for value in shipped[name].ladder) for name, factor in FINER.items()}
    return shipped.with_steps(steps, {"films": "thumbnails"})


def spoil(grey: Grey, defects: Sequence[tuple[str, int]], key: str, severities: Ladder) -> Grey:
    """Spoil a film with several defects, one after the other; a film cut short is filled up with black."""
    shape = grey.shape
    for defect, severity in defects:
        grey = apply(grey, defect, severities[defect].value(severity), key=key)
        whole = np.zeros(shape, np.uint8)
        whole[: grey.shape[0], : grey.shape[1]] = grey[: shape[0], : shape[1]]
        grey = whole
    return grey
