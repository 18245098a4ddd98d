"""rule14 against labels that others gave: MIMIC-CXR's tables and the Indiana reports' MeSH codes."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
from lrrg.benchmark.agreement import agreement, kappa
from lrrg.benchmark.corpus import POSITIVE
from lrrg.benchmark.findings import FINDINGS
from lrrg.benchmark.mesh import mesh_labels
from lrrg.pipelines.cli import app
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.records import CatalogRow, LabelRow, ReportRow
from lrrg.pipelines.score.labeler import HELD_OUT, against_mesh, against_published, half_of
from lrrg.pipelines.store import Store
from typer.testing import CliRunner

EDEMA, EFFUSION = FINDINGS.index("Edema"), FINDINGS.index("Pleural Effusion")
REPORTS = (
    ("Moderate edema.", ["Pulmonary Edema/moderate"]),
    ("No edema. Small effusion.", ["Pleural Effusion/small"]),
    ("Edema cannot be excluded.", ["normal"]),
    ("Not coded edema.", ["No Indexing"]),
)


def xml(text: str, codes: list[str]) -> str:
    majors = "".join(f"<major>{code}</major>" for code in codes)
    return (
        '<?xml version="1.0"?><eCitation><Abstract><AbstractText Label="INDICATION">Edema?</AbstractText>'
        f'<AbstractText Label="FINDINGS">{text}</AbstractText><AbstractText Label="IMPRESSION"/></Abstract>'
        f"<MeSH>{majors}</MeSH></eCitation>"
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The four reports, once in each half of the collection."""
    root = tmp_path / "ecgen-radiology"
    root.mkdir()
    for wanted in (True, False):
        names = [n for n in range(1, 99) if (half_of(f"CXR{n}") == HELD_OUT) is wanted]
        for name, (text, codes) in zip(names, REPORTS, strict=False):
            (root / f"{name}.xml").write_text(xml(text, codes))
    return tmp_path


def row(found, title: str, finding: str):
    (rows,) = [rows for name, rows in found.items() if name.startswith(title)]
    return next(row for row in rows if row.finding == finding)


def test_mesh_codes_become_findings():
    labels = mesh_labels(["Opacity/lung/base/left", "Mass/breast/large", "Technical Quality of Image Unsatisfactory "])
    assert [FINDINGS[i] for i in np.flatnonzero(labels == POSITIVE)] == ["Lung Opacity"]
    assert (mesh_labels(["Mass/lung/lingula"]) == POSITIVE).sum() == 1


def test_against_mesh_by_hand(folder: Path):
    found = against_mesh(folder)
    assert [title.partition(",")[2] for title in found] == [" 3 reports"] * 2, "what nobody coded is left out"
    edema = row(found, HELD_OUT, "Edema")
    assert (edema.stated, edema.found, edema.precision, edema.recall) == (1, 1, 1.0, 1.0)
    assert edema.f1_uncertain_positive == pytest.approx(2 / 3), "the uncertain mention is a false one then"
    assert row(found, HELD_OUT, "Fracture").f1_uncertain_negative is None


def test_an_archive_reads_as_its_folder_does(folder: Path, tmp_path: Path):
    archive = tmp_path / "NLMCXR_reports.tgz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder / "ecgen-radiology", "ecgen-radiology")
    assert against_mesh(archive) == against_mesh(folder)


@pytest.mark.parametrize("content", [None, b"no archive", b"\x1f\x8b\x08\x00broken"])
def test_what_is_no_collection_is_named(content: bytes | None, tmp_path: Path):
    path = tmp_path / "reports.tgz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SettingsError, match=r"reports\.tgz"):
        against_mesh(path)


def test_a_report_that_is_no_xml_is_named(tmp_path: Path):
    (tmp_path / "7.xml").write_text("<eCitation>")
    with pytest.raises(SettingsError, match=r"7\.xml"):
        against_mesh(tmp_path)
    (tmp_path / "7.xml").write_text(xml("Edema.", ["normal"]))
    with pytest.raises(SettingsError, match="too few"):
        against_mesh(tmp_path)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """Two studies: chexpert agrees on one of two effusions, and read no more than the impression."""
    path = tmp_path / "lrrg.duckdb"
    reports = [
        ReportRow("s1", "p1", findings="Edema.", impression="Small effusion. No pneumothorax."),
        ReportRow("s2", "p2", findings="Large effusion."),
    ]
    labels = [
        LabelRow("s1", "chexpert", "Pleural Effusion", 1),
        LabelRow("s1", "chexpert", "Pneumothorax", 0),
        LabelRow("s2", "chexpert", "Pleural Effusion", -1),
        LabelRow("s1", "radiologist", "Edema", 1),
        LabelRow("s2", "mesh", "Opacity", 1),
    ]
    with Store.open(path) as store:
        store.add_images(tmp_path, [CatalogRow("i1", "a.jpg", "p1", "s1"), CatalogRow("i2", "b.jpg", "p2", "s2")])
        store.add_reports(reports)
        store.add_labels(labels)
    return path


def test_against_published_labels_by_hand(database: Path):
    found = against_published(database)
    assert list(found) == ["chexpert, 2 reports", "radiologist, 1 reports"]
    effusion = row(found, "chexpert", "Pleural Effusion")
    assert (effusion.stated, effusion.found, effusion.precision, effusion.recall) == (1, 2, 1 / 2, 1.0)
    assert effusion.f1_uncertain_positive == 1.0
    assert row(found, "chexpert", "Pneumothorax").kappa == 1.0
    assert row(found, "chexpert", "Edema").found == 0, "the impression alone is read"
    assert row(found, "radiologist", "Edema").recall == 1.0, "radiologists' labels are of the whole report"


def test_a_database_without_labels_says_so(tmp_path: Path):
    with Store.open(tmp_path / "empty.duckdb"):
        pass
    with pytest.raises(SettingsError, match="no published labels"):
        against_published(tmp_path / "empty.duckdb")


def test_what_is_no_archive_is_said_in_one_line(tmp_path: Path):
    (tmp_path / "reports.tgz").write_bytes(b"no archive")
    with pytest.raises(SettingsError, match=r"reports\.tgz: not a whole tar archive \(.*\); get it again$") as error:
        against_mesh(tmp_path / "reports.tgz")
    assert "\n" not in str(error.value)


def test_kappa_by_hand():
    ours, theirs = np.array([1, 1, 0, -2], np.int8), np.array([1, 0, 0, -2], np.int8)
    chance = 1 / 2 * 1 / 4 + 1 / 4 * 1 / 2 + 1 / 4 * 1 / 4
    assert kappa(ours, theirs) == pytest.approx((3 / 4 - chance) / (1 - chance))
    assert kappa(ours[:1], theirs[:1]) is None


def test_pooled_scores_count_every_finding():
    labels = np.full((2, 14), -2, np.int8)
    labels[0, EDEMA] = labels[1, EFFUSION] = 1
    other = labels.copy()
    other[1, EFFUSION] = -2
    *_, pooled = agreement(labels, other, (EDEMA, EFFUSION))
    assert (pooled.finding, pooled.stated, pooled.found, pooled.precision) == ("micro", 1, 2, 1 / 2)


def test_the_verb_prints_json(folder: Path):
    result = CliRunner().invoke(app, ["labeler", "validate", "--iu", str(folder), "--json"])
    assert result.exit_code == 0
    assert {"finding", "kappa"} <= set(next(iter(json.loads(result.stdout).values()))[0])
