import numpy as np
import pytest
from lrrg.benchmark.findings import FINDINGS as LABELS
from lrrg.benchmark.phantom_findings import FINDINGS
from lrrg.benchmark.reports import report


def written(findings=(), seed=0, **how):
    how = {"portable": False, "prior": False, **how}
    return report(frozenset(findings), np.random.default_rng(seed), **how)


WORDS = {
    "cardiomegaly": ("enlarged", "cardiomegaly"),
    "effusion_left": ("left pleural effusion", "effusion is present on the left"),
    "pneumothorax_right": ("right pneumothorax",),
    "consolidation_left": ("left lung", "left sided consolidation"),
    "nodule_right": ("right lung",),
    "pacemaker": ("pacemaker",),
}


@pytest.mark.parametrize("finding", WORDS)
@pytest.mark.parametrize("seed", range(4))
def test_the_findings_section_names_the_finding(finding, seed):
    text = written([finding], seed).findings.lower()
    assert any(words in text for words in WORDS[finding])


@pytest.mark.parametrize("seed", range(6))
def test_a_normal_film_has_a_normal_report(seed):
    normal = written(seed=seed)
    assert normal.labels["No Finding"] == 1
    assert "normal" in normal.findings
    assert "enlarged" not in normal.findings


@pytest.mark.parametrize("seed", range(6))
def test_the_impression_repeats_what_the_findings_say_of_the_lungs(seed):
    found = written(["effusion_left", "pneumothorax_right"], seed)
    for numbered in found.impression.split("  "):
        assert numbered.partition(". ")[2] in found.findings


def test_devices_alone_leave_no_finding():
    labels = written(["pacemaker"]).labels
    assert labels["Support Devices"] == 1
    assert labels["No Finding"] == 1


def test_labels_follow_the_findings():
    labels = written(["effusion_left", "consolidation_right"]).labels
    assert labels == {"Cardiomegaly": 0, "Consolidation": 1, "Pneumonia": -1, "Pleural Effusion": 1}
    assert set(written(FINDINGS).labels) <= set(LABELS)


def test_layout_is_indented_and_at_most_79_wide():
    for seed in range(30):
        text = written(FINDINGS, seed, prior=True, portable=True, limit="blur").text("CHEST (PORTABLE AP)")
        lines = text.splitlines()
        assert lines[0] == " " * 33 + "FINAL REPORT"
        assert all(line.startswith(" ") and len(line) <= 79 for line in lines)
        assert "Evaluation is limited by motion." in " ".join(line.strip() for line in lines)
        assert "EXAMINATION:  CHEST (PORTABLE AP)" in text


def test_all_three_shapes_occur():
    texts = {report.shape: report.text("CHEST (SINGLE VIEW)") for report in (written(seed=s) for s in range(60))}
    assert set(texts) == {"full", "findings", "paragraph"}
    assert "IMPRESSION:" in texts["full"]
    assert "IMPRESSION:" not in texts["findings"]
    assert "FINDINGS:" not in texts["paragraph"]
