import pytest
from lrrg.benchmark.baselines import SENTENCES
from lrrg.benchmark.findings import FINDINGS
from lrrg.benchmark.labeler import label, lexicon, signature


def found(text: str) -> dict[str, int]:
    return {name: int(value) for name, value in zip(FINDINGS, label(text), strict=True) if value != -2}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No acute cardiopulmonary process.", {"No Finding": 1}),
        ("", {}),
        (
            "Heart size is normal. No pneumothorax, effusion or consolidation.",
            {"Cardiomegaly": 0, "Pneumothorax": 0, "Pleural Effusion": 0, "Consolidation": 0, "No Finding": 1},
        ),
        (
            "Bibasilar opacities may reflect atelectasis, but pneumonia cannot be excluded.",
            {"Lung Opacity": 1, "Atelectasis": -1, "Pneumonia": -1},
        ),
        ("There is no evidence of pneumonia; however there is mild edema.", {"Pneumonia": 0, "Edema": 1}),
        ("The heart is mildly enlarged.", {"Cardiomegaly": 1}),
        ("The heart size is top normal.", {"Cardiomegaly": 0, "No Finding": 1}),
        ("Borderline heart size.", {"Cardiomegaly": -1}),
        ("The cardiomediastinal silhouette is enlarged.", {"Enlarged Cardiomediastinum": 1}),
        ("No effusion. Small left pleural effusion.", {"Pleural Effusion": 1}),
        ("Right PICC ends in the SVC.", {"Support Devices": 1, "No Finding": 1}),
        ("Findings suggest CHF.", {"Edema": -1, "Cardiomegaly": -1}),
        ("No evidence of CHF.", {"Edema": 0, "No Finding": 1}),
        ("Cardiomegaly. Mild CHF.", {"Edema": 1, "Cardiomegaly": 1}),
        ("No opacity to suggest pneumonia.", {"Lung Opacity": 0, "Pneumonia": 0, "No Finding": 1}),
        ("No edema, possible pneumonia.", {"Edema": 0, "Pneumonia": -1}),
        ("No effusion, small right pneumothorax.", {"Pleural Effusion": 0, "Pneumothorax": 1}),
        (
            "No focal consolidation, large effusion, or pneumothorax.",
            {"Consolidation": 0, "Pleural Effusion": 0, "Pneumothorax": 0, "No Finding": 1},
        ),
        ("No consolidation and mild cardiomegaly.", {"Consolidation": 0, "Cardiomegaly": 1}),
        ("No change in the pleural effusion.", {"Pleural Effusion": 1}),
        ("The effusion has resolved.", {"Pleural Effusion": 0, "No Finding": 1}),
        ("Pneumothorax cannot be excluded.", {"Pneumothorax": -1}),
        ("Recommend CT to exclude a nodule.", {"Lung Lesion": -1}),
        ("Small pericardial effusion.", {}),
        ("Calcified nodule.", {}),
        ("Prior granulomatous infection.", {}),
        ("Hyperinflated lungs.", {}),
        ("Scarring in the left base.", {"Lung Opacity": 1}),
        ("Apical pleural scarring.", {"Pleural Other": 1}),
        ("Plate-like atelectasis.", {"Atelectasis": 1}),
        ("The catheter has been removed.", {"Support Devices": 0, "No Finding": 1}),
    ],
)
def test_reports_by_hand(text: str, expected: dict[str, int]):
    assert found(text) == expected


def test_every_finding_but_none_has_a_mention_rule():
    named = {FINDINGS[index] for index in lexicon().mentions}
    assert named == set(FINDINGS) - {"No Finding"}
    assert signature().startswith("rule14@")


@pytest.mark.parametrize(("finding", "sentence"), SENTENCES.items())
def test_the_sentences_of_the_template_floor_say_their_finding(finding: str, sentence: str):
    assert found(sentence)[finding] == 1


@pytest.mark.parametrize(
    ("finding", "sentence"), [item for item in SENTENCES.items() if item[1].startswith("There is")]
)
def test_a_negated_sentence_is_negative_and_a_softened_one_uncertain(finding: str, sentence: str):
    stated = sentence.removeprefix("There is ").removeprefix("a ").rstrip(".")
    for negated in (
        f"There is no {stated}.",
        f"Lungs without {stated}.",
        f"No {stated} is seen.",
        f"{stated} has resolved.",
    ):
        assert found(negated)[finding] == 0, negated
    for softened in (f"There may be {stated}.", f"{stated} cannot be excluded.", f"Concern for {stated}."):
        assert found(softened)[finding] == -1, softened
