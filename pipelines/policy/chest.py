"""Learning the mean chest that the positioning tools compare films with, from a folder of labelled films."""

from pathlib import Path

import numpy as np

from ...tools.chest_fit import learn
from ..errors import SettingsError
from ..films import labelled_films, read_film
from ..settings import ReadSettings

MIN_FILMS = 30
LABELS = ("good", "borderline")


def write_chest(root: Path, out: Path, limits: ReadSettings) -> int:
    """Learn from the frontal films of the development half that nobody called low, and write the reference.

    Returns:
        The number of films it was learned from.

    Raises:
        SettingsError: fewer than `MIN_FILMS` of them (single films would show in the mean), or one cannot be read.
    """
    chosen = [
        film.path
        for film in labelled_films(root)
        if not film.reporting and film.label in LABELS and film.view.upper().startswith(("AP", "PA"))
    ]
    if len(chosen) < MIN_FILMS:
        raise SettingsError(f"{root}: {len(chosen)} frontal films to learn from, {MIN_FILMS} are needed")
    learned = learn(read_film(path, limits) for path in chosen)
    with out.open("wb") as stream:  # given a name that does not end in .npz, numpy writes another file
        np.savez(stream, **learned._asdict())
    return len(chosen)
