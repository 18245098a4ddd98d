"""Labelled films that a judge has looked at: what the calibration of a judge learns from."""

import json
from collections.abc import Collection, Mapping, Set
from pathlib import Path
from typing import Any, NamedTuple

import cv2

from ...agent.scores import Score
from ...agent.state import Aspect
from ...benchmark.mimic import as_mimic
from ...tools.film import Film
from ..annotate.stage import Order, annotate
from ..errors import SettingsError
from ..examples import Example
from ..files import atomic
from ..films import LabelledFilm, labelled_films, read_film
from ..records import CatalogRow
from ..settings import ReadSettings, Settings
from ..store import Store
from ..view import Advance, Progress

LABELS = {"high": "good", "borderline": "borderline", "low": "low"}
CLEAR = ("good", "low")
"""Labels that are learnt from; films between them belong to neither side."""
EQUALISED = "equalised"
_JUDGED = """
SELECT v.image_id, coalesce(v."view", ''), v.intensity_domain, v.measures, v.judge,
    coalesce(i.subject_id, i.study_id), r.path, i.path
FROM verdict AS v
JOIN image AS i USING (image_id)
JOIN root AS r USING (root_id)
WHERE v.recipe_id = latest_recipe() AND v.judge IS NOT NULL
ORDER BY v.image_id
"""
_READ = "SELECT image_id, mode(regime ORDER BY reader) FROM review WHERE regime IS NOT NULL GROUP BY image_id"


class Sample(NamedTuple):
    """One labelled film with its measures and what the judge said of it."""

    example: Example
    scores: Mapping[Aspect, Score]
    """As the model gave them."""


class Asked(NamedTuple):
    """A judge and the films it has looked at.

    Attributes:
        judge: the recipe's part: model, revision, prompt_sha256 and how it was asked.
        samples: labelled films it has judged.
        unjudged: labelled films without its scores.
    """

    judge: Mapping[str, Any]
    samples: list[Sample]
    unjudged: int


def ask_about(folder: Path, db: Path, settings: Settings, progress: Progress) -> dict[str, LabelledFilm]:
    """Have the agent judge the good and the low films of a folder, as they came and as MIMIC-CXR-JPG would hold them.

    Running it again asks about those films alone that have no verdict yet.

    Args:
        folder: films with manifests; see `labelled_films`.
        db: database the verdicts go to; equalised copies are written beside it.
        settings: with the judge's URLs.
        progress: shows how far it got.

    Returns:
        These films by image id.
    """
    films = [film for film in labelled_films(folder) if film.label in CLEAR]
    copies = db.with_name(f"{db.stem}.films")
    with progress("equalise films", len(films)) as advance:
        equalised = _equalise(films, copies / EQUALISED, settings.read, advance)
    images = {_image_id(film.path, folder): film for film in films}
    copied = {_image_id(film.path, copies): film for film in equalised}
    with Store.open(db) as store:
        store.add_images(folder, _rows(images, folder))
        store.add_images(copies, _rows(copied, copies))
    annotate(db, settings, Order(), progress)
    return {**images, **copied}


def asked(db: Path, films: Mapping[str, LabelledFilm] | None) -> Asked:
    """What the judge of the latest recipe said about labelled films.

    Args:
        db: annotated with a judge.
        films: by image id; None for those that readers judged in the database (`lrrg review import`).

    Raises:
        SettingsError: no judge was asked, or nobody has labelled its films.
    """
    with Store.open(db, read_only=True) as store:
        body = store.query("SELECT body FROM recipe WHERE recipe_id = latest_recipe()").rows
        judge = json.loads(body[0][0])["judge"] if body else None
        rows = store.query(_JUDGED).rows
        reads = dict(store.query(_READ).rows)
    if judge is None:
        raise SettingsError(f"{db}: its latest recipe asks no judge; run lrrg annotate --judge URL first")
    known = films if films is not None else _read_films(rows, reads)
    samples = [_sample(known[row[0]], row) for row in rows if row[0] in known]
    if not samples:
        raise SettingsError(f"{db}: no film that the judge has seen is labelled; run lrrg review import, or give FILMS")
    return Asked(judge, samples, len(known if films is not None else reads) - len(samples))


def patients_of(path: Path | None) -> frozenset[str]:
    """The patients that a judge learnt from: `train` and `validate` of the list its training wrote (`patients.json`).

    Raises:
        SettingsError: the file is no such list.
    """
    if path is None:
        return frozenset()
    try:
        parts: Mapping[str, list[str]] = json.loads(path.read_text(encoding="utf-8"))
        return frozenset([*parts["train"], *parts["validate"]])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{path}: no list of a judge's patients: {error}") from error


def unseen(samples: Collection[Sample], learnt: Set[str]) -> tuple[list[Sample], list[Sample]]:
    """Part the films of patients that a judge did not learn from, and those of patients that it did."""
    fresh = [sample for sample in samples if sample.example.film.patient not in learnt]
    return fresh, [sample for sample in samples if sample.example.film.patient in learnt]


def _equalise(
    films: Collection[LabelledFilm], folder: Path, read: ReadSettings, advance: Advance
) -> list[LabelledFilm]:
    """Write the films that did not come equalised as MIMIC-CXR-JPG would hold them; written ones are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for film in films:
        copy = folder / f"{film.path.name}.png"
        if copy.exists() or _equalised(read_film(film.path, read), copy):
            found.append(film._replace(path=copy))
        advance()
    return found


def _equalised(film: Film, copy: Path) -> bool:
    """Write an equalised copy of a film; False where it came equalised."""
    if film.domain == EQUALISED:
        return False
    _, data = cv2.imencode(".png", as_mimic(film.pixels if film.stored is None else film.stored))
    with atomic(copy) as part:
        part.write_bytes(data.tobytes())
    return True


def _image_id(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()


def _rows(films: Mapping[str, LabelledFilm], root: Path) -> list[CatalogRow]:
    return [
        CatalogRow(name, film.path.relative_to(root).as_posix(), film.patient, view_position=film.view.upper() or None)
        for name, film in films.items()
    ]


def _read_films(rows: Collection[tuple[Any, ...]], reads: Mapping[str, str]) -> dict[str, LabelledFilm]:
    return {
        name: LabelledFilm(Path(root) / path, Path(root).name, patient or name, view, LABELS[reads[name]])
        for name, view, _, _, _, patient, root, path in rows
        if name in reads
    }


def _sample(film: LabelledFilm, row: tuple[Any, ...]) -> Sample:
    _, view, domain, measures, judge, *_ = row
    scores: dict[Aspect, Score] = {aspect: Score(tuple(probabilities)) for aspect, probabilities in judge.items()}
    return Sample(Example(film._replace(view=view), domain, measures), scores)
