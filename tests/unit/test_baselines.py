from dataclasses import replace

import numpy as np
from lrrg.benchmark.baselines import CONSTANT, NORMAL, PRIOR, RETRIEVAL, TEMPLATE, floors
from lrrg.benchmark.cases import Case
from lrrg.benchmark.labeler import label


def case(number: int, text: str, split: str, view: str = "PA", defect: str = "") -> Case:
    tracks = ("T5",) if split == "test" else ()
    return Case(
        f"s{number}{defect}",
        f"s{number}",
        f"p{number}",
        text,
        tracks,
        "high",
        split,
        f"i{number}",
        view=view,
        defect=defect,
    )


def test_floors_learn_from_train_and_never_see_a_test_report():
    clear, ill = "The lungs are clear.", "Moderate cardiomegaly."
    train = [case(1, clear, "train"), case(2, clear, "train"), case(3, ill, "train", "AP"), case(4, "Edema.", "train")]
    test = [case(9, "SECRET", "test", "AP"), case(9, "SECRET", "test", "AP", "defocus")]
    prints = {f"i{n}": np.random.default_rng(n).bytes(32).hex() for n in (1, 2, 4)}
    prints |= {"i3": "00" * 32, "i9": "00" * 31 + "01"}
    found = floors(train + test, prints, label)
    assert found[CONSTANT] == [clear, clear]
    assert found[TEMPLATE] == ["The heart is enlarged."] * 2
    assert found[RETRIEVAL] == [ill, ill], "the degraded film is looked up by its clean one"


def test_a_further_film_of_a_study_does_not_make_its_report_commoner():
    train = [case(1, "The lungs are clear.", "train"), case(2, "No acute disease.", "train")]
    train += [replace(train[0], case_id=f"s1:{n}", image_id=f"j{n}") for n in range(3)]
    found = floors([*train, case(9, "x", "test")], {}, label)
    assert found[CONSTANT] == ["No acute disease."], "the shorter of two that occur once"


def test_without_training_cases_the_floors_still_answer():
    found = floors([case(9, "x", "test")], {}, label)
    assert found == {name: [NORMAL] for name in (CONSTANT, TEMPLATE, RETRIEVAL, PRIOR)}


def test_a_floor_repeats_the_preceding_report():
    train, first = case(1, "The lungs are clear.", "train"), case(8, "x", "test")
    found = floors([train, first, replace(case(9, "x", "test"), prior="Edema.")], {}, label)
    assert found[PRIOR] == ["The lungs are clear.", "Edema."]
