"""Data sets other than MIMIC-CXR: tiny trees in their published forms."""

import json
from pathlib import Path

import pytest
from lrrg.pipelines.adapters import ADAPTERS, DatasetError, DuplicateIdError
from lrrg.pipelines.adapters.base import Dataset
from lrrg.pipelines.catalog.stage import adapter_of
from lrrg.pipelines.records import LabelRow
from lrrg.tests.quiet import quiet


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def read(root: Path, name: str) -> Dataset:
    adapter = adapter_of(root)
    assert adapter.name == name
    return adapter.read(root, None, quiet)


def rows(found: Dataset, *fields: str) -> dict[str, tuple[object, ...]]:
    return {image.image_id: tuple(getattr(image, field) for field in fields) for image in found.images}


XML = """<?xml version="1.0" encoding="utf-8"?>
<eCitation><uId id="CXR1"/><MedlineCitation><Article><Abstract>
<AbstractText Label="COMPARISON">None.</AbstractText><AbstractText Label="INDICATION"/>
<AbstractText Label="FINDINGS">Low lung
   volumes.</AbstractText><AbstractText Label="IMPRESSION">No XXXX.</AbstractText>
</Abstract></Article></MedlineCitation>
<MeSH><major>Opacity/lung/base/left</major><major>Opacity/lung/upper lobe</major>
<major>Technical Quality of Image Unsatisfactory </major></MeSH>
<parentImage id="CXR1_1_IM-0001-3001"/><parentImage id="CXR1_1_IM-0001-4001"/></eCitation>"""


def test_iu_xray_as_published(tmp_path: Path):
    touch(tmp_path, "ecgen-radiology/1.xml", "png/CXR1_1_IM-0001-3001.png", "png/CXR9_IM-2407-1001.png")
    (tmp_path / "ecgen-radiology/1.xml").write_text(XML)
    found = read(tmp_path, "IU X-ray")
    assert rows(found, "subject_id", "study_id") == {
        "png/CXR1_1_IM-0001-3001": ("CXR1", "CXR1"),
        "png/CXR9_IM-2407-1001": (None, None),
    }
    (report,) = found.reports
    assert (report.findings, report.impression, report.indication) == ("Low lung volumes.", "No XXXX.", None)
    assert {label.finding for label in found.labels} == {"Opacity", "Technical Quality of Image Unsatisfactory"}
    assert found.missing == 1
    assert found.warnings == [f"{tmp_path}: 1 images are in no table; they are catalogued without details"]


def test_iu_xray_as_kaggle_packs_it(tmp_path: Path):
    folder = "images/images_normalized"
    touch(tmp_path, *(f"{folder}/{name}.dcm.png" for name in ("1_IM-0001-3001", "1_IM-0001-4001")))
    (tmp_path / "indiana_reports.csv").write_text(
        "uid,MeSH,Problems,image,indication,comparison,findings,impression\n"
        '1,normal,normal,Xray Chest PA and Lateral,Positive TB test,None.,"Clear, no effusion.",Normal chest x-XXXX.\n'
    )
    (tmp_path / "indiana_projections.csv").write_text(
        "uid,filename,projection\n1,1_IM-0001-4001.dcm.png,Frontal\n1,1_IM-0001-3001.dcm.png,Lateral\n"
    )
    found = read(tmp_path, "IU X-ray")
    assert rows(found, "study_id", "view_position") == {
        f"{folder}/1_IM-0001-4001.dcm": ("CXR1", "FRONTAL"),
        f"{folder}/1_IM-0001-3001.dcm": ("CXR1", "LATERAL"),
    }
    (report,) = found.reports
    assert (report.findings, report.indication) == ("Clear, no effusion.", "Positive TB test")
    assert list(found.labels) == [LabelRow("CXR1", "mesh", "normal", 1)]


def write_chexpert(root: Path) -> None:
    columns = (
        "path_to_image,path_to_dcm,frontal_lateral,ap_pa,deid_patient_id,patient_report_date_order,report,"
        "section_narrative,section_clinical_history,section_history,section_comparison,section_technique,"
        "section_findings,section_impression,split"
    )
    study = "patient00001/study1"
    texts = 'patient00001,1,all,,"Fever, cough",,None,,Clear.,1. Normal,train'
    lines = [
        f"train/{study}/view1_frontal.jpg,x.dcm,Frontal,AP,{texts}",
        f"train/{study}/view2_lateral.jpg,x.dcm,Lateral,,{texts}",
        "valid/patient64541/study1/view1_frontal.jpg,x.dcm,Frontal,PA,patient64541,1,all,,,Pain,,,,2,valid",
    ]
    (root / "df_chexpert_plus_240401.csv").write_text("\n".join((columns, *lines)) + "\n")
    labels = {"path_to_image": f"train/{study}/view1_frontal.jpg", "Edema": None, "No Finding": 1.0, "Fracture": -1.0}
    (root / "report_fixed.json").write_text(json.dumps(labels) + "\n")


def test_chexpert_plus(tmp_path: Path):
    write_chexpert(tmp_path)
    touch(tmp_path, *(f"PNG/PNG/train/patient00001/study1/{name}.png" for name in ("view1_frontal", "view2_lateral")))
    touch(tmp_path, "PNG/PNG/valid/patient64541/study1/view1_frontal.png")
    found = read(tmp_path, "CheXpert Plus")
    assert [
        tuple(each)[1:] for each in rows(found, "path", "study_id", "view_position", "official_split").values()
    ] == [
        ("patient00001/study1", "AP", "train"),
        ("patient00001/study1", "LATERAL", "train"),
        ("patient64541/study1", "PA", "validate"),
    ]
    one, two = found.reports
    assert (one.findings, one.impression, one.history, one.technique) == ("Clear.", "1. Normal", "Fever, cough", None)
    assert (two.study_id, two.findings, two.history) == ("patient64541/study1", None, "Pain")
    study = "patient00001/study1"
    assert set(found.labels) == {
        LabelRow(study, "chexbert", "No Finding", 1),
        LabelRow(study, "chexbert", "Fracture", -1),
    }


@pytest.mark.parametrize("content", [b'{"path_to_image": "train/p/s/v.jpg", "Edema": "yes"}', b"{", b"{}", b"\xff"])
def test_labels_that_cannot_be_right_name_their_file(tmp_path: Path, content: bytes):
    write_chexpert(tmp_path)
    touch(tmp_path, "PNG/train/patient00001/study1/view1_frontal.png")
    (tmp_path / "report_fixed.json").write_bytes(content)
    with pytest.raises(DatasetError, match=r"report_fixed\.json") as error:
        read(tmp_path, "CheXpert Plus")
    assert error.value.code == "bad-table"


def test_the_same_image_as_png_and_dicom_is_an_error_that_names_both(tmp_path: Path):
    write_chexpert(tmp_path)
    image = "train/patient00001/study1/view1_frontal"
    touch(tmp_path, f"PNG/{image}.png", f"DICOM/{image}.dcm")
    with pytest.raises(DuplicateIdError, match=f"DICOM/{image} and PNG/{image}"):
        read(tmp_path, "CheXpert Plus")


def test_padchest(tmp_path: Path):
    touch(tmp_path, "0/100_a.png", "1/101_b.png")
    (tmp_path / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv").write_text(
        ",ImageID,ImageDir,StudyDate_DICOM,StudyID,PatientID,Projection,Rows_DICOM,Columns_DICOM,Report,Labels\n"
        "0,100_a.png,0,20140915,S1,P1,AP_horizontal,1728.0,1872.0, sin hallazg .,\"['suboptimal study', ' normal']\"\n"
        "1,101_b.png,1,20140915,S1,P1,L,None,None, sin hallazg .,\"['normal']\"\n"
        "2,102_c.png,1,20150914,S2,P1,UNK,1,1,x .,nan\n"
    )
    found = read(tmp_path, "PadChest")
    assert rows(found, "study_id", "view_position", "rows", "orientation") == {
        "0/100_a": ("S1", "AP", 1728, "Recumbent"),
        "1/101_b": ("S1", "LATERAL", None, None),
    }
    assert found.missing == 1
    assert [report.last_paragraph for report in found.reports] == ["sin hallazg ."]
    assert [label.finding for label in found.labels] == ["normal", "suboptimal study"]


def write_rexgradient(root: Path, views: list[str]) -> str:
    image = "deid_png/GRDNP/GRDNA/studies/1.2/series/{}/instances/9.png"
    record = {"ImagePath": [f"../{image.format(n)}" for n in (1, 2)], "ImageViewPosition": views}
    record |= {"Findings": "Clear.\nNo effusion.", "Impression": None, "Indication": "Cough", "StudyDate": "20100101"}
    (root / "metadata").mkdir()
    name = "metadata/valid_metadata_view_position.json"
    (root / name).write_text(json.dumps({"pGRDNP_aGRDNA_s1.2": record}))
    return image


def test_rexgradient(tmp_path: Path):
    image = write_rexgradient(tmp_path, ["POSTERO_ANTERIOR", "LATERAL"])
    touch(tmp_path, image.format(1), image.format(2))
    found = read(tmp_path, "ReXGradient-160K")
    assert list(rows(found, "subject_id", "study_id", "view_position", "official_split").values()) == [
        ("GRDNP", "pGRDNP_aGRDNA_s1.2", "PA", "validate"),
        ("GRDNP", "pGRDNP_aGRDNA_s1.2", "LATERAL", "validate"),
    ]
    (report,) = found.reports
    assert (report.findings, report.impression, report.indication) == ("Clear. No effusion.", None, "Cough")


def test_rexgradient_with_too_few_views_names_the_study(tmp_path: Path):
    touch(tmp_path, write_rexgradient(tmp_path, ["PA"]).format(1))
    with pytest.raises(DatasetError, match="study pGRDNP_aGRDNA_s1") as error:
        read(tmp_path, "ReXGradient-160K")
    assert error.value.code == "missing-column"


def test_rexgradients_table_that_is_not_utf_8_is_named(tmp_path: Path):
    write_rexgradient(tmp_path, ["PA"])
    table = tmp_path / "metadata/valid_metadata_view_position.json"
    table.write_bytes('{"größer": {}}'.encode("latin-1"))
    touch(tmp_path, "deid_png/a.png")
    with pytest.raises(DatasetError, match=r"valid_metadata_view_position\.json: no JSON"):
        read(tmp_path, "ReXGradient-160K")


def test_a_table_without_images_and_reports_from_elsewhere_are_refused(tmp_path: Path):
    write_chexpert(tmp_path)
    for reports, code in ((None, "no-images"), (tmp_path, "bad-reports")):
        with pytest.raises(DatasetError) as error:
            adapter_of(tmp_path).read(tmp_path, reports, quiet)
        assert error.value.code == code


def test_any_other_folder_has_an_adapter_and_it_is_asked_last(tmp_path: Path):
    assert adapter_of(tmp_path) is ADAPTERS[-1]


def test_a_table_of_ones_own_brings_studies_reports_and_splits(tmp_path: Path):
    touch(tmp_path, "a/one.png", "a/two.png", "three.jpg", "four.png")
    (tmp_path / "lrrg.csv").write_text(
        "image,study_id,subject_id,view_position,split,study_date,findings,impression\n"
        'a/one.png,s1,p1,pa,val,2180-05-06,"Lungs are clear, no  effusion.",Normal.\n'
        "a/two.png,s1,p1,lateral,val,2180-05-06,,\n"
        "three.jpg,s2,,AP,,,,\n"
        "gone.png,s3,p3,AP,test,,Edema.,\n"
    )
    found = read(tmp_path, "own table")
    assert rows(found, "study_id", "subject_id", "view_position", "official_split", "study_date") == {
        "a/one": ("s1", "p1", "PA", "validate", "21800506"),
        "a/two": ("s1", "p1", "LATERAL", "validate", "21800506"),
        "three": ("s2", None, "AP", None, None),
        "four": (None, None, None, None, None),
    }
    (report,) = found.reports
    assert (report.study_id, report.findings) == ("s1", "Lungs are clear, no effusion.")
    assert found.missing == 1
    assert len(found.warnings) == 1


@pytest.mark.parametrize(
    ("time", "stored"),
    [("08:05", "080500"), ("8:05:56", "080556"), ("08:05:56.25", "080556"), ("80556.875", "080556"), ("", None)],
)
def test_a_table_of_ones_own_may_write_times_as_people_do(tmp_path: Path, time: str, stored: str | None):
    touch(tmp_path, "a.png")
    (tmp_path / "lrrg.csv").write_text(f"image,study_id,study_date,study_time\na.png,s,2180-05-06,{time}\n")
    (row,) = read(tmp_path, "own table").images
    assert (row.study_date, row.study_time) == ("21800506", stored)


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("image,subject_id\n", "missing-column"),
        ("image,study_id,split\na,s,dev\n", "bad-table"),
        ("image,study_id,study_date\na,s,06/05/2180\n", "bad-table"),
        ("image,study_id,study_date\na,s,2180-13-05\n", "bad-table"),
        ("image,study_id,study_time\na,s,noon\n", "bad-table"),
        ("image,study_id,study_time\na,s,25:00\n", "bad-table"),
        ("image,study_id,study_time\na,s,inf\n", "bad-table"),
        ("study_id,image\ns\n", "bad-table"),
        ("image,study_id\na.png,s,PA\n", "bad-table"),
        ("image;study_id\na.png;s\n", "missing-column"),
        ("image,study_id\na.png,s\na.png,t\n", "bad-table"),
    ],
)
def test_a_table_of_ones_own_that_is_wrong_is_named(tmp_path: Path, line: str, code: str):
    touch(tmp_path, "a.png")
    (tmp_path / "lrrg.csv").write_text(line)
    with pytest.raises(DatasetError, match=r"lrrg\.csv") as error:
        read(tmp_path, "own table")
    assert error.value.code == code


def test_a_table_that_is_not_utf_8_says_what_to_do(tmp_path: Path):
    touch(tmp_path, "a.png")
    (tmp_path / "lrrg.csv").write_bytes("image,study_id,findings\na.png,s,größer\n".encode("latin-1"))
    with pytest.raises(DatasetError, match=r"lrrg\.csv: not UTF-8 .*; save it as UTF-8"):
        read(tmp_path, "own table")


def test_a_misspelt_column_is_not_passed_over_in_silence(tmp_path: Path):
    touch(tmp_path, "a.png")
    (tmp_path / "lrrg.csv").write_text("image,study_id,view,report\na.png,s,PA,Clear.\n")
    (warning,) = read(tmp_path, "own table").warnings
    assert "lrrg.csv: not read: column view, report; what is read is image, study_id, " in warning


def test_a_study_with_two_different_reports_is_told(tmp_path: Path):
    touch(tmp_path, "a.png", "b.png", "c.png")
    (tmp_path / "lrrg.csv").write_text("image,study_id,findings\na.png,s,One.\nb.png,s,Two.\nc.png,t,One.\n")
    found = read(tmp_path, "own table")
    assert {report.study_id: report.findings for report in found.reports} == {"s": "One.", "t": "One."}
    assert found.warnings == [f"{tmp_path}: 1 studies have several reports, e.g. s; the first one is kept"]


@pytest.mark.parametrize("labels", ["['nodule'", "[nodule]"])
def test_a_cell_that_cannot_be_right_names_its_table(tmp_path: Path, labels: str):
    touch(tmp_path, "0/a.png")
    table = tmp_path / "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
    table.write_text(f"ImageID,StudyID,PatientID,Projection,Report,Labels\na.png,s,p,PA,Clear.,{labels}\n")
    with pytest.raises(DatasetError, match=r"01\.02\.19\.csv: a cell cannot be right") as error:
        read(tmp_path, "PadChest")
    assert error.value.code == "bad-table"
