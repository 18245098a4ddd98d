"""Fitting a policy, on made-up measures whose truth is known."""

from pathlib import Path

import numpy as np
import pytest
from lrrg.agent.policy import Policy, assess
from lrrg.benchmark.ladder import read_ladder
from lrrg.benchmark.statistics import auroc
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.examples import Example, bases
from lrrg.pipelines.films import LabelledFilm
from lrrg.pipelines.policy.check import by_patient, check, check_severities
from lrrg.pipelines.policy.cuts import ALARMS, Ladder, _cuts
from lrrg.pipelines.policy.fit import SURE, fit, fit_policy, set_regimes, without
from lrrg.pipelines.policy.model import fit_model, log_odds, patient_folds
from lrrg.pipelines.policy.plan import FAR, GRADES, MODEL, TRANSFORM, VIEWS, Grade
from lrrg.pipelines.policy.reference import own_reference, reference

DOMAINS = ("presentation", "equalised")
NAMES = sorted({*TRANSFORM, *(grade.measure for grades in GRADES.values() for grade in grades)})
WORSE = {name: each.direction for name, each in MODEL.items()}
QUALITY = "contrast.coarse"
BACKWARDS = "noise.relative"
"""A measure that, in these films, gets better as quality gets worse: a trap for an unconstrained fit."""


def film(k: int, source: str, label: str) -> LabelledFilm:
    return LabelledFilm(Path(f"{source}_{k}.png"), source, f"{source}-{k // 2}", ("AP", "PA", "")[k % 3], label)


def measures(rng: np.random.Generator, badness: float, shift: float) -> dict[str, float]:
    """Log-normal measures about 10; one carries quality, one runs backwards, all move with the source."""
    z = {name: rng.normal() + shift for name in NAMES}
    z[QUALITY] = WORSE[QUALITY] * badness + 0.5 * rng.normal()
    z[BACKWARDS] = -badness + 0.5 * rng.normal()
    return {name: float(np.exp(2.3 + 0.3 * value)) for name, value in z.items()}


def made_films(count: int = 64) -> list[Example]:
    rng = np.random.default_rng(0)
    badness = {"good": 0.0, "borderline": 1.5, "low": 3.0}
    found = []
    for source, shift in (("north", 0.0), ("south", 1.0)):
        for k in range(count):
            label = ("good", "low", "good", "borderline")[k // 2 % 4]
            row = film(k, source, label)
            found += [Example(row, domain, measures(rng, badness[label], shift)) for domain in DOMAINS]
    return found


def made_ladder(films: list[Example]) -> list[Example]:
    """Every grade's measure of a few good films, two standard deviations further off with each severity."""
    found = []
    for each in [each for each in films if each.film.label == "good"][::4]:
        for grade in GRADES[each.domain]:
            for severity in (2, 3, 4, 5):
                moved = each.measures[grade.measure] * np.exp(0.6 * grade.direction * (severity - 1))
                spoiled = {**each.measures, grade.measure: float(moved)}
                found += [Example(each.film, each.domain, spoiled, defect, severity) for defect in grade.defects]
    return found


@pytest.fixture(scope="module")
def films() -> list[Example]:
    return made_films()


@pytest.fixture(scope="module")
def ladder(films: list[Example]) -> list[Example]:
    return made_ladder(films)


@pytest.fixture(scope="module")
def policy(films: list[Example], ladder: list[Example]) -> Policy:
    return fit_policy("made", films, ladder)


def test_no_weight_is_negative_even_where_a_measure_runs_backwards(films: list[Example]):
    model = fit_model([each for each in films if each.domain == "presentation"])
    assert min(model.weights.values()) >= 0
    assert model.weights[BACKWARDS] == 0
    assert max(model.weights, key=model.weights.__getitem__) == QUALITY


def test_log_odds_are_the_policy_s_arithmetic(films: list[Example], ladder: list[Example], policy: Policy):
    model = fit(films, ladder).models["equalised"]
    chosen = [each for each in films if each.domain == "equalised"][:20]
    said = [assess(policy, each.measures, each.domain, each.film.view).quality for each in chosen]
    assert said == pytest.approx(list(1 / (1 + np.exp(log_odds(model, chosen)))), abs=2e-4)


def test_a_film_without_a_measure_is_judged_by_the_others(films: list[Example]):
    model = fit_model([each for each in films if each.domain == "presentation"])
    bare = films[0]._replace(measures={})
    assert log_odds(model, [bare])[0] == pytest.approx(model.bias)


def test_borderline_films_do_not_move_the_model(films: list[Example]):
    domain = [each for each in films if each.domain == "presentation"]
    clear = [each for each in domain if each.film.label != "borderline"]
    assert fit_model(domain) == fit_model(clear)


def test_folds_keep_patients_together_and_leave_nobody_twice(films: list[Example]):
    names = np.array([each.film.patient for each in films])
    part = patient_folds(names, 5)
    assert set(part) == set(range(5))
    assert all(len(set(part[names == name])) == 1 for name in set(names))
    held = [each for each, fold in zip(films, part, strict=True) if fold == 0]
    rest, _ = without(held, films, [])
    assert not {each.film.patient for each in rest} & {each.film.patient for each in held}
    assert len(rest) + len(held) == len(films)


def test_check_sees_what_was_put_in(films: list[Example]):
    tables = check(films, [])
    everyone = [row for row in tables["patients"] if row["films"] == "all"]
    assert {row["domain"] for row in everyone} == set(DOMAINS)
    assert all(row["AUROC"] > 0.9 and row["good"] == 64 and row["low"] == 32 for row in everyone)
    assert {row["films"] for row in tables["patients"]} >= {"all", "north", "south", "AP", "PA"}
    assert {row["fit -> test"] for row in tables["sources"]} == {
        "others -> north", "others -> south", "north -> others", "south -> others",
    }  # fmt: skip
    counted = [row["films"] for row in tables["calibration"] if row["quality"].startswith("ECE")]
    assert counted == [96, 96]


def test_every_film_is_judged_once_and_shuffled_labels_carry_nothing(films: list[Example]):
    rng = np.random.default_rng(1)
    labels = {name: str(rng.choice(["good", "low"])) for name in sorted({each.film.patient for each in films})}
    lied = [each._replace(film=each.film._replace(label=labels[each.film.patient])) for each in films]
    judged = by_patient(lied, [])
    assert sorted(str(each.example.film.path) for each in judged) == sorted(str(each.film.path) for each in films)
    assert all(0 <= each.quality <= 1 and each.low <= each.high for each in judged)
    for domain in DOMAINS:
        of_domain = [each for each in judged if each.example.domain == domain]
        area = auroc([-each.quality for each in of_domain], [each.example.film.label == "low" for each in of_domain])
        assert 0.25 < area < 0.75


def test_severities_are_cut_on_one_half_and_hold_on_the_other(
    films: list[Example], ladder: list[Example], policy: Policy
):
    noise = next(row for row in policy.severities if (row.domain, row.aspect) == ("presentation", "noise"))
    clean = [
        each
        for each in films
        if each.domain == "presentation" and each.film.label == "good" and not each.film.reporting
    ]
    reached = [assess(policy, each.measures, each.domain, each.film.view).severities["noise"] for each in clean]
    for k, alarm in enumerate(ALARMS, 1):
        assert np.mean([severity >= k for severity in reached]) <= alarm, noise
    rows = check_severities(policy, films, ladder, read_ladder())
    steps = [row["severity 1"] for row in rows if (row["domain"], row["defect"]) == ("presentation", "quantum_noise")]
    assert steps == sorted(steps)
    assert steps[-1] > 0.9


def test_severities_are_checked_on_spoiled_films_alone_where_no_good_film_is_reported_on(
    films: list[Example], ladder: list[Example], policy: Policy
):
    bad = [each for each in films if not (each.film.reporting and each.film.label == "good")]
    rows = check_severities(policy, bad, ladder, read_ladder())
    assert {row["defect"] for row in rows} == {each.defect for each in ladder if each.film.reporting}


def ladder_of(good: np.ndarray, spoiled: np.ndarray) -> Ladder:
    grade = Grade("artifact", "artifact.text", "value", 1, ("overlay_text",))
    return Ladder(grade, good, dict.fromkeys((1, 2, 3, 4), spoiled))


def test_false_alarms_go_to_the_measure_that_gains_by_them():
    good = np.arange(50.0)
    keen, deaf = ladder_of(good, np.arange(40.0, 60.0)), ladder_of(good[::-1], good)
    (first, *_), (second, *_) = _cuts([keen, deaf])
    assert [(good >= first).sum(), (good >= second).sum()] == [2, 0]
    assert 3 / 51 <= ALARMS[0] < 4 / 51


def test_one_good_film_is_one_false_alarm_whichever_measures_it_reaches():
    good = np.arange(50.0)
    twice = [ladder_of(good, np.arange(40.0, 60.0))] * 2
    assert [(good >= cuts[0]).sum() for cuts in _cuts(twice)] == [2, 2]


def test_poor_contrast_is_called_far_from_good_films_only(policy: Policy):
    cuts = [row.cuts[0] for row in policy.severities if row.measure == "contrast.regional"]
    assert cuts
    assert max(cuts) <= -FAR


def test_linear_films_are_judged_as_presentation_films(films: list[Example], policy: Policy):
    first = assess(policy, films[0].measures, "presentation", "AP")
    assert assess(policy, films[0].measures, "linear", "AP") == first


def test_low_follows_the_worst_good_films_and_never_means_less_than_sure():
    films = [Example(film(k, "north", "good" if k < 40 else "low"), "presentation", {}) for k in range(60)]
    spread = np.concatenate([np.linspace(0.02, 1.0, 40), np.zeros(20)])
    assert 0.02 < set_regimes(films, spread).low < SURE
    fine = np.concatenate([np.full(40, 0.9), np.zeros(20)])
    assert set_regimes(films, fine).low == SURE


def test_too_few_low_films_are_refused(films: list[Example]):
    few = [each for each in films if each.film.label == "good"]
    with pytest.raises(SettingsError, match="0 low films"):
        fit_policy("made", few, [])


def test_reference_is_median_and_quartiles_of_the_group():
    rng = np.random.default_rng(2)
    values = rng.normal(5, 2, 60)
    rows = [film(k, "north", "good")._replace(view="AP" if k < 30 else "LL") for k in range(60)]
    found = reference(
        [Example(row, "presentation", {"a.b": value}) for row, value in zip(rows, values, strict=True)],
        {"a.b": "identity"},
        VIEWS,
    )
    by_key = {(row.domain, row.group): row for row in found}
    assert set(by_key) == {(d, g) for d in ("linear", "presentation") for g in ("frontal", "lateral", "unknown")}
    low, middle, high = np.quantile(values[:30], [0.25, 0.5, 0.75])
    frontal = by_key["presentation", "frontal"]
    assert (frontal.median, frontal.scale) == (
        pytest.approx(middle, abs=1e-5),
        pytest.approx((high - low) / 1.349, abs=1e-5),
    )
    assert by_key["presentation", "unknown"].films == 60
    assert by_key["presentation", "lateral"].median != frontal.median


def test_an_archive_s_own_reference_undoes_what_its_equipment_does(films: list[Example], policy: Policy):
    archive = [each for each in films if each.domain == "presentation" and each.film.label == "good"]
    shifted = [each._replace(measures={name: 2 * value for name, value in each.measures.items()}) for each in archive]
    own = own_reference(policy, shifted)
    before = [assess(policy, each.measures, "presentation", None).z[QUALITY] for each in shifted]
    after = [assess(own, each.measures, "presentation", None).z[QUALITY] for each in shifted]
    assert abs(float(np.median(after))) < 0.01 < abs(float(np.median(before)))
    assert own.terms == policy.terms
    assert [row for row in own.reference if row.domain == "equalised"] == [
        row for row in policy.reference if row.domain == "equalised"
    ]
    with pytest.raises(SettingsError, match="needs 20"):
        own_reference(policy, shifted[:19])


def test_bases_are_good_films_of_every_source_in_turn():
    rows = [film(k, source, "good" if k % 4 < 2 else "low") for source in ("a", "b") for k in range(20)]
    chosen = bases(rows, 7)
    assert [each.source for each in chosen] == ["a", "b", "a", "b", "a", "b", "a"]
    assert len({each.patient for each in chosen}) == 7
    assert {each.label for each in chosen} == {"good"}
