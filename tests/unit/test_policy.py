import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lrrg.agent.policy import DOMAINS, SHIPPED, Policy, PolicyError, Severity, assess, load
from lrrg.agent.state import ASPECTS
from lrrg.pipelines.policy.plan import MODEL
from lrrg.tools import TOOLS

NAMES = {each.name for each in TOOLS}


def body(**changes):
    row = {"transform": "log", "median": 1.0, "scale": 0.5, "films": 30}
    reference = [
        {"domain": domain, "group": group, "measure": "noise.haar", **row}
        for domain in DOMAINS
        for group in ("frontal", "unknown")
    ]
    haar = {"domain": "presentation", "measure": "noise.haar", "direction": 1}
    return {
        "name": "small",
        "version": 1,
        "views": {"AP": "frontal"},
        "reference": reference,
        "severities": [
            {**haar, "aspect": "noise", "on": "z", "cuts": [1.0, 2.0, 3.0]},
            {**haar, "aspect": "positioning", "measure": "positioning.tilt", "on": "value", "cuts": [4.0, 8.0, 15.0]},
        ],
        "terms": [{**haar, "low": -1.0, "high": 3.0, "weight": 0.8}],
        "bias": dict.fromkeys(DOMAINS, -1.0),
        "regimes": {"low": 0.3, "high": 0.6},
        "rules": [{"aspect": "positioning", "severity": 3, "regime": "low"}],
        "band": [0.2, 0.8],
        **changes,
    }


def small(**changes) -> Policy:
    return Policy.model_validate(body(**changes))


def test_assess_is_the_written_formula():
    found = assess(small(), {"noise.haar": math.exp(2.0)}, "presentation", "ap")
    assert found.z == {"noise.haar": pytest.approx(2.0)}
    assert found.contributions == {"noise.haar": pytest.approx(1.6)}
    assert found.quality == pytest.approx(1 / (1 + math.exp(-1.0 + 1.6)))
    assert found.severities == {"noise": 2}
    assert found.regime == "borderline"


@pytest.mark.parametrize(("z", "added"), [(-5.0, -0.8), (-0.5, -0.4), (9.0, 2.4)])
def test_contributions_are_clipped(z: float, added: float):
    found = assess(small(), {"noise.haar": math.exp(1.0 + 0.5 * z)}, "presentation", None)
    assert found.contributions["noise.haar"] == pytest.approx(added)


def test_terms_of_one_measure_add_up():
    both = [
        {"domain": "linear", "measure": "noise.haar", "direction": way, "low": 0.0, "high": 9.0, "weight": 0.5}
        for way in (1, -1)
    ]
    policy = small(terms=both)
    for z in (-2.0, 2.0):
        found = assess(policy, {"noise.haar": math.exp(1.0 + 0.5 * z)}, "linear", "AP")
        assert found.contributions == {"noise.haar": pytest.approx(1.0)}


def test_absent_measures_add_nothing_and_absent_aspects_stay_absent():
    found = assess(small(), {}, "presentation", "AP")
    assert found.quality == pytest.approx(1 / (1 + math.exp(-1.0)))
    assert (found.contributions, found.severities, found.z) == ({}, {}, {})


def test_a_value_of_zero_has_a_logarithm():
    assert assess(small(), {"noise.haar": 0.0}, "presentation", "AP").z["noise.haar"] < -20


def test_a_rule_makes_a_film_low_whatever_its_quality():
    policy = small(bias=dict.fromkeys(DOMAINS, -9.0))
    found = assess(policy, {"positioning.tilt": 20.0}, "presentation", "AP")
    assert (found.regime, found.severities) == ("low", {"positioning": 3})
    assert found.quality > 0.99
    assert not policy.uncertain(found)


@pytest.mark.parametrize(
    ("bias", "uncertain"), [(-3.0, False), (-1.0, True), (0.0, True), (0.9, True), (1.2, True), (3.0, False)]
)
def test_what_lies_in_the_band_is_uncertain(bias: float, uncertain: bool):
    policy = small(bias=dict.fromkeys(DOMAINS, bias))
    assert policy.uncertain(assess(policy, {}, "equalised", None)) is uncertain


def test_a_severity_counts_the_cuts_that_were_passed_in_its_direction():
    row = {"domain": "linear", "aspect": "exposure", "measure": "contrast.lung", "on": "value", "direction": -1}
    down = Severity.model_validate({**row, "cuts": [10.0, 5.0, 0.0]})
    assert [down.grade(value) for value in (11.0, 10.0, 7.0, 5.0, -1.0)] == [0, 1, 1, 2, 3]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"terms": [{**body()["terms"][0], "weight": -0.1}]}, "greater than or equal to 0"),
        ({"severities": [{**body()["severities"][0], "cuts": [3.0, 2.0, 1.0]}]}, "do not get worse"),
        ({"terms": [{**body()["terms"][0], "low": 4.0}]}, "is above high"),
        ({"terms": [{**body()["terms"][0], "measure": "noise.other"}]}, "no row for"),
        ({"reference": body()["reference"] * 2}, "two rows"),
        ({"reference": [{**each, "scale": 0.0} for each in body()["reference"]]}, "greater than 0"),
        ({"bias": {"linear": 0.0}}, "bias must be given"),
        ({"regimes": {"low": 0.7, "high": 0.6}}, "ascend"),
        ({"band": [0.8, 0.2]}, "ascend"),
        ({"surprise": 1}, "not permitted"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(tmp_path, changes, complaint):
    path = tmp_path / "wrong.json"
    path.write_text(json.dumps(body(**changes)))
    with pytest.raises(PolicyError, match=complaint) as caught:
        load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("name", ["film.json", "film.dcm"])
def test_a_file_that_is_no_text_is_no_policy(name: str, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(PolicyError, match=rf"{name}: not a policy"):
        load(path)


@pytest.mark.parametrize("name", ["nothing.v9", "/nowhere/policy.json"])
def test_a_missing_policy_is_named_with_those_that_exist(name: str):
    with pytest.raises(PolicyError, match=r"no policy.*standard\.v1"):
        load(name)


def test_a_domain_that_does_not_exist_is_refused():
    with pytest.raises(PolicyError, match="none of linear"):
        assess(small(), {}, "sepia", "AP")


def test_text_round_trips_and_the_hash_ignores_layout(tmp_path):
    policy = small()
    path = tmp_path / "policy.json"
    path.write_text(policy.text())
    again = load(path)
    assert again == policy
    assert again.sha256 == policy.sha256 != small(version=2).sha256


def test_the_shipped_policy_holds_what_is_promised():
    policy = load("standard.v1")
    assert {row.measure for row in policy.reference} <= NAMES
    assert {row.measure for row in policy.severities} <= NAMES
    for domain in DOMAINS:
        terms = [row for row in policy.terms if row.domain == domain]
        assert len(terms) >= 5
        assert all(row.direction == MODEL[row.measure].direction for row in terms)
        assert {row.aspect for row in policy.severities if row.domain == domain} == set(ASPECTS)


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.json")), ids=lambda path: path.stem)
def test_shipped_files_are_as_the_program_writes_them(path):
    policy = load(path)
    assert path.read_text(encoding="utf-8") == policy.text()
    assert path.stem == f"{policy.name}.v{policy.version}"


@given(
    st.sampled_from(sorted(MODEL)),
    st.sampled_from(DOMAINS),
    st.floats(-6, 6),
    st.floats(0, 6),
)
def test_no_measure_can_gain_by_getting_worse(name: str, domain: str, z: float, step: float):
    policy = load("standard.v1")
    row = next(each for each in policy.reference if (each.domain, each.measure) == (domain, name))
    inverse = {"identity": lambda x: x, "log": math.exp, "log1p": math.expm1}[row.transform]
    way = MODEL[name].direction
    better, worse = (inverse(row.median + row.scale * way * each) for each in (z, z + step))
    first, second = (assess(policy, {name: value}, domain, None).quality for value in (better, worse))
    assert second <= first + 1e-12
