import cv2
import numpy as np
from lrrg.pipelines.films import labelled_films
from lrrg.tools.film import Film
from lrrg.tools.fingerprint import DUPLICATE, distance, fingerprint


def smooth(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=(12, 10)).astype(np.float32)
    large = cv2.resize(noise, (1000, 1200), interpolation=cv2.INTER_CUBIC)
    return cv2.normalize(large, np.empty_like(large), 20, 235, cv2.NORM_MINMAX).astype(np.uint8)


def test_the_same_film_re_encoded_is_a_duplicate_and_another_is_not():
    film = smooth(1)
    again = cv2.imdecode(cv2.imencode(".jpg", film, [cv2.IMWRITE_JPEG_QUALITY, 80])[1], cv2.IMREAD_GRAYSCALE)
    assert distance(fingerprint(Film(film)), fingerprint(Film(again))) <= DUPLICATE
    assert distance(fingerprint(Film(film)), fingerprint(Film(smooth(2)))) > 60
    assert len(fingerprint(Film(film))) == 64


def test_real_films_of_different_patients_stay_apart(films_root):
    films = labelled_films(films_root)[::6]
    prints = [fingerprint(Film(cv2.imread(str(film.path), cv2.IMREAD_GRAYSCALE))) for film in films]
    apart = [
        distance(prints[i], prints[j])
        for i in range(len(films))
        for j in range(i)
        if films[i].patient != films[j].patient
    ]
    assert min(apart) > 4 * DUPLICATE
