"""Does the served judge say what its folder says? One film both ways: the agent's node and plain transformers."""

import asyncio
from collections.abc import Mapping, Sequence
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
from ...inspecting import Cut, read_and_look
from ...settings import Settings
from ...view import Advance
from .model import GRADES, PROMPT
from .plain import Plain
from .views import CROP, OVERVIEW

Floats = NDArray[np.float64]


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


def parity(paths: Sequence[Path], folder: Path, url: str, settings: Settings, advance: Advance) -> Parity:
    """Grade films both ways.

    Raises:
        JudgeUnavailable: nobody serves at `url`.
        ImageError: a film cannot be read.
    """
    first = [read_and_look(str(path), settings.read, Cut(OVERVIEW, CROP)) for path in paths]
    served = asyncio.run(_served(first, url, settings))
    plain = Plain(folder)
    same, free, gaps = 0, 0, [0.0]
    for found, (_, seen) in zip(served, first, strict=True):
        pictures = [_pixels(png) for png in seen.pictures]
        free += _is_form(plain.write(pictures))
        if found is not None:
            own = plain.grade(pictures)
            same += bool((own.argmax(1) == found.argmax(1)).all())
            gaps.append(float(np.abs((own - found) @ np.arange(GRADES)).max()))
        advance()
    return Parity(len(paths), sum(found is not None for found in served), free, same, max(gaps))


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
