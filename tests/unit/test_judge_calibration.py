"""What a judge is worth beside the tools, on made-up films and scores whose truth is known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lrrg.agent.policy import Policy, assess, combine, load
from lrrg.agent.scores import Calibration, Score
from lrrg.agent.state import ASPECTS, Assessment
from lrrg.benchmark.statistics import auroc
from lrrg.pipelines.calibrate.check import calibration, cost, finding, gain, reliability
from lrrg.pipelines.calibrate.file import Calibrations, read_calibration, write_calibration
from lrrg.pipelines.calibrate.films import Asked, Sample, patients_of, unseen
from lrrg.pipelines.calibrate.fit import Join, by_patient, by_source, section
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.examples import Example
from lrrg.pipelines.films import LabelledFilm

TOOL = "contrast.coarse"
"""The one measure these films have; less is worse."""
(USUAL,) = (
    row
    for row in load("standard.v1").reference
    if (row.measure, row.domain, row.group) == (TOOL, "equalised", "frontal")
)
ASKED = Asked({"model": "judge", "revision": None, "prompt_sha256": "ab"}, [], 0)
LABELS = ("good", "low", "good", "borderline")


def score(severity: float) -> Score:
    weights = np.exp(-((np.arange(3) - np.clip(severity, 0, 3)) ** 2))
    return Score(tuple((weights / weights.sum()).tolist()))


def samples(tools: float, judge: float, count: int = 144, seed: int = 0) -> list[Sample]:
    """Films of two sources, two a patient; tools and judge tell low ones by so many standard deviations."""
    rng = np.random.default_rng(seed)
    found = []
    for k in range(count):
        label, source = LABELS[k // 2 % 4], ("north", "south")[k // 8 % 2]
        badness = {"good": 0.0, "borderline": 0.5, "low": 1.0}[label]
        film = LabelledFilm(Path(f"{k}.png"), source, f"patient {k // 2}", "PA", label)
        measures = {TOOL: float(np.exp(USUAL.median + USUAL.scale * (rng.normal() - tools * badness)))}
        noise = {aspect: score(1.5 + 0.6 * rng.normal()) for aspect in ASPECTS}
        seen = {"positioning": score(1.5 + 0.6 * (rng.normal() + judge * badness))}
        found.append(Sample(Example(film, "equalised", measures), {**noise, **seen}))
    return found


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load("standard.v1")


@pytest.mark.parametrize("refit", [True, False])
def test_a_judge_that_sees_more_adds_to_the_tools(policy: Policy, refit: bool):
    films, join = samples(1.5, 1.5), Join(None if refit else policy)
    held = by_patient(films, join)
    assert finding(held).startswith("The judge adds to the tools: AUROC +0.")
    (everything, *rest) = gain(held, {"south": found} if (found := by_source(films, "south", join)) else {})
    assert everything["tools"] + 0.02 < everything["agent"]
    assert [row["films"] for row in rest] == ["equalised", "others -> south"]
    assert rest[1]["agent"] > rest[1]["tools"]
    made = section(ASKED, films, held, join)
    assert made.weights["positioning"] > 5 * max(w for aspect, w in made.weights.items() if aspect != "positioning")
    assert (made.model, made.revision, made.prompt_sha256) == ("judge", None, "ab")


def test_a_judge_that_guesses_adds_nothing_and_that_is_said(policy: Policy):
    held = by_patient(samples(2.0, 0.0), Join(policy))
    assert finding(held).startswith("The judge does not measurably add to the tools: AUROC ")
    (row, *_) = gain(held, {})
    low, _, high = row["agent - tools 95 %"].split()
    assert float(low) <= 0 <= float(high)


def test_labels_without_a_cause_cannot_be_predicted():
    """Whatever leaks from a film into the fit that judges it would show here."""
    areas = []
    for seed in range(2):
        held = by_patient(samples(0.0, 0.0, count=96, seed=seed), Join(None))
        clear = [each.film.label != "borderline" for each in held.films]
        low = np.array([each.film.label == "low" for each in held.films])[clear]
        areas.append([auroc(-quality[clear], low) for quality in held.quality.values()])
    assert np.all(np.abs(np.mean(areas, axis=0) - 0.5) < 0.13)


def test_a_held_out_source_teaches_nothing_not_even_through_other_films_of_it():
    films = samples(1.5, 1.0)
    wrong = [each._replace(label="good" if each.label == "low" else "low") for each in (s.example.film for s in films)]
    swapped = tuple(
        each.example._replace(film=film._replace(patient=f"other {film.patient}"))
        for each, film in zip(films, wrong, strict=True)
    )
    south = tuple(each for each in swapped if each.film.source == "south")
    north = tuple(each for each in swapped if each.film.source == "north")
    plain = by_source(films, "south", Join(None))
    assert plain is not None
    for others, same in ((south, True), (north, False)):
        found = by_source(films, "south", Join(None, others))
        assert found is not None
        assert np.array_equal(found.quality["tools"], plain.quality["tools"]) == same


def test_the_section_gives_the_policy_the_fitted_quality(policy: Policy):
    films, join = samples(1.5, 2.0), Join(policy, calibration={"positioning": Calibration(1.7, -0.4)})
    made = section(ASKED, films, by_patient(films, join), join)
    joined = Policy(**{**dict(policy), "judge": made})
    assert (made.temperatures, made.shifts) == ({"positioning": 1.7}, {"positioning": -0.4})
    worse = [_combined(joined, each).quality for each in films]
    low = [each.example.film.label == "low" for each in films]
    clear = [each.example.film.label != "borderline" for each in films]
    assert auroc(-np.array(worse)[clear], np.array(low)[clear]) > 0.9
    regimes = {(each.example.film.label, _combined(joined, each).regime) for each in films}
    assert {("good", "high"), ("low", "low")} <= regimes


def _combined(policy: Policy, sample: Sample) -> Assessment:
    tools = assess(policy, sample.example.measures, sample.example.domain, sample.example.film.view)
    return combine(policy, replace(tools, severities={}), sample.scores)


def test_the_cost_curve_runs_from_tools_to_agent_and_uncertain_films_pay_most(policy: Policy):
    held = by_patient(samples(1.5, 1.5), Join(policy))
    curve, (row, *_) = cost(held), gain(held, {})
    assert (curve[0]["AUROC"], curve[-1]["AUROC"]) == (row["tools"], row["agent"])
    assert [each["films judged"] for each in curve] == [round(108 * each["share judged"]) for each in curve]
    half = next(each for each in curve if each["share judged"] == 0.5)
    assert half["AUROC"] > half["AUROC in random order"]


def test_probabilities_are_compared_with_what_was_true(policy: Policy):
    held = by_patient(samples(1.5, 2.0), Join(policy))
    rows = {row["who"]: row for row in calibration(held)}
    assert rows["agent"]["Brier"] < rows["tools"]["Brier"] < 0.25
    for who, row in rows.items():
        bins = [each for each in reliability(held) if each["who"] == who]
        gaps = [abs(each["quality said"] - each["share good"]) * each["films"] / 108 for each in bins]
        assert row["ECE"] == pytest.approx(sum(gaps), abs=1e-3)
        assert sum(each["films"] for each in bins) == 108
        assert all(each["from"] <= each["quality said"] <= each["from"] + 0.1 for each in bins)
    exaggerated = held._replace(quality={who: np.round(quality) for who, quality in held.quality.items()})
    assert calibration(exaggerated)[2]["Brier"] > rows["agent"]["Brier"]


def test_patients_the_judge_learnt_from_are_left_out(tmp_path: Path):
    path = tmp_path / "patients.json"
    parts = {"train": ["patient 0", "patient 1"], "validate": ["patient 2"], "test": ["patient 3"]}
    path.write_text(json.dumps(parts))
    fresh, learnt = unseen(samples(1, 1, count=12), patients_of(path))
    assert {each.example.film.patient for each in learnt} == {"patient 0", "patient 1", "patient 2"}
    assert len(fresh) + len(learnt) == 12
    assert patients_of(None) == frozenset()
    path.write_text("[1]")
    with pytest.raises(SettingsError, match="no list of a judge's patients"):
        patients_of(path)


def test_the_file_beside_a_judges_weights_comes_back_as_it_was_written(tmp_path: Path):
    path = tmp_path / "calibration.json"
    found: Calibrations = {"noise": Calibration(1.5, -0.2), "blur": Calibration()}
    write_calibration(path, found)
    assert read_calibration(path) == found


@pytest.mark.parametrize("text", ["[1]", '{"noise": 1.5}', '{"noise": {"heat": 2}}', '{"noise": {"temperature": 0}}'])
def test_another_file_is_refused_as_a_calibration(tmp_path: Path, text: str):
    path = tmp_path / "calibration.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"calibration\.json: "):
        read_calibration(path)


def test_too_few_films_are_refused(policy: Policy):
    with pytest.raises(SettingsError, match="4 good and 2 low films"):
        by_patient(samples(1, 1, count=8), Join(policy))


@pytest.mark.parametrize("patients", [{"good": "one", "low": "one"}, {"good": "one", "low": "other"}])
def test_films_of_too_few_patients_to_hold_any_out_are_refused(policy: Policy, patients: dict[str, str]):
    few = [each for each in samples(1.0, 1.0) if each.example.film.label in patients]
    named = [
        each.example._replace(film=each.example.film._replace(patient=patients[each.example.film.label]))
        for each in few
    ]
    with pytest.raises(SettingsError, match="films of more patients"):
        by_patient([each._replace(example=example) for each, example in zip(few, named, strict=True)], Join(policy))
