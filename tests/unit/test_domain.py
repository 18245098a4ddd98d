from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import cv2
import numpy as np
import pytest
from lrrg.pipelines.films import LabelledFilm, labelled_films
from lrrg.tools.domain import FLAT, flatness, is_equalised
from lrrg.tools.film import Grey


def jpeg(film: Grey, quality: int = 95) -> Grey:
    _, data = cv2.imencode(".jpg", film, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)


def stretched(film: Grey) -> Grey:
    return np.asarray(cv2.normalize(film, np.empty_like(film), 0, 255, cv2.NORM_MINMAX), np.uint8)


def equalised(film: Grey) -> Grey:
    return np.asarray(cv2.equalizeHist(stretched(film)), np.uint8)


def half(film: Grey) -> Grey:
    return np.asarray(cv2.resize(film, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)


def shuttered(film: Grey, share: float = 0.12, value: int = 0) -> Grey:
    top, left = int(film.shape[0] * share), int(film.shape[1] * share)
    covered = np.full_like(film, value)
    covered[top:-top, left:-left] = film[top:-top, left:-left]
    return covered


def padded(film: Grey) -> Grey:
    margin = max(film.shape) // 7
    return np.asarray(cv2.copyMakeBorder(film, 0, 0, margin, margin, cv2.BORDER_CONSTANT, value=0), np.uint8)


OTHER: dict[str, Callable[[Grey], Grey]] = {
    "as it is": lambda film: film,
    "min-max, JPEG": lambda film: jpeg(stretched(film)),
    "half size": half,
    "black shutters": lambda film: jpeg(shuttered(film)),
    "white rim": lambda film: jpeg(shuttered(film, 0.05, 255)),
    "CLAHE": lambda film: jpeg(np.asarray(cv2.createCLAHE(2.0, (8, 8)).apply(film), np.uint8)),
}
EQUALISED: dict[str, Callable[[Grey], Grey]] = {
    "q95": lambda film: jpeg(equalised(film)),
    "q70": lambda film: jpeg(equalised(film), 70),
    "halved after": lambda film: jpeg(half(equalised(film))),
    "halved before": lambda film: jpeg(equalised(half(film))),
    "shutters before": lambda film: jpeg(equalised(shuttered(film))),
    "deep shutters before": lambda film: jpeg(equalised(shuttered(film, 0.22))),
    "saturated before": lambda film: jpeg(equalised(cv2.add(film, 60))),
    "inverted before": lambda film: jpeg(equalised(cv2.bitwise_not(film))),
    "padded after": lambda film: jpeg(padded(equalised(film))),
}


def reporting_half(root: Path) -> Iterator[LabelledFilm]:
    """Films of the patients that the threshold was not chosen on."""
    for film in labelled_films(root):
        if sha256(film.patient.encode()).digest()[0] % 2 and film.path.suffix != ".dcm":
            yield film


def share_called_equalised(films: list[LabelledFilm], change: Callable[[Grey], Grey]) -> float:
    read = (np.asarray(cv2.imread(str(film.path), cv2.IMREAD_GRAYSCALE), np.uint8) for film in films)
    return float(np.mean([is_equalised(change(film)) for film in read]))


@pytest.mark.parametrize("every", [pytest.param(4), pytest.param(1, marks=pytest.mark.slow)])
def test_real_films_are_told_from_their_equalised_twins(films_root: Path, every: int) -> None:
    films = list(reporting_half(films_root))[::every]
    false = {name: share_called_equalised(films, change) for name, change in OTHER.items()}
    missed = {name: 1 - share_called_equalised(films, change) for name, change in EQUALISED.items()}
    print(f"{len(films)} films; called equalised: {false}; equalised and missed: {missed}")
    assert max(false.values()) <= 0.02, false
    assert max(missed.values()) <= 0.02, missed


def test_a_flat_histogram_is_flat_and_a_peaked_one_is_not() -> None:
    rng = np.random.default_rng(0)
    assert flatness(rng.integers(0, 256, (600, 500), dtype=np.uint8)) <= FLAT / 4
    assert flatness(np.clip(rng.normal(120, 30, (600, 500)), 0, 255).astype(np.uint8)) > 10 * FLAT


def test_a_film_of_nothing_but_black_and_white_is_not_equalised() -> None:
    assert not is_equalised(np.repeat(np.array([[0, 255]], np.uint8), 128, axis=0).repeat(64, axis=1))
