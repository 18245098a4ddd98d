"""From labelled films and reports to the benchmark's cases: which study is shown by which film, in which track."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from .cases import Case
from .cohort import LabelledImage, Study
from .ladder import SEVERITIES
from .leaks import check_films, check_targets, duplicates
from .spec import Spec

TRACKS = {
    "train": (),
    "validate": (),
    "test": ("T1", "T5"),
    "train_holdout": ("T1h",),
}
"""Tracks of a study's own case, by split."""


def build(
    images: Iterable[LabelledImage], studies: Mapping[str, Study], spec: Spec, defects: Sequence[str]
) -> list[Case]:
    """Every case of the benchmark, sorted by id.

    Args:
        images: judged films; lateral and other projections are not shown to a report model.
        studies: by study id; studies without target text have no case.
        spec: the fixed choices.
        defects: synthetic defects of T4.

    Raises:
        LeakError: patients or duplicate films cross splits, an id stands in two, or a target is empty.
    """
    frontal = [image for image in images if image.view in spec.projections and image.study_id in studies]
    check_films(frontal)
    check_targets(studies.values())
    held_out = holdout(frontal, spec)
    by_study: dict[str, list[LabelledImage]] = defaultdict(list)
    for image in frontal:
        split = "train_holdout" if image.subject_id in held_out else image.split
        by_study[image.study_id].append(replace(image, split=split))
    own = [_own(studies[study_id], films, spec) for study_id, films in sorted(by_study.items())]
    cases = [
        *within_patient(own, studies, spec),
        *(case for study_id, films in by_study.items() for case in repeated(studies[study_id], films, spec)),
        *(case for study_id, films in by_study.items() for case in twins(studies[study_id], films)),
        *(case for clean in own if "T4" in clean.tracks for case in degraded(clean, defects)),
    ]
    return sorted(cases, key=lambda case: case.case_id)


def holdout(images: Sequence[LabelledImage], spec: Spec) -> set[str]:
    """Train patients kept aside: `spec.holdout` of them, half drawn among those who have a low-quality film.

    A patient whose film another patient has too is never kept aside: the copy would stay in train.
    """
    train = [image for image in images if image.split == "train"]
    patients = {image.subject_id for image in train}
    copied = {
        film.subject_id for pair in duplicates(train) if pair[0].subject_id != pair[1].subject_id for film in pair
    }
    with_low = {image.subject_id for image in train if image.regime == "low"}
    size = round(spec.holdout * len(patients))
    enriched = sorted(with_low - copied, key=spec.draw)[: size // 2]
    others = sorted(patients - copied - set(enriched), key=spec.draw)[: size - len(enriched)]
    return {*enriched, *others}


def primary(films: Iterable[LabelledImage], spec: Spec) -> LabelledImage:
    """The film that stands for its study: the preferred projection first, then the smallest id; never by quality."""
    return min(films, key=lambda film: (spec.projections.index(film.view), film.image_id))


def _case(study: Study, film: LabelledImage, case_id: str, tracks: tuple[str, ...], pair: str = "") -> Case:
    return Case(
        case_id=case_id,
        study_id=study.study_id,
        subject_id=film.subject_id,
        reference=study.target,
        tracks=tracks,
        regime=film.regime,
        split=film.split,
        image_id=film.image_id,
        view=film.view,
        aspects=film.aspects,
        pair=pair,
        covariates={**study.covariates, "ap": float(film.view == "AP")},
    )


def _own(study: Study, films: Sequence[LabelledImage], spec: Spec) -> Case:
    film = primary(films, spec)
    clean = ("T4",) if film.split == "test" and film.regime == "high" else ()
    return _case(study, film, study.study_id, TRACKS[film.split] + clean)


def repeated(study: Study, films: Sequence[LabelledImage], spec: Spec) -> list[Case]:
    """Every further film of a training study, to be learned from: without it the study's low film may never be seen."""
    if films[0].split != "train":
        return []
    shown = primary(films, spec)
    return [_case(study, film, f"{study.study_id}:{film.image_id}", ()) for film in films if film != shown]


def twins(study: Study, films: Sequence[LabelledImage]) -> list[Case]:
    """T2: the best high and the worst low film of one study in one projection, both against the same report."""
    suffix = {"test": "", "train_holdout": "h"}.get(films[0].split)
    if suffix is None:
        return []
    cases: list[Case] = []
    for view in sorted({film.view for film in films}):
        same = sorted((film for film in films if film.view == view), key=lambda film: (film.quality, film.image_id))
        low = [film for film in same if film.regime == "low"]
        high = [film for film in same if film.regime == "high"]
        if low and high:
            pair = f"{study.study_id}:{view}"
            cases += [
                _case(study, film, f"{study.study_id}:{film.image_id}", (f"T2{suffix}",), pair=pair)
                for film in (high[-1], low[0])
            ]
    return cases


def within_patient(own: Sequence[Case], studies: Mapping[str, Study], spec: Spec) -> list[Case]:
    """T3: add the pair to cases of one patient that follow each other within days, alike but for the regime."""
    by_patient: dict[str, list[Case]] = defaultdict(list)
    for case in own:
        if studies[case.study_id].time and case.tracks:
            by_patient[case.subject_id].append(case)
    paired: dict[str, Case] = {}
    for cases in by_patient.values():
        cases.sort(key=lambda case: (studies[case.study_id].time, case.study_id))
        for first, second in pairwise(cases):
            if first.case_id not in paired and _comparable(first, second, studies, spec):
                suffix = "h" if first.split == "train_holdout" else ""
                for case in (first, second):
                    pair = f"{first.study_id}:{second.study_id}"
                    paired[case.case_id] = replace(case, pair=pair, tracks=(*case.tracks, f"T3{suffix}"))
    return [paired.get(case.case_id, case) for case in own]


def _comparable(first: Case, second: Case, studies: Mapping[str, Study], spec: Spec) -> bool:
    earlier, later = studies[first.study_id], studies[second.study_id]
    if not earlier.time or not later.time or not earlier.labels:
        return False
    return (
        {first.regime, second.regime} == {"high", "low"}
        and first.view == second.view
        and earlier.labels == later.labels
        and (later.time - earlier.time).total_seconds() <= spec.pair_days * 86400
    )


def degraded(clean: Case, defects: Sequence[str]) -> list[Case]:
    """T4: the synthetic twins of a clean test film, every severity of every defect."""
    return [
        replace(
            clean,
            case_id=f"{clean.case_id}:{defect}:{severity}",
            tracks=("T4",),
            aspects=(),
            defect=defect,
            severity=severity,
        )
        for defect in defects
        for severity in SEVERITIES
    ]
