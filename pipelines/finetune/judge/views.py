"""Looks at spoiled films, cut once and kept on disk: what training and evaluation read."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray

from ....agent.state import ASPECTS
from ....benchmark.mimic import as_mimic
from ....tools.film import Domain, Film
from ....tools.looks import REGIONS, looks, region
from ...view import Advance
from .bases import Base, known
from .exports import draw_cut, trimmed, vary
from .own import cut_outsides, outsides, shutter_grade
from .spoil import NONE, SATURATING, UNKNOWN, Grades, Spoiled, draw, spoil

DOMAINS: tuple[Domain, Domain] = ("presentation", "equalised")
OVERVIEW = 168
CROP = 140
"""Sides, in pixels, of what the judge sees; its prompt says the same."""
KEPT = 168
"""Side of a stored detail in training: the judge sees random parts of it."""


class Row(NamedTuple):
    """What is known of one view."""

    film: str
    source: str
    patient: str
    domain: Domain
    defects: tuple[str, ...]
    grades: Grades


@dataclass(frozen=True, eq=False)
class Views:
    """Looks of many films.

    Attributes:
        overview: uint8, shape (N, OVERVIEW, OVERVIEW).
        details: uint8, shape (N, K, side, side): details A, B and, in training, one from anywhere.
        grades: int8, shape (N, 6), -1 where unknown.
        rows: N descriptions.
    """

    overview: NDArray[np.uint8]
    details: NDArray[np.uint8]
    grades: NDArray[np.int8]
    rows: Sequence[Row]

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def joined(cls, parts: Sequence["Views"]) -> "Views":
        """All views of the parts as one, without their pixels, which nobody looks at again."""
        rows = [row for part in parts for row in part.rows]
        nothing = np.zeros((len(rows), 0, 0), np.uint8)
        return cls(nothing, nothing[..., None], _grades(rows), rows)


def make_training(films: Sequence[Base], number: int, folder: Path, *, seed: int, advance: Advance) -> Views:
    """Spoil films at random, `number` times, and cut each result in both domains; kept in `folder`.

    Args:
        films: drawn from evenly, in turn.
        number: spoiled films; there are twice as many views.
        folder: made where it is missing; views of the same films, number and seed are taken from it.
        seed: of everything random; a view depends on it and on its own number alone.
        advance: told of every spoiled film.
    """
    whole, asked = folder / "asked.json", {"films": [film.name for film in films], "number": number, "seed": seed}
    if whole.is_file() and json.loads(whole.read_text()) == asked:
        return read_views(folder)
    folder.mkdir(parents=True, exist_ok=True)
    whole.unlink(missing_ok=True)  # the views it speaks of are overwritten from here on
    overview = open_memmap(folder / "overview.npy", "w+", np.uint8, (2 * number, OVERVIEW, OVERVIEW))
    details = open_memmap(folder / "details.npy", "w+", np.uint8, (2 * number, 3, KEPT, KEPT))
    rows: list[Row] = []
    for index in range(number):
        rng = np.random.default_rng((seed, index))
        film = films[index % len(films)]
        other = exported(film, rng)
        for made, domain in _both(film, spoil(other.grey, other.grades, draw(rng), rng)):
            cut = looks(made.film, OVERVIEW, KEPT)
            anywhere = region(made.film, str(rng.choice(list(REGIONS))), KEPT)
            overview[len(rows)] = cut[0].pixels
            details[len(rows)] = [look.pixels for look in (*cut[1:], anywhere)]
            rows.append(Row(film.name, film.source, film.patient, domain, made.defects, made.grades))
        advance()
    overview.flush()
    details.flush()
    (folder / "rows.json").write_text(json.dumps(rows))
    whole.write_text(json.dumps(asked))
    return read_views(folder)


def make_views(spoiled: Iterable[tuple[Base, Spoiled]]) -> Views:
    """Cut spoiled films exactly as in serving, in both domains, in memory."""
    overview, details, rows = [], [], []
    for film, found in spoiled:
        for made, domain in _both(film, found):
            cut = looks(made.film, OVERVIEW, CROP)
            overview.append(cut[0].pixels)
            details.append([look.pixels for look in cut[1:]])
            rows.append(Row(film.name, film.source, film.patient, domain, made.defects, made.grades))
    return Views(np.stack(overview), np.array(details), _grades(rows), rows)


def read_views(folder: Path) -> Views:
    """Views that `make_training` left; pixels stay on disk until they are looked at."""
    found: list[list[Any]] = json.loads((folder / "rows.json").read_text())
    rows = [Row(film, source, patient, domain, tuple(d), grades) for film, source, patient, domain, d, grades in found]
    overview, details = (np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("overview", "details"))
    return Views(overview, details, _grades(rows), rows)


class _Made(NamedTuple):
    film: Film
    grades: Grades
    defects: tuple[str, ...]


def _both(film: Base, found: Spoiled) -> list[tuple[_Made, Domain]]:
    """The spoiled film as it is and as MIMIC-CXR-JPG would hold it; equalisation hides flat contrast."""
    hidden = found.grades["exposure"] != NONE and not SATURATING & set(found.defects)
    grades = {**found.grades, "exposure": UNKNOWN} if hidden else found.grades
    equalised = _Made(Film(as_mimic(found.grey), "equalised"), grades, found.defects)
    if film.domain == "equalised":
        return [(equalised, "equalised")]
    return [(_Made(Film(found.grey), found.grades, found.defects), "presentation"), (equalised, "equalised")]


def _grades(rows: Sequence[Row]) -> NDArray[np.int8]:
    return np.array([[row.grades[aspect] for aspect in ASPECTS] for row in rows], np.int8)


def exported(film: Base, rng: np.random.Generator) -> Base:
    """Another export of a film: its noise and contrast are measured anew, its blades are the film's that were left.

    Blades are measured on the film, because processing bends their tone until no measure tells them from anatomy. An
    export of a smaller dose never counts as free of noise: as little grain, where it is added, counts as such.
    """
    cut = draw_cut(rng)
    made = vary(trimmed(film.grey, cut), rng)
    grades = known(made.grey, film.label)
    noise = UNKNOWN if made.grainy and grades["noise"] == NONE else grades["noise"]
    blades = shutter_grade(cut_outsides(outsides(Film(film.grey)), cut))
    return film._replace(grey=made.grey, grades=grades | {"noise": noise, "collimation": blades})
