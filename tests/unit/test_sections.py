"""Sectioning of reports: the published rules, one quirk a test."""

import pytest
from lrrg.pipelines.adapters.sections import reading, section_name, sections
from lrrg.pipelines.adapters.sections_by_hand import MISPLACED, SLICES

TITLE = "                                 FINAL REPORT\n"


def test_a_usual_report_with_every_section():
    text = TITLE + (
        " EXAMINATION:  CHEST (PA AND LAT)\n \n INDICATION:  ___F with cough  // eval for pneumonia\n \n"
        " TECHNIQUE:  Chest PA and lateral\n \n COMPARISON:  ___\n \n FINDINGS: \n \n The lungs are clear.  No\n"
        " effusion.\n \n Heart size is normal.\n \n IMPRESSION: \n \n 1. No acute process.\n 2. Unchanged.\n"
    )
    assert sections(text) == {
        "examination": "CHEST (PA AND LAT)",
        "indication": "___F with cough // eval for pneumonia",
        "technique": "Chest PA and lateral",
        "comparison": "___",
        "findings": "The lungs are clear. No effusion. Heart size is normal.",
        "impression": "1. No acute process. 2. Unchanged.",
    }


def test_the_last_section_of_a_name_counts_and_an_addendum_stands_above():
    text = (
        "                                 FINAL ADDENDUM\n ADDENDUM: Discussed by phone.\n IMPRESSION: Addendum only.\n"
        f" {'_' * 78}\n{TITLE} FINDINGS: Old.\n FINDINGS: Clear.\n IMPRESSION: Normal.\n"
    )
    parts = sections(text)
    assert (parts["findings"], parts["impression"]) == ("Clear.", "Normal.")
    assert parts["addendum"] == "Discussed by phone."


def test_a_title_line_below_an_empty_header_is_no_header():
    parts = sections(TITLE + " FINDINGS:\n PA AND LATERAL CHEST: Clear lungs.\n IMPRESSION: Normal.\n")
    assert parts["findings"] == "PA AND LATERAL CHEST: Clear lungs."


def test_an_empty_findings_section_gives_way_to_the_one_with_text():
    parts = sections(TITLE + " FINDINGS: Clear.\n \n IMPRESSION: Normal.\n \n FINDINGS: \n \n \n")
    assert parts["findings"] == "Clear."


def test_a_header_that_describes_the_views_heads_findings():
    assert sections(TITLE + " HISTORY: Cough.\n \n CHEST, TWO VIEWS: Clear lungs.\n") == {
        "history": "Cough.",
        "findings": "Clear lungs.",
    }


def test_last_paragraph_is_what_follows_the_first_blank_line_of_the_last_section():
    parts = sections(TITLE + " REASON FOR EXAM: Fever.\n \n AP view. Lungs are clear.\n \n No effusion.\n")
    assert parts == {"indication": "Fever.", "last_paragraph": "AP view. Lungs are clear. No effusion."}
    assert reading(parts) == "last_paragraph"


def test_a_report_without_any_header_has_a_last_paragraph():
    assert sections(TITLE + " CHEST RADIOGRAPH\n \n Lungs are clear.\n") == {"last_paragraph": "Lungs are clear."}


def test_no_last_paragraph_beside_an_impression():
    assert "last_paragraph" not in sections(TITLE + " IMPRESSION: Normal.\n \n Dictated by ___.\n")


def test_capitals_inside_a_sentence_are_no_header():
    parts = sections(TITLE + " FINDINGS: Clear. NOTE: compared with ___.\n Tubes: in place.\n IMPRESSION: OK: fine.\n")
    assert set(parts) == {"findings", "impression"}


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("FINDINGS AND IMPRESSION", "impression"),
        ("FINDINGS/ IMPRESSION", "impression"),
        ("CONCLUSION", "impression"),
        ("IMPERSSION", "impression"),
        ("FINDINDGS", "findings"),
        ("PORTABLE AP CHEST RADIOGRAPH", "findings"),
        ("COMPARISIONS", "comparison"),
        ("REFERENCE EXAM", "comparison"),
        ("CLINICAL INFORMATION", "history"),
        ("PATIENT HISTORY", "history"),
        ("TYPE OF EXAMINATION", "examination"),
        ("IDICATION", "indication"),
        ("CLINICAL INDICATION", "indication"),
        ("WETREAD", "wet read"),
        ("RECOMMENDATION(S)", "recommendations"),
        ("MEDICATION", "medication"),
        ("NOTE", "note"),
    ],
)
def test_names(header: str, name: str):
    assert section_name(header) == name


def test_reading_follows_the_published_priority():
    assert reading({"comparison": "a", "findings": "b", "impression": "c"}) == "impression"
    assert reading({"comparison": "a", "findings": "b"}) == "findings"
    assert reading({"comparison": "a"}) == "comparison"
    assert reading({"indication": "a", "findings": None}) is None


def test_studies_with_a_rule_of_their_own():
    assert (len(MISPLACED), len(SLICES)) == (23, 31), "the published lists' lengths"
    text = TITLE + " INDICATION: Lungs are clear.\n"
    assert sections(text, "50058765") == {"last_paragraph": "Lungs are clear."}
    assert sections("x" * 201 + "Clear lungs. " + "y" * 300, "50525523")["last_paragraph"].startswith(
        "Clear lungs. yyy"
    )
    assert sections(text, "50798377") == {}
    assert sections(text, "50000000") == {"indication": "Lungs are clear."}
