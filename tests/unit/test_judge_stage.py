import csv
import json
from pathlib import Path

import cv2
import pytest
from lrrg.agent.state import ASPECTS
from lrrg.benchmark.phantom import phantom
from lrrg.pipelines.calibrate.file import read_calibration
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.films import LabelledFilm, labelled_films
from lrrg.pipelines.finetune.judge.accuracy import accuracy
from lrrg.pipelines.finetune.judge.bases import bases
from lrrg.pipelines.finetune.judge.evaluate import MIXED
from lrrg.pipelines.finetune.judge.model import Judge, answer
from lrrg.pipelines.finetune.judge.parity import parity
from lrrg.pipelines.finetune.judge.plain import Plain
from lrrg.pipelines.finetune.judge.stage import Plan, make_judge
from lrrg.pipelines.finetune.judge.train import Schedule
from lrrg.pipelines.serving.models import COMPACT
from lrrg.pipelines.settings import ReadSettings, load
from lrrg.pipelines.view import progress
from lrrg.tools.depth import to_eight_bit
from lrrg.tools.film import Film
from lrrg.tools.looks import looks

READ = ReadSettings()
SHORT = Schedule(eyes=1, whole=1, batch=4, compiled=False)


def halves(number, *, reporting):
    """Names of patients of one half."""
    names = (f"p{index}" for index in range(1000))
    film = LabelledFilm(Path("x"), "x", "", "PA", "good")
    return [name for name in names if film._replace(patient=name).reporting == reporting][:number]


def drawn(folder, patients):
    """A film a patient, of two sources in turn; the last one is low."""
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["file", "patient", "view", "apparent_quality"])
        writer.writeheader()
        for index, patient in enumerate(patients):
            name = f"{'alpha' if index % 2 else 'beta'}_{index}.png"
            cv2.imwrite(str(folder / name), to_eight_bit(phantom(index, height=240).stored))
            label = "low" if index == len(patients) - 1 else "good"
            writer.writerow({"file": name, "patient": patient, "view": "PA", "apparent_quality": label})
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Sixteen patients to train on, two of the other half."""
    patients = [*halves(16, reporting=False), *halves(2, reporting=True)]
    return drawn(tmp_path_factory.mktemp("films"), patients)


@pytest.fixture(scope="module")
def made(root, tmp_path_factory):
    plan = Plan(spoiled=40, phantoms=0, hold_out="alpha", schedule=SHORT)
    return make_judge(root, tmp_path_factory.mktemp("judge"), plan, READ, progress)


def test_with_a_source_held_out_all_patients_of_the_others_teach_and_none_of_its_own(root, made):
    told = json.loads((made.folder / "patients.json").read_text())
    beta = {film.patient for film in labelled_films(root) if film.source == "beta"}
    assert told["hold_out"] == "alpha"
    assert {*told["train"], *told["validate"]} == beta
    assert any(film.reporting for film in labelled_films(root) if film.source == "beta")
    assert not set(told["train"]) & set(told["validate"])


def test_without_one_no_patient_of_the_reporting_half_teaches(root):
    found = bases(root, READ)
    assert {film.patient for film in found} == {film.patient for film in labelled_films(root) if not film.reporting}
    assert {film.part for film in found} == {"train", "validate"}


@pytest.mark.slow
def test_the_figures_are_on_films_that_training_left_out(root, made):
    told = accuracy(root, made.folder, READ, progress, draws=20)
    alpha = [film for film in labelled_films(root) if film.source == "alpha" and film.label == "good"]
    both = next(row for row in told["aspects"] if row["aspect"] == "noise" and row["domain"] == "both")
    assert both["views"] == 2 * MIXED * len(alpha)
    assert {(row["aspect"], row["domain"]) for row in told["ladders"]} == {
        (aspect, domain) for aspect in ASPECTS for domain in ("both", "presentation", "equalised")
    }
    assert {row["defect"] for row in told["unseen"]} == {"electronic_noise", "scatter", "low_resolution", "cut_off"}


def test_too_few_films_and_unknown_sources_are_refused(root, tmp_path):
    with pytest.raises(SettingsError, match="no source 'gamma'"):
        make_judge(root, tmp_path, Plan(spoiled=1, phantoms=0, hold_out="gamma", schedule=SHORT), READ, progress)
    few = drawn(tmp_path, halves(3, reporting=False))
    with pytest.raises(SettingsError, match="fewer than"):
        make_judge(few, tmp_path, Plan(spoiled=1, phantoms=0, schedule=SHORT), READ, progress)


def test_a_folder_without_a_judge_is_named_before_any_film_is_spoiled(root, tmp_path):
    with pytest.raises(SettingsError, match=r"DIR: no model; name the folder `model`"):
        Plain(tmp_path / "DIR")
    plan = Plan(spoiled=1, phantoms=0, hold_out="alpha", schedule=SHORT)
    with pytest.raises(SettingsError, match="no model"):
        make_judge(root, tmp_path / "out", plan, READ, progress, start=tmp_path)
    assert not (tmp_path / "out").exists()


def test_there_is_nothing_to_compare_a_server_on_without_films(tmp_path):
    drawn(tmp_path, [])
    with pytest.raises(SettingsError, match="list no film"):
        parity(tmp_path, None, "http://127.0.0.1:9/v1", load(), 9, progress)


def test_the_shipped_judge_is_small_and_writes_its_form_unasked():
    assert (COMPACT / "model.safetensors").stat().st_size < 12_000_000
    chest = to_eight_bit(phantom(3, height=900).stored)
    pictures = [look.pixels for look in looks(Film(chest), 168, 140)]
    (said,) = Plain(COMPACT).say([pictures])
    assert said.text == answer(list(said.grades.argmax(1)))


def test_the_shipped_judge_never_saw_the_reporting_half(films_root):
    told = json.loads((COMPACT / "patients.json").read_text())
    reporting = {film.patient for film in labelled_films(films_root) if film.reporting}
    assert reporting
    assert not reporting & {*told["train"], *told["validate"]}
    assert told["hold_out"] is None
    assert set(read_calibration(COMPACT / "calibration.json")) == set(json.loads(answer([0] * 6)))
    assert Judge.load(COMPACT).layout.prompt > 0
