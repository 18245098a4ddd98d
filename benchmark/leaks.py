"""Assertions that stop the benchmark before a leak gets into it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise

from ..tools.fingerprint import BITS, DUPLICATE, distance
from .cohort import LabelledImage, Study
from .errors import LeakError

SHOWN = 5
"""Pairs that a message names."""


def check_targets(studies: Iterable[Study]) -> None:
    """Raise where a study has nothing to generate."""
    for study in studies:
        if not study.target.strip():
            raise LeakError("empty-target", f"study {study.study_id}: the target section is empty")


def check_films(films: Sequence[LabelledImage]) -> None:
    """Raise where a patient, image, study or copies of one film stand in two splits, or a study has two patients."""
    for kind, code in (
        ("subject_id", "patient-overlap"),
        ("image_id", "id-in-two-splits"),
        ("study_id", "id-in-two-splits"),
    ):
        splits: dict[str, str] = {}
        for film in films:
            name = getattr(film, kind)
            if splits.setdefault(name, film.split) != film.split:
                raise LeakError(code, f"{kind} {name} stands in split {splits[name]} and in {film.split}")
    patients: dict[str, str] = {}
    for film in films:
        if patients.setdefault(film.study_id, film.subject_id) != film.subject_id:
            named = f"of {patients[film.study_id]} and of {film.subject_id}"
            raise LeakError("patient-overlap", f"study {film.study_id} is {named}; a study is one patient's")
    copies = [pair for pair in duplicates(films) if pair[0].split != pair[1].split]
    if copies:
        shown = "; ".join(f"{a.image_id} ({a.split}) and {b.image_id} ({b.split})" for a, b in copies[:SHOWN])
        raise LeakError(
            "duplicate-film",
            f"{len(copies)} pairs of images across splits are one film: {shown}; "
            "remove a copy of each, or put both into one split (one subject_id where splits are drawn)",
        )


def duplicates(films: Sequence[LabelledImage]) -> list[tuple[LabelledImage, LabelledImage]]:
    """Pairs of different images that hold the same film.

    Two prints within `DUPLICATE` bits agree in at least one of `DUPLICATE + 1` bands, so only films that share a
    band are compared.
    """
    found: dict[tuple[str, str], tuple[LabelledImage, LabelledImage]] = {}
    bands = DUPLICATE + 1
    edges = [round(band * BITS / bands) for band in range(bands + 1)]
    printed = [(film, f"{int(film.fingerprint, 16):0{BITS}b}") for film in films if film.fingerprint]
    for start, stop in pairwise(edges):
        buckets: dict[str, list[LabelledImage]] = defaultdict(list)
        for film, bits in printed:
            buckets[bits[start:stop]].append(film)
        for bucket in buckets.values():
            for first, second in combinations(bucket, 2):
                if distance(first.fingerprint, second.fingerprint) <= DUPLICATE:
                    found[first.image_id, second.image_id] = (first, second)
    return list(found.values())
