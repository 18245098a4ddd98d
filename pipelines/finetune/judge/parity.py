"""`lrrg finetune judge-parity`: does the served judge say what its folder says, film by film?"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from ....agent.client import Client
from ....agent.forms import Grades, Request, Seen
from ....agent.judge import Asking, Bench
from ....agent.server import Limits
from ....agent.state import ASPECTS, Failure, ImageRef, Reading, State
from ....prompts import load
from ....tools.film import Grey
from ...engines.inspecting import Cut, read_and_look
from ...errors import SettingsError
from ...films import labelled_films
from ...serving.models import COMPACT
from ...settings import Settings
from ...view import Progress
from .model import GRADES, PROMPT
from .plain import Plain, Said
from .views import CROP, OVERVIEW

Floats = NDArray[np.float64]
SEED = 2026
"""Of the films drawn."""
AT_ONCE = 20
"""Films that are read, asked about and answered together: a bound on memory."""


class Parity(NamedTuple):
    """Served against plain, on the same pictures."""

    films: int
    valid: int
    """Served replies of the form asked for."""
    free: int
    """Replies of that form by plain transformers, with nothing that holds them to it."""
    same: int
    """Films whose six grades are equal."""
    largest: float
    """Largest difference of an expected severity."""


def parity(root: Path, folder: Path | None, url: str, settings: Settings, number: int, progress: Progress) -> Parity:
    """Grade labelled films as they came both ways, at most `number` of them.

    Args:
        root: folder of films with manifests.
        folder: of the judge that is served; the shipped one by default.
        url: of its server.
        settings: how films are read and the server is talked to.
        number: of films, drawn at random.
        progress: shows how far it got.

    Raises:
        JudgeUnavailable: nobody serves at `url`.
        ImageError: a film cannot be read.
        SettingsError: no labelled films in `root`, or no model in `folder`.
    """
    paths = [film.path for film in labelled_films(root)]
    if not paths:
        raise SettingsError(f"{root}: its manifests list no film")
    chosen = [paths[index] for index in np.random.default_rng(SEED).permutation(len(paths))[:number]]
    plain = Plain(folder or COMPACT)
    served: list[Floats | None] = []
    said: list[Said] = []
    with progress("served against plain", len(chosen)) as advance:
        for part in _parts(chosen):
            films = [read_and_look(str(path), settings.read, Cut(OVERVIEW, CROP)) for path in part]
            served += asyncio.run(_served(films, url, settings))
            said += plain.say([[_pixels(png) for png in seen.pictures] for _, seen in films])
            advance(len(part))
    return compare(served, said)


def compare(served: Sequence[Floats | None], said: Sequence[Said]) -> Parity:
    """Hold the served grades against plain transformers'; None stands for a reply of no use."""
    pairs = [(found, own.grades) for found, own in zip(served, said, strict=True) if found is not None]
    same = sum(bool((found.argmax(1) == own.argmax(1)).all()) for found, own in pairs)
    gaps = [float(np.abs((found - own) @ np.arange(GRADES)).max()) for found, own in pairs]
    return Parity(len(said), len(pairs), sum(_is_form(own.text) for own in said), same, max(gaps, default=0.0))


def _parts(paths: Sequence[Path]) -> Iterator[Sequence[Path]]:
    return (paths[start : start + AT_ONCE] for start in range(0, len(paths), AT_ONCE))


async def _served(films: Sequence[tuple[Reading, Seen]], url: str, settings: Settings) -> list[Floats | None]:
    """Probabilities (6, 4) by film; None where the reply was of no use."""
    async with Client([url], settings.judge.model, Limits(**settings.client.model_dump())) as client:
        return list(await asyncio.gather(*(_asked(client, *film) for film in films)))


async def _asked(client: Client, reading: Reading, seen: Seen) -> Floats | None:
    async def look(image: ImageRef, request: Request | None) -> Seen | Failure:
        return seen

    state: State = {"image": ImageRef("", ""), "reading": reading}
    update: Mapping[str, object] = (await Asking(Bench(client, load(PROMPT), 0, look))(state)).update or {}
    scores = update.get("scores")
    return np.array([scores[aspect] for aspect in ASPECTS]) if isinstance(scores, Mapping) else None


def _pixels(png: bytes) -> Grey:
    return np.asarray(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE), np.uint8)


def _is_form(reply: str) -> bool:
    try:
        Grades.model_validate_json(reply)
    except ValueError:
        return False
    return True
