"""The films a judge is trained and tested on before anything is done to them, and what is known of each."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from ....benchmark.phantom import phantom
from ....tools.depth import to_eight_bit
from ....tools.film import Domain, Film, Grey
from ...errors import SettingsError
from ...films import LabelledFilm, labelled_films, read_film
from ...settings import ReadSettings
from .own import contrast_grade, noise_grade, outsides, shutter_grade
from .spoil import NONE, UNKNOWN, Grades

Part = Literal["train", "validate"]
PHANTOM = "phantom"
VALIDATED = 6
"""One in so many patients of the half that parameters come from calibrates the judge and does nothing else."""
LARGEST = 1700


class Base(NamedTuple):
    """A film as it came; `part` is None where it neither trains nor calibrates."""

    name: str
    grey: Grey
    domain: Domain
    grades: Grades
    source: str
    patient: str
    label: str
    part: Part | None


def bases(root: Path, read: ReadSettings, *, hold_out: str | None = None) -> list[Base]:
    """Every labelled film below `root` that trains or calibrates a judge, in memory, whatever a reader called it.

    Figures are reported on the half of the patients that the project reports on (`LabelledFilm.reporting`), as for
    tools and policy; training sees the other half. Where a whole source is held out, figures are reported on that one,
    and training sees both halves of the others.

    Raises:
        SettingsError: no manifest, a film that cannot be read, or no film of the source that is held out.
    """
    films = labelled_films(root)
    sources = {film.source for film in films}
    if hold_out is not None and hold_out not in sources:
        raise SettingsError(f"{root}: no source {hold_out!r} to hold out; there are {', '.join(sorted(sources))}")
    return [read_base(film, read, part) for film in films if (part := _part(film, hold_out))]


def phantoms(number: int, *, height: int = 1100) -> Iterator[Base]:
    """Drawn chests: no shutter, no annotation, no blur but the detector's; half of them portable films."""
    for index in range(number):
        drawn = phantom(index, height=height, view="AP" if index % 2 else "PA")
        grey = to_eight_bit(drawn.stored)
        name = f"{PHANTOM}_{index}"
        yield Base(name, grey, "presentation", known(grey, "good"), PHANTOM, name, "good", "train")


def known(grey: Grey, label: str) -> Grades:
    """Grades of a film that nobody spoiled: noise, flat contrast and shutters by measure, whoever called it what.

    Blur counts as absent unless a reader called the film low; he hardly ever named it. He saw no other defect on good
    films, and on others he may have: there, positioning and artifacts are unknown.
    """
    film = Film(grey)
    return {
        "noise": noise_grade(film),
        "blur": UNKNOWN if label == "low" else NONE,
        "exposure": contrast_grade(grey),
        "collimation": shutter_grade(outsides(film)),
        "positioning": NONE if label == "good" else UNKNOWN,
        "artifact": NONE if label == "good" else UNKNOWN,
    }


def drawn_from(films: Sequence[Base], part: Part) -> list[Base]:
    """Films of a part to draw from in turn; good ones twice, since only they show what the absence of a defect is."""
    chosen = [film for film in films if film.part == part]
    return [film for film in chosen for _ in range(2 if film.label == "good" and film.source != PHANTOM else 1)]


def patients(films: Sequence[Base]) -> dict[str, list[str]]:
    """Patients whose films trained a judge, and those whose films calibrated it; phantoms left out."""
    parts: tuple[Part, Part] = ("train", "validate")
    return {
        part: sorted({film.patient for film in films if film.part == part and film.source != PHANTOM}) for part in parts
    }


def _part(film: LabelledFilm, hold_out: str | None) -> Part | None:
    if film.source == hold_out or (film.reporting and hold_out is None):
        return None
    validates = not film.reporting and sha256(film.patient.encode()).digest()[1] % VALIDATED == 0
    return "validate" if validates else "train"


def read_base(film: LabelledFilm, read: ReadSettings, part: Part | None = None) -> Base:
    """Read one film; one far larger than the working view is kept at that size.

    Raises:
        SettingsError: it cannot be read.
    """
    found = read_film(film.path, read)
    grey = np.ascontiguousarray(found.pixels if max(found.pixels.shape) <= LARGEST else found.view1024)
    grades = known(grey, film.label)
    return Base(film.path.name, grey, found.domain, grades, film.source, film.patient, film.label, part)
