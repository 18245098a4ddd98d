"""MIMIC-CXR trees: exact layout and tables on disk, and what is left when parts of them are missing."""

import csv
import gzip
import zipfile
from pathlib import Path

import pytest
from lrrg.pipelines.adapters import DatasetError, DuplicateIdError, mimic
from lrrg.pipelines.records import CatalogRow, LabelRow
from lrrg.tests.quiet import quiet

ONE = "00000001-aaaaaaaa-bbbbbbbb-cccccccc-dddddddd"
TWO = "00000002-aaaaaaaa-bbbbbbbb-cccccccc-dddddddd"
GONE = "00000003-aaaaaaaa-bbbbbbbb-cccccccc-dddddddd"
STUDY = "files/p10/p10000032/s50414267"
REPORT = "                                 FINAL REPORT\n FINDINGS: Clear ___.\n \n IMPRESSION: Normal.\n"
METADATA = (
    "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,Columns,StudyDate,StudyTime,"
    "ProcedureCodeSequence_CodeMeaning,ViewCodeSequence_CodeMeaning,PatientOrientationCodeSequence_CodeMeaning"
)


def write_table(path: Path, header: str, *lines: str) -> None:
    text = "\n".join((header, *lines)) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two of three listed images, reports and labels, all files of MIMIC-CXR-JPG 2.1.0 that are read."""
    (tmp_path / STUDY).mkdir(parents=True)
    for dicom_id in (ONE, TWO):
        (tmp_path / STUDY / f"{dicom_id}.jpg").touch()
    (tmp_path / "files/p10/p10000032/s50414267.txt").write_text(REPORT)
    write_table(
        tmp_path / mimic.METADATA,
        METADATA,
        f"{ONE},10000032,50414267,CHEST (PA AND LAT),PA,3056,2544,21800506,213014.53100000002,x,y,Erect",
        f"{TWO},10000032,50414267,CHEST (PA AND LAT),,3056,2544,21800506,80556.875,x,y,",
        f"{GONE},10000032,53189527,CHEST (PORTABLE AP),AP,2705,2539,21800626,165500.312,x,y,Recumbent",
    )
    rows = [f"{ONE},50414267,10000032,validate", f"{TWO},50414267,10000032,validate", f"{GONE},53189527,10000032,test"]
    write_table(tmp_path / mimic.SPLIT, "dicom_id,study_id,subject_id,split", *rows)
    for name in ("chexpert", "negbio"):
        write_table(
            tmp_path / f"mimic-cxr-2.0.0-{name}.csv.gz",
            "subject_id,study_id,Edema,Lung Opacity,No Finding,Pneumonia",
            "10000032,50414267,,0.0,1.0,-1.0",
            "10000032,53189527,1.0,,,",
        )
    write_table(
        tmp_path / "mimic-cxr-2.1.0-test-set-labeled.csv", "study_id,Airspace Opacity,Edema", "50414267.0,1.0,0.0"
    )
    return tmp_path


def test_images_that_exist_become_rows_with_all_their_tables_say(root: Path):
    found = mimic.read(root, None, quiet)
    common = {"subject_id": "10000032", "study_id": "50414267", "official_split": "validate", "rows": 3056}
    common |= {"columns": 2544, "study_date": "21800506", "procedure": "CHEST (PA AND LAT)"}
    one = CatalogRow(ONE, f"{STUDY}/{ONE}.jpg", view_position="PA", study_time="213014", orientation="Erect", **common)
    two = CatalogRow(TWO, f"{STUDY}/{TWO}.jpg", study_time="080556", **common)
    assert found.images == [one, two]
    assert found.missing == 1
    assert found.warnings == []


def test_labels_of_all_three_tables_only_for_studies_with_an_image(root: Path):
    study = "50414267"
    expected = {
        LabelRow(study, labeler, finding, value)
        for labeler in ("chexpert", "negbio")
        for finding, value in (("Lung Opacity", 0), ("No Finding", 1), ("Pneumonia", -1))
    }
    expected |= {LabelRow(study, "radiologist", "Lung Opacity", 1), LabelRow(study, "radiologist", "Edema", 0)}
    assert set(mimic.read(root, None, quiet).labels) == expected


def test_reports_in_the_tree_are_sectioned(root: Path):
    (report,) = mimic.read(root, None, quiet).reports
    assert (report.study_id, report.subject_id) == ("50414267", "10000032")
    assert (report.findings, report.impression, report.path) == ("Clear ___.", "Normal.", f"{STUDY}.txt")


@pytest.mark.parametrize("packed", [True, False], ids=["zip", "folder"])
def test_reports_named_by_the_caller_replace_those_in_the_tree(root: Path, packed: bool):
    given = root.parent / f"{root.name}-texts"
    if packed:
        with zipfile.ZipFile(given, "w") as archive:
            archive.writestr(f"{STUDY}.txt", " FINDINGS: Other.\n")
            archive.writestr("files/p10/p10000032/s53189527.txt", " FINDINGS: No image.\n")
    else:
        (given / STUDY).parent.mkdir(parents=True)
        (given / f"{STUDY}.txt").write_bytes(b" FINDINGS: Oth\xe9r.\r\n")
    (report,) = mimic.read(root, given, quiet).reports
    assert report.findings == ("Other." if packed else "Oth�r.")
    assert report.path == f"{given}/{STUDY}.txt"


def test_a_zip_in_the_root_is_found(root: Path):
    with zipfile.ZipFile(root / "mimic-cxr-reports.zip", "w") as archive:
        archive.writestr(f"{STUDY}.txt", " IMPRESSION: From the zip.\n")
    (report,) = mimic.read(root, None, quiet).reports
    assert (report.impression, report.path) == ("From the zip.", f"mimic-cxr-reports.zip/{STUDY}.txt")


def test_unusable_reports_are_an_error_that_says_what_to_name(root: Path):
    without = root.with_suffix(".zip")
    with zipfile.ZipFile(without, "w") as archive:
        archive.writestr("readme.txt", "no report")
    for given in (root / "nowhere", root / "files" / "p10" / "p10000032" / "s50414267", root / mimic.SPLIT, without):
        with pytest.raises(DatasetError, match=r"mimic-cxr-reports\.zip") as error:
            mimic.read(root, given, quiet)
        assert error.value.code == "bad-reports"


def test_reports_that_are_not_there_are_said_not_to_be(root: Path):
    with pytest.raises(DatasetError, match="nowhere: no such file or folder"):
        mimic.read(root, root / "nowhere", quiet)


def test_absent_tables_make_one_warning_that_names_them_all(root: Path):
    absent = [mimic.METADATA, mimic.SPLIT, *mimic.LABELERS]
    for name in absent:
        (root / name).unlink()
    (root / f"{STUDY}.txt").unlink()
    found = mimic.read(root, None, quiet)
    (warning,) = found.warnings
    assert all(name in warning for name in (*absent, "mimic-cxr-reports.zip"))
    assert found.images[0] == CatalogRow(ONE, f"{STUDY}/{ONE}.jpg", "10000032", "50414267")


def test_unpacked_tables_serve_too(root: Path):
    packed = root / mimic.SPLIT
    (root / packed.stem).write_bytes(gzip.decompress(packed.read_bytes()))
    packed.unlink()
    assert {row.official_split for row in mimic.read(root, None, quiet).images} == {"validate"}


@pytest.mark.parametrize("column", ["dicom_id", "dicom", "DICOM ID"])
def test_a_dicom_tree_with_its_record_list(tmp_path: Path, column: str):
    (tmp_path / STUDY).mkdir(parents=True)
    (tmp_path / STUDY / f"{ONE}.dcm").touch()
    lines = [f"10000032,50414267,{each},{STUDY}/{each}.dcm" for each in (ONE, TWO, GONE)]
    write_table(tmp_path / mimic.RECORDS, f"subject_id,study_id,{column},path", *lines)
    found = mimic.read(tmp_path, None, quiet)
    assert mimic.recognises(tmp_path)
    assert ([row.image_id for row in found.images], found.missing) == ([ONE], 2)


def test_a_record_list_without_identifiers_is_named(tmp_path: Path):
    (tmp_path / STUDY).mkdir(parents=True)
    (tmp_path / STUDY / f"{ONE}.dcm").touch()
    write_table(tmp_path / mimic.RECORDS, "subject_id,study_id,path", f"10000032,50414267,{STUDY}/{ONE}.dcm")
    with pytest.raises(DatasetError, match=r"cxr-record-list\.csv\.gz: no column"):
        mimic.read(tmp_path, None, quiet)


def test_the_list_of_file_names_counts_what_is_missing(tmp_path: Path):
    (tmp_path / STUDY).mkdir(parents=True)
    (tmp_path / STUDY / f"{ONE}.jpg").touch()
    (tmp_path / "IMAGE_FILENAMES").write_text("".join(f"{STUDY}/{each}.jpg\n" for each in (ONE, TWO)))
    assert mimic.read(tmp_path, None, quiet).missing == 1


def test_one_dicom_id_twice_is_an_error_that_names_both(root: Path):
    (root / STUDY / f"{ONE}.dcm").touch()
    with pytest.raises(DuplicateIdError, match=rf"{ONE}\.dcm and .*{ONE}\.jpg"):
        mimic.read(root, None, quiet)


def test_what_is_no_image_of_the_layout_is_left_out(root: Path):
    for name in ("index.html", ".hidden.jpg", "robots.txt"):
        (root / STUDY / name).touch()
    (root / "files" / "p10" / "tmp").mkdir()
    (root / STUDY / f"{GONE}.jpg").symlink_to(root / "nowhere.jpg")
    found = mimic.read(root, None, quiet)
    assert (len(found.images), found.missing) == (2, 1)
    assert found.warnings == [f"{root}: 1 links lead nowhere; they are left out"]


def test_the_files_folder_is_not_the_root(root: Path):
    assert mimic.recognises(root / "files")
    with pytest.raises(DatasetError, match="name its parent") as error:
        mimic.read(root / "files", None, quiet)
    assert error.value.code == "not-the-root"


def test_tables_without_any_image_are_an_error(tmp_path: Path, root: Path):
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / mimic.SPLIT).write_bytes((root / mimic.SPLIT).read_bytes())
    with pytest.raises(DatasetError) as error:
        mimic.read(empty, None, quiet)
    assert error.value.code == "no-images"


def test_a_cut_off_or_wrong_table_is_an_error_that_names_it(root: Path):
    whole = (root / mimic.SPLIT).read_bytes()
    (root / mimic.SPLIT).write_bytes(whole[:-12])
    with pytest.raises(DatasetError, match=r"split\.csv\.gz.*download or save it again") as error:
        mimic.read(root, None, quiet)
    assert error.value.code == "bad-table"
    write_table(root / mimic.SPLIT, "dicom_id,split", f"{ONE},val")
    with pytest.raises(DatasetError, match="'val'; use the published file"):
        mimic.read(root, None, quiet)
    write_table(root / mimic.SPLIT, "dicom_id,fold", f"{ONE},1")
    with pytest.raises(DatasetError, match=r"split\.csv\.gz: no column split") as error:
        mimic.read(root, None, quiet)
    assert error.value.code == "missing-column"


@pytest.mark.parametrize(
    ("name", "columns", "line"),
    [
        (mimic.METADATA, "dicom_id,ViewPosition,Rows", f"{ONE},AP,tall"),
        (mimic.METADATA, "dicom_id,ViewPosition,StudyTime", f"{ONE},AP,inf"),
        ("mimic-cxr-2.0.0-chexpert.csv.gz", "subject_id,study_id,Edema", "10000032,50414267,yes"),
        ("mimic-cxr-2.0.0-chexpert.csv.gz", "subject_id,study_id,Edema", "10000032,50414267,2.0"),
        ("mimic-cxr-2.0.0-chexpert.csv.gz", "subject_id,study_id,Edema", "10000032,50414267,1.0,1.0"),
    ],
)
def test_a_cell_that_cannot_be_right_is_an_error_that_names_the_table(root: Path, name: str, columns: str, line: str):
    write_table(root / name, columns, line)
    with pytest.raises(DatasetError, match=name) as error:
        list(mimic.read(root, None, quiet).labels)
    assert error.value.code == "bad-table"


def test_quoted_commas_in_a_procedure(root: Path):
    with gzip.open(root / mimic.METADATA, "wt", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(METADATA.split(","))
        writer.writerow([ONE, 1, 2, "CHEST, SINGLE VIEW", "AP", "3056.0", "2544.0", "21800506.0", "0.0", "", "", ""])
    row = mimic.read(root, None, quiet).images[0]
    assert (row.procedure, row.rows, row.study_date, row.study_time) == (
        "CHEST, SINGLE VIEW",
        3056,
        "21800506",
        "000000",
    )
