import random
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from lrrg.benchmark.cohort import LabelledImage, Study
from lrrg.benchmark.errors import LeakError
from lrrg.benchmark.leaks import duplicates
from lrrg.benchmark.spec import Spec
from lrrg.benchmark.tracks import build

DAY = datetime(2180, 5, 6)
SPEC = Spec()


def film(
    study: int, number: int = 0, *, patient: int = 1, split: str = "test", view: str = "PA", regime: str = "high"
) -> LabelledImage:
    quality = {"high": 0.9, "borderline": 0.5, "low": 0.1}[regime] + number / 100
    bits = random.Random(f"{study}:{number}").getrandbits(256)
    return LabelledImage(
        f"i{study}-{number}", f"s{study}", f"p{patient}", split, view, regime, quality, (), f"{bits:064x}"
    )


def study(number: int, day: float = 0, labels: tuple[int, ...] = (1, 0)) -> Study:
    return Study(f"s{number}", "Lungs are clear.", labels, DAY + timedelta(days=day))


def studies(*found: Study) -> dict[str, Study]:
    return {each.study_id: each for each in found}


def test_a_study_is_shown_by_one_film_chosen_without_looking_at_quality():
    films = [film(1, 0, view="AP"), film(1, 1, view="PA", regime="low"), film(1, 2, view="LATERAL")]
    (case,) = build(films, studies(study(1)), SPEC, [])
    assert (case.image_id, case.regime, case.tracks) == ("i1-1", "low", ("T1", "T5"))


def test_twins_are_the_extremes_of_one_projection():
    films = [
        film(1, 0, view="AP"),
        film(1, 1, view="AP", regime="low"),
        film(1, 2, view="AP"),
        film(1, 3, regime="low"),
    ]
    pairs = [case for case in build(films, studies(study(1)), SPEC, []) if "T2" in case.tracks]
    assert [(case.image_id, case.regime) for case in pairs] == [("i1-1", "low"), ("i1-2", "high")]
    assert {case.pair for case in pairs} == {"s1:AP"}


def test_a_training_study_brings_all_its_frontal_films_and_no_other_does():
    films = [film(1, 0), film(1, 1, regime="low"), film(1, 2, view="AP"), film(1, 3, view="LATERAL")]
    cases = build([replace(each, split="train") for each in films], studies(study(1)), replace(SPEC, holdout=0), [])
    assert [(case.case_id, case.image_id, case.own) for case in cases] == [
        ("s1", "i1-0", True),
        ("s1:i1-1", "i1-1", False),
        ("s1:i1-2", "i1-2", False),
    ]
    assert not any(case.tracks or case.pair for case in cases), "training films are not scored"
    (alone,) = build([replace(each, split="validate") for each in films], studies(study(1)), SPEC, [])
    assert alone.own


@pytest.mark.parametrize(("day", "labels", "paired"), [(6.9, (1, 0), True), (7.1, (1, 0), False), (1, (1, 1), False)])
def test_within_patient_pairs_need_days_and_equal_findings(day: float, labels: tuple[int, ...], paired: bool):
    films = [film(1), film(2, regime="low")]
    cases = build(films, studies(study(1), study(2, day, labels)), SPEC, [])
    assert [("T3" in case.tracks) for case in cases] == [paired, paired]


def test_synthetic_twins_come_from_high_test_films_only():
    films = [film(1), film(2, regime="low"), film(3, patient=2, split="validate")]
    cases = build(films, studies(study(1), study(2, 99), study(3)), SPEC, ["defocus", "tilt"])
    synthetic = [case for case in cases if case.defect]
    assert len(synthetic) == 10
    assert {case.study_id for case in synthetic} == {"s1"}
    assert next(case for case in cases if case.case_id == "s1").tracks == ("T1", "T5", "T4")


def test_holdout_takes_whole_train_patients_and_is_the_same_every_time():
    films = [film(i, patient=i // 2, split="train", regime="low" if i % 10 == 0 else "high") for i in range(400)]
    known = studies(*(study(i) for i in range(400)))
    first, again = (build(order, known, SPEC, []) for order in (films, films[::-1]))
    assert first == again
    held = {case.subject_id for case in first if case.split == "train_holdout"}
    assert len(held) == 10
    assert not held & {case.subject_id for case in first if case.split == "train"}
    low = {case.subject_id for case in first if case.regime == "low"}
    assert len(held & low) >= 5, "half of the hold-out are patients with a low-quality film"
    other_seed = build(films, known, replace(SPEC, seed="other"), [])
    assert {case.subject_id for case in other_seed if case.split == "train_holdout"} != held


def test_no_film_of_the_holdout_has_a_copy_in_train():
    films = [film(i, patient=i, split="train") for i in range(60)]
    known = studies(*(study(i) for i in range(60)))
    spec = replace(SPEC, holdout=0.5)
    free = {case.subject_id for case in build(films, known, spec, []) if case.split == "train_holdout"}
    one, other = sorted(free)[0], sorted({each.subject_id for each in films} - free)[0]
    print_ = next(each.fingerprint for each in films if each.subject_id == other)
    films = [replace(each, fingerprint=print_) if each.subject_id == one else each for each in films]
    held = {case.subject_id for case in build(films, known, spec, []) if case.split == "train_holdout"}
    assert len(held) == len(free)
    assert not held & {one, other}


@pytest.mark.parametrize(
    ("films", "code"),
    [
        ([film(1), film(2, split="train")], "patient-overlap"),
        ([film(1, 0), film(1, 1, patient=2)], "patient-overlap"),
        ([film(1), replace(film(1, patient=2, split="train"), study_id="s2")], "id-in-two-splits"),
        ([film(1), replace(film(2, patient=2, split="train"), fingerprint=film(1).fingerprint)], "duplicate-film"),
    ],
)
def test_leaks_stop_the_benchmark(films: list[LabelledImage], code: str):
    with pytest.raises(LeakError) as error:
        build(films, studies(study(1), study(2)), SPEC, [])
    assert error.value.code == code


def test_a_shuffled_split_is_noticed():
    rng = random.Random(0)
    films = [film(i, patient=i // 4, split=rng.choice(["train", "test"])) for i in range(80)]
    with pytest.raises(LeakError, match="subject_id"):
        build(films, studies(*(study(i) for i in range(80))), SPEC, [])


def test_an_empty_target_stops_the_benchmark():
    with pytest.raises(LeakError) as error:
        build([film(1)], studies(replace(study(1), target=" ")), SPEC, [])
    assert error.value.code == "empty-target"


def test_duplicates_are_found_up_to_the_limit_wherever_the_bits_differ():
    base = film(1)
    for seed in range(50):
        flipped = int(base.fingerprint, 16)
        for bit in random.Random(seed).sample(range(256), 4):
            flipped ^= 1 << bit
        copy = replace(film(2), fingerprint=f"{flipped:064x}")
        assert len(duplicates([base, copy, film(3)])) == 1
