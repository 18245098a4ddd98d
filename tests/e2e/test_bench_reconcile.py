"""The rule between judge and tools against defects that were put in, with a scripted judge."""

import csv
import hashlib
from pathlib import Path
from typing import Any

import cv2
import pytest
from lrrg.agent.faults import JudgeUnavailable
from lrrg.agent.policy import Policy, Regimes
from lrrg.agent.policy import load as read_policy
from lrrg.agent.reconcile import Bounds
from lrrg.agent.rows import Judged
from lrrg.agent.scores import Score
from lrrg.agent.state import ASPECTS, ImageRef
from lrrg.benchmark.phantom import phantom
from lrrg.pipelines.bench.reconcile import DEFECTS, Case, Heard, bench_reconcile, found
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.films import LabelledFilm
from lrrg.pipelines.settings import load
from lrrg.pipelines.view import progress
from lrrg.tests.oracle import grades
from lrrg.tests.scripted import Act, fails, serving, tells
from lrrg.tools.depth import to_eight_bit

PATIENTS = {
    told: [f"p{k}" for k in range(40) if (hashlib.sha256(f"p{k}".encode()).digest()[0] & 1) == told] for told in (0, 1)
}


def sure(grade: int, share: float = 1.0) -> Score:
    """So much of the probability on a grade, the rest on the other end."""
    left = [0.0] * 4
    left[0 if grade else 3] = 1 - share
    left[grade] += share
    return Score(tuple(left))


def heard(patient: str, truth: int, tools: int, judge: Score) -> Heard:
    """A film whose positioning is as bad as `truth`, with what tools and judge say of that; else all is well."""
    film = LabelledFilm(Path("film.png"), "source", patient, "PA", "good")
    said = {**dict.fromkeys(ASPECTS, sure(0)), "positioning": judge}
    case = Case(ImageRef("film", "film.png"), film, "positioning" if truth else "", truth)
    return Heard(case, {**dict.fromkeys(ASPECTS, 0), "positioning": tools}, said, {})


def errors(told: Any, half: str) -> dict[str, tuple[float, float]]:
    return {row["who"]: (row["spoiled"], row["sound"]) for row in told.errors if row["half"] == half}


def test_the_numbers_are_chosen_on_one_half_and_reported_on_the_other():
    """Where patients are not reported on, a judge that is 0.9 sure is right; where they are, it is wrong."""
    right = [heard(patient, 3, 0, sure(3, 0.9)) for patient in PATIENTS[0]]
    calm = [heard(patient, 0, 0, sure(3, 0.7)) for patient in PATIENTS[0]]
    wrong = [heard(patient, truth, truth, sure(3 - truth, 0.9)) for patient in PATIENTS[1] for truth in (0, 3)]
    told = found([*right, *calm, *wrong])
    assert told.fitted == Bounds(), "the written numbers do as well as any"
    fitting, reporting = errors(told, "fitting"), errors(told, "reporting")
    assert fitting["tools"] == (3.0, 0.0)
    assert fitting["rule as written"] == (0.0, 0.0)
    assert fitting["judge"][1] > 0
    assert reporting["tools"] == (0.0, 0.0)
    assert reporting["rule as written"][1] > 0
    (row,) = (row for row in told.rulings if row["rule"] == "rule as written" and row["by"] == "judge")
    assert (row["nearer"], row["farther"], row["aspects"]) == (0, len(PATIENTS[1]), len(PATIENTS[1]))
    assert sum(row["aspects"] for row in told.rulings[:4]) == len(wrong) * len(ASPECTS)


def test_other_numbers_are_taken_where_they_are_better():
    doubtful = [heard(patient, 0, 0, sure(3, 0.85)) for patient in PATIENTS[0]]
    certain = [heard(patient, 3, 0, sure(3, 0.97)) for patient in PATIENTS[0]]
    told = found([*doubtful, *certain, heard(PATIENTS[1][0], 3, 3, sure(3)), heard(PATIENTS[1][0], 0, 0, sure(0))])
    assert told.fitted.sure > 0.85
    assert errors(told, "fitting")["rule as fitted"] == (0.0, 0.0)


def fitted_to_another_judge(path: Path) -> Path:
    """A policy that would have every film of that judge's noisy."""
    section = Judged(
        model="other",
        prompt_sha256="ab",
        temperatures={},
        shifts={"noise": 50.0},
        bias=0.0,
        tools=1.0,
        weights={},
        regimes=Regimes(low=0.4, high=0.7),
    )
    path.write_text(Policy(**{**dict(read_policy("standard.v1")), "judge": section}).text())
    return path


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A good film in each half of the patients."""
    with (tmp_path / "manifest.csv").open("w", newline="") as stream:
        lines = csv.writer(stream)
        lines.writerow(("file", "patient", "view", "apparent_quality"))
        for half, patients in PATIENTS.items():
            cv2.imwrite(str(tmp_path / f"north_{half}.png"), to_eight_bit(phantom(half, height=400).stored))
            lines.writerow((f"north_{half}.png", patients[0], "PA", "good"))
    return tmp_path


@pytest.mark.parametrize(("act", "error"), [(fails(404), JudgeUnavailable), (fails(400), SettingsError)])
def test_a_judge_that_is_no_use_ends_the_bench(films: Path, act: Act, error: type[Exception]):
    with serving(act) as server, pytest.raises(error):
        bench_reconcile(films, load(annotate={"workers": 1}, judge={"urls": (server.url,)}), 5, progress)


def test_every_defect_of_every_film_is_asked_about(films: Path, tmp_path: Path):
    letters = grades(positioning=3)
    unsure = tells(*((each, {each: 0.9, "1": 0.1} if each.isdecimal() else {each: 1.0}) for each in letters))
    with serving(unsure) as server:
        judge, policy = {"urls": (server.url,)}, str(fitted_to_another_judge(tmp_path / "policy.json"))
        settings = load(agent={"policy": policy}, annotate={"workers": 1}, judge=judge)
        told = bench_reconcile(films, settings, 5, progress)
    assert len(server.asked) == 2 * (1 + len(DEFECTS))
    assert {row["films"] for row in told.errors} == {1 + len(DEFECTS)}
    # The judge says positioning 3 of every film and nothing else; positioning is spoiled in the turned ones alone.
    films, turned = 1 + len(DEFECTS), len({"tilt", "inversion"})
    sound = films * len(ASPECTS) - len(DEFECTS)
    assert errors(told, "reporting")["judge"][1] == pytest.approx(3 * (films - turned) / sound, abs=1e-3)


def test_without_a_judge_there_is_nothing_to_settle(tmp_path: Path):
    with pytest.raises(SettingsError, match="--judge URL"):
        bench_reconcile(tmp_path, load(), 5, progress)
