import numpy as np
import pytest
from lrrg.benchmark import honesty
from lrrg.benchmark.corpus import Corpus
from lrrg.benchmark.labeler import label
from lrrg.benchmark.metrics import METRICS


def corpus(pairs: list[tuple[str, str]], **known) -> Corpus:
    return Corpus([ours for ours, _ in pairs], [theirs for _, theirs in pairs], label, **known)


def score(name: str, found: Corpus) -> float:
    return float(METRICS[name].value(found.statistics(METRICS[name].statistics).sum(0)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Compared to the prior study, the effusion is larger.", True),
        ("Stable cardiomegaly.", True),
        ("No interval change.", True),
        ("No new consolidation.", True),
        ("The tube has been removed.", True),
        ("Again seen is a left effusion.", True),
        ("The heart is normal. No effusion.", False),
        ("No prior studies are available for comparison.", False),
        ("There are no comparisons.", False),
        ("Prior median sternotomy.", False),
        ("Old rib fractures.", False),
    ],
)
def test_what_speaks_of_an_earlier_film(text: str, said: bool):
    assert honesty.says("prior", text) is said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("The study is limited by patient rotation.", True),
        ("Low lung volumes accentuate the markings.", True),
        ("Limited evaluation of the bases.", True),
        ("The left costophrenic angle is not included.", True),
        ("Portable film degraded by motion artifact.", True),
        ("Heart size is exaggerated by AP technique.", True),
        ("The film is underexposed.", True),
        ("PA and lateral technique.", False),
        ("The left hemidiaphragm is obscured by consolidation.", False),
        ("The patient is not rotated.", False),
        ("No motion artifact.", False),
        ("The catheter moved with motion of the arm.", False),
        ("Pneumonia is excluded.", False),
    ],
)
def test_what_owns_up_to_a_limitation(text: str, said: bool):
    assert honesty.says("limitation", text) is said


@pytest.mark.parametrize(
    ("text", "said"),
    [("A 2.5 cm nodule.", True), ("The tube ends 4-5 cm above the carina.", True), ("Nodule at the 5th rib.", False)],
)
def test_what_is_a_measurement(text: str, said: bool):
    assert honesty.says("measurement", text) is said


def test_a_negation_flip_is_a_false_finding():
    assert score("false_findings", corpus([("No effusion. Edema.", "Edema.")])) == 0
    assert score("false_findings", corpus([("Effusion. Edema.", "No effusion. Edema.")])) == pytest.approx(1 / 2)


def test_a_finding_the_reference_suspects_is_not_invented():
    assert score("false_findings", corpus([("Pneumonia.", "Possible pneumonia.")])) == 0


def test_devices_are_counted_apart():
    found = corpus([("PICC in place.", "Clear lungs."), ("PICC in place.", "PICC in place.")])
    assert score("false_devices", found) == pytest.approx(1 / 2)
    assert np.isnan(score("false_findings", found)), "no report states an abnormality"


def test_only_first_examinations_can_invent_a_prior():
    pairs = [("Unchanged edema.", "Edema."), ("Unchanged edema.", "Edema."), ("Edema.", "Edema.")]
    assert score("false_priors", corpus(pairs, priors=[False, True, False])) == pytest.approx(1 / 2)
    assert np.isnan(score("false_priors", corpus(pairs))), "without knowledge of earlier studies nothing is said"


def test_a_measurement_is_false_only_where_the_reference_has_none():
    pairs = [("A 2 cm nodule.", "A nodule."), ("A 2 cm nodule.", "A 3 cm nodule."), ("A nodule.", "A nodule.")]
    assert score("false_measurements", corpus(pairs)) == pytest.approx(1 / 2)


def test_twins_agree_and_flip():
    clean, same, flipped = "Edema. No effusion.", "Edema. No effusion.", "No edema. No effusion."
    found = corpus([(clean, clean), (same, clean), (flipped, clean)], twins=[-1, 0, 0])
    assert score("twin_consistency", found) == pytest.approx((1 + 0) / 2)
    assert score("twin_flip_rate", found) == pytest.approx(1 / 4)


def test_agreeing_on_nonsense_earns_nothing():
    found = corpus([("Pneumothorax.", "Edema."), ("Pneumothorax.", "Edema.")], twins=[-1, 0])
    assert score("twin_consistency", found) == 1
    assert score("twin_right_consistency", found) == 0


def test_limitation_sentences_neither_help_nor_harm_the_content_scores():
    plain = ("The heart is mildly enlarged today.", "The heart is mildly enlarged here.")
    limited = tuple(f"The study is limited by rotation. {text}" for text in plain)
    for name in ("bleu_4", "rouge_l"):
        assert score(name, corpus([limited])) > score(name, corpus([plain]))
        content = f"{name}_content"
        assert score(content, corpus([limited])) == score(content, corpus([plain])) == score(name, corpus([plain]))


def test_a_report_without_limitations_stays_as_it_is():
    text = "Heart normal?  No effusion!"
    assert honesty.without_limitations(text) is text
    assert honesty.without_limitations("Limited study. Clear.") == "clear."
