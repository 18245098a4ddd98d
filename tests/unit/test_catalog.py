"""The catalog stage on plain folders and into a real database."""

import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from lrrg.pipelines.adapters import DatasetError, DuplicateIdError, folder
from lrrg.pipelines.adapters.base import study_time
from lrrg.pipelines.catalog.stage import catalog
from lrrg.pipelines.cli import app
from lrrg.pipelines.store import Store
from lrrg.tests.quiet import quiet
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian
from typer.testing import CliRunner


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.zeros((8, 8), np.uint8))


def write_dicom(path: Path, **tags: object) -> None:
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    file.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    for keyword, value in tags.items():
        setattr(file, keyword, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save_as(path, enforce_file_format=True)


def ids(root: Path) -> list[str]:
    return [row.image_id for row in folder.read(root, None, quiet).images]


def test_ids_are_paths_without_the_suffix_of_an_image(tmp_path: Path):
    for name in ("b.PNG", "a/x.jpg", "a/y.jpeg", "a.b/z.v2.png"):
        write_image(tmp_path / name)
    write_dicom(tmp_path / "c/1.2.840.77")
    write_dicom(tmp_path / "c/plain")
    assert sorted(ids(tmp_path)) == ["a.b/z.v2", "a/x", "a/y", "b", "c/1.2.840.77", "c/plain"]


@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.parametrize(
    ("day", "written"),
    [("20200131", "0805"), ("20200131", "080500.25"), ("20200131", "08:05:00"), ("2020.01.31", "08:05:00")],
)
def test_a_dicom_header_fills_the_row(tmp_path: Path, day: str, written: str):
    tags = {"PatientID": "P7", "StudyInstanceUID": "1.2.9", "ViewPosition": "PA", "Rows": 30, "Columns": 20}
    write_dicom(tmp_path / "a.dcm", **tags, StudyDate=day, StudyTime=written)
    (row,) = folder.read(tmp_path, None, quiet).images
    assert (row.subject_id, row.study_id, row.view_position, row.rows, row.columns) == ("P7", "1.2.9", "PA", 30, 20)
    assert (row.study_date, row.study_time) == ("20200131", "080500")


def test_a_broken_dicom_keeps_its_row(tmp_path: Path):
    (tmp_path / "a.dcm").write_bytes(b"no dicom at all")
    write_dicom(tmp_path / "b.dcm", Rows=30)
    (tmp_path / "b.dcm").write_bytes((tmp_path / "b.dcm").read_bytes()[:150])
    write_dicom(tmp_path / "c.dcm", Rows=[30, 20])
    write_dicom(tmp_path / "d.dcm")
    endless = dcmread(tmp_path / "d.dcm")
    endless.add_new("Rows", "DS", "1e400")
    endless.save_as(tmp_path / "d.dcm")
    assert ids(tmp_path) == ["a", "b", "c", "d"]


def test_two_files_of_one_id_are_an_error_that_names_both(tmp_path: Path):
    write_image(tmp_path / "a/x.png")
    write_image(tmp_path / "a/x.jpg")
    with pytest.raises(DuplicateIdError, match=r"a/x\.jpg and a/x\.png") as error:
        folder.read(tmp_path, None, quiet)
    assert error.value.code == "duplicate-id"


def test_hidden_files_are_left_out_and_others_are_counted(tmp_path: Path):
    write_image(tmp_path / "a.png")
    write_image(tmp_path / ".cache/b.png")
    write_image(tmp_path / ".c.png")
    for name in ("notes.txt", "more.txt", "table.csv", "README"):
        (tmp_path / name).write_text("x")
    found = folder.read(tmp_path, None, quiet)
    assert [row.image_id for row in found.images] == ["a"]
    (warning,) = found.warnings
    assert warning == f"{tmp_path}: 4 files are neither PNG, JPEG nor DICOM (.txt 2, no suffix 1, .csv 1)"


def test_links_that_form_a_loop_end_and_no_folder_is_read_twice(tmp_path: Path):
    write_image(tmp_path / "z/film.png")
    (tmp_path / "z" / "up").symlink_to(tmp_path)
    (tmp_path / "a").symlink_to(tmp_path / "z")
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    found = folder.read(tmp_path, None, quiet)
    assert [row.image_id for row in found.images] == ["z/film"]
    assert found.warnings == [f"{tmp_path}: 2 links lead nowhere; they are left out"]


def test_an_unreadable_folder_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write_image(tmp_path / "a/x.png")
    write_image(tmp_path / "b/y.png")
    listing = os.scandir

    def denied(path: str):
        if Path(path).name == "b":
            raise PermissionError(13, "Permission denied", path)
        return listing(path)

    monkeypatch.setattr("lrrg.pipelines.adapters.base.os.scandir", denied)
    found = folder.read(tmp_path, None, quiet)
    assert [row.image_id for row in found.images] == ["a/x"]
    assert found.warnings == [f"{tmp_path}/b: no permission to list it; the images below it are left out"]


@pytest.mark.parametrize(("stored", "time"), [("0.0", "000000"), ("61.5", "000061"), ("235959.999", "235959")])
def test_times_get_their_leading_zeros_back(stored: str, time: str):
    assert study_time(stored) == time


def test_running_again_adds_only_what_is_new(tmp_path: Path):
    root = tmp_path / "films"
    write_image(root / "a.png")
    with Store.open(tmp_path / "db") as store:
        first = catalog(root, store, None, quiet)
        again = catalog(root, store, None, quiet)
        write_image(root / "b.png")
        more = catalog(root, store, None, quiet)
        stored = store.query("SELECT image_id FROM image ORDER BY 1").rows
    assert [(each.images, each.new) for each in (first, again, more)] == [(1, 1), (1, 0), (2, 1)]
    assert stored == [("a",), ("b",)]


def test_one_study_id_in_two_folders_is_a_warning(tmp_path: Path):
    for place in ("one", "two"):
        for film in ("a", "b"):
            write_image(tmp_path / place / f"{place}_{film}.png")
        table = f"image,study_id,findings\n{place}_a.png,7,Report of {place}.\n{place}_b.png,{place},\n"
        (tmp_path / place / "lrrg.csv").write_text(table)
    with Store.open(tmp_path / "lrrg.db") as store:
        assert catalog(tmp_path / "one", store, None, quiet).warnings == ()
        (warning,) = catalog(tmp_path / "two", store, None, quiet).warnings
    assert "films of 1 studies lie in two catalogued folders, e.g. 7" in warning


def test_what_cannot_be_catalogued_says_why(tmp_path: Path):
    with Store.open(tmp_path / "db") as store:
        for root, code in ((tmp_path / "nowhere", "no-root"), (tmp_path / "db", "no-root"), (tmp_path, "no-images")):
            with pytest.raises(DatasetError) as error:
                catalog(root, store, None, quiet)
            assert error.value.code == code


def test_a_first_catalog_that_fails_leaves_no_database(tmp_path: Path):
    db, films = tmp_path / "lrrg.duckdb", tmp_path / "films"
    films.mkdir()
    command = ["catalog", str(films), "--db", str(db)]
    assert CliRunner().invoke(app, command).exit_code != 0
    assert list(tmp_path.iterdir()) == [films]
    write_image(films / "a.png")
    assert CliRunner().invoke(app, command).exit_code == 0
    for root in (str(tmp_path / "nowhere"), str(films / "a.png"), ""):
        assert CliRunner().invoke(app, ["catalog", root, "--db", str(db)]).exit_code != 0
    with Store.open(db, read_only=True) as store:
        assert store.query("SELECT image_id FROM image").rows == [("a",)]


def test_the_verb_prints_counts_and_warnings(tmp_path: Path):
    root = tmp_path / "films"
    study = root / "files/p11/p11000001/s50000001"
    for number, view in enumerate(("PA", "LL")):
        write_image(study / f"{number}-{view}.jpg")
    (study.parent / "s50000001.txt").write_text(" FINDINGS: Clear.\n")
    command = ["catalog", str(root), "--db", str(tmp_path / "db")]
    done = CliRunner().invoke(app, [*command, "--json"])
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert (summary["dataset"], summary["images"], summary["new"]) == ("MIMIC-CXR", 2, 2)
    assert (summary["studies"], summary["patients"], summary["by_reading"]) == (1, 1, {"findings": 1})
    assert "mimic-cxr-2.0.0-split.csv.gz" in done.stderr
    shutil.rmtree(study)
    assert CliRunner().invoke(app, command).exit_code != 0
