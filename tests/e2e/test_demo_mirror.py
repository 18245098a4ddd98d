import csv
import gzip
import hashlib
import io
import re
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from lrrg.pipelines.demo.mirror import write_mirror
from lrrg.pipelines.demo.plan import plan
from lrrg.pipelines.errors import SettingsError

SMALL = {"patients": 12, "seed": 4, "height": 256}


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    return write_mirror(tmp_path_factory.mktemp("demo") / "mirror", workers=1, **SMALL)


def rows(path: Path) -> list[dict[str, str]]:
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    return list(csv.DictReader(io.StringIO(text)))


def digest(root: Path) -> dict[str, str]:
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_equal_seeds_give_equal_bytes_whatever_the_number_of_processes(mirror, tmp_path):
    write_mirror(tmp_path, workers=2, **SMALL)
    assert digest(tmp_path) == digest(mirror.jpg.parent)


def test_other_seeds_give_other_patients():
    subjects = [{study.subject_id for study in plan(12, seed)} for seed in (4, 5)]
    assert subjects[0] != subjects[1]


def test_paths_are_those_of_the_real_release(mirror):
    names = (mirror.jpg / "IMAGE_FILENAMES").read_text().splitlines()
    pattern = re.compile(r"files/p1\d/p1\d{7}/s5\d{7}/[0-9a-f]{8}(-[0-9a-f]{8}){4}\.jpg")
    assert names
    assert all(pattern.fullmatch(name) and (mirror.jpg / name).is_file() for name in names)
    assert len(names) == len(list(mirror.jpg.rglob("*.jpg"))) == mirror.films
    assert len(list(mirror.jpg.rglob("s*.txt"))) == mirror.studies


def test_metadata_has_the_published_columns_and_quirks(mirror):
    table = rows(mirror.jpg / "mimic-cxr-2.0.0-metadata.csv.gz")
    assert list(table[0]) == [
        "dicom_id", "subject_id", "study_id", "PerformedProcedureStepDescription", "ViewPosition", "Rows", "Columns",
        "StudyDate", "StudyTime", "ProcedureCodeSequence_CodeMeaning", "ViewCodeSequence_CodeMeaning",
        "PatientOrientationCodeSequence_CodeMeaning",
    ]  # fmt: skip
    for row in table:
        datetime.strptime(row["StudyDate"], "%Y%m%d")
        assert row["StudyTime"] == str(float(row["StudyTime"]))
        datetime.strptime(f"{float(row['StudyTime']):010.3f}", "%H%M%S.%f")
        place = f"files/p10/p{row['subject_id']}/s{row['study_id']}/{row['dicom_id']}.jpg"
        image = cv2.imread(str(mirror.jpg / place), cv2.IMREAD_UNCHANGED)
        assert image.shape == (int(row["Rows"]), int(row["Columns"]))


def test_splits_keep_patients_apart_and_say_validate(mirror):
    table = rows(mirror.jpg / "mimic-cxr-2.0.0-split.csv.gz")
    split_of = {row["subject_id"]: row["split"] for row in table}
    assert list(table[0]) == ["dicom_id", "study_id", "subject_id", "split"]
    assert set(split_of.values()) == {"train", "validate", "test"}
    assert all(split_of[row["subject_id"]] == row["split"] for row in table)


def test_label_tables_have_the_published_columns_and_oddities(mirror):
    chexpert = rows(mirror.jpg / "mimic-cxr-2.0.0-chexpert.csv.gz")
    test = rows(mirror.jpg / "mimic-cxr-2.1.0-test-set-labeled.csv")
    assert list(chexpert[0])[:2] == ["subject_id", "study_id"]
    assert list(chexpert[0])[2:] == sorted(list(chexpert[0])[2:])
    assert "Lung Opacity" in chexpert[0]
    assert "Airspace Opacity" in test[0]
    assert not {"Lung Opacity", "subject_id"} & set(test[0])
    assert {value for row in chexpert for value in list(row.values())[2:]} == {"", "0.0", "1.0", "-1.0"}
    in_test = {row["study_id"] for row in rows(mirror.jpg / "mimic-cxr-2.0.0-split.csv.gz") if row["split"] == "test"}
    assert {row["study_id"] for row in test} == in_test


def test_images_are_equalised(mirror):
    truth = {row["dicom_id"]: row for row in rows(mirror.truth)}
    clean = [path for path in mirror.jpg.rglob("*.jpg") if not truth[path.stem]["defect"]]
    for path in clean[:5]:
        grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        again = cv2.equalizeHist(grey)
        assert np.abs(again.astype(int) - grey).mean() < 3


def test_the_truth_knows_every_film_and_both_kinds(mirror):
    truth = rows(mirror.truth)
    assert {row["dicom_id"] for row in truth} == {path.stem for path in mirror.jpg.rglob("*.jpg")}
    assert {row["severity"] == "0" for row in truth} == {True, False}
    assert all((row["defect"] == "") == (row["severity"] == "0") == (row["aspect"] == "") for row in truth)


def test_everything_says_that_it_is_synthetic(mirror):
    assert "Nothing here comes from a person" in (mirror.jpg.parent / "README.txt").read_text()
    for path in mirror.dicom.rglob("*.dcm"):
        header = pydicom.dcmread(path)
        assert header.PatientName == "SYNTHETIC^PHANTOM"
        assert "Synthetic" in header.ImageComments


def test_the_dicom_twin_holds_the_film_of_the_jpeg(mirror):
    records = rows(mirror.dicom / "cxr-record-list.csv.gz")
    assert list(records[0]) == ["subject_id", "study_id", "dicom_id", "path"]
    polarities = set()
    for record in records:
        header = pydicom.dcmread(mirror.dicom / record["path"])
        values = header.pixel_array.astype(float)
        if header.PhotometricInterpretation == "MONOCHROME1":
            values = 4095 - values
        polarities.add(header.PhotometricInterpretation)
        jpeg = cv2.imread(str((mirror.jpg / record["path"]).with_suffix(".jpg")), cv2.IMREAD_GRAYSCALE)
        ranks = [np.argsort(np.argsort(image.ravel())) for image in (values, jpeg)]
        assert header.BitsStored == 12
        assert header.ViewPosition in ("PA", "AP")
        assert float(header.ExposureIndex) > 0
        assert np.corrcoef(ranks)[0, 1] > 0.99
    assert polarities == {"MONOCHROME1", "MONOCHROME2"}


def test_lists_of_the_dicom_release_agree_with_its_tree(mirror):
    studies = rows(mirror.dicom / "cxr-study-list.csv.gz")
    providers = rows(mirror.dicom / "cxr-provider-list.csv.gz")
    assert all((mirror.dicom / row["path"]).is_file() for row in studies)
    assert {row["study_id"] for row in providers} == {row["study_id"] for row in studies}
    assert len(rows(mirror.dicom / "cxr-record-list.csv.gz")) == len(list(mirror.dicom.rglob("*.dcm")))


def test_a_finished_mirror_is_left_alone_and_a_stranger_folder_refused(mirror, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in mirror.jpg.parent.rglob("*")}
    assert write_mirror(mirror.jpg.parent, workers=1, **SMALL) == mirror
    assert {path: path.stat().st_mtime_ns for path in mirror.jpg.parent.rglob("*")} == before
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(SettingsError, match="not empty"):
        write_mirror(tmp_path, **SMALL)
    with pytest.raises(SettingsError, match="not empty"):
        write_mirror(mirror.jpg.parent, patients=12, seed=5, height=256)
