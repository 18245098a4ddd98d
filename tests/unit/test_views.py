"""The policy in SQL against the policy in Python, and the views users query."""

import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
from lrrg.agent.policy import Policy, assess, load
from lrrg.agent.state import ASPECTS, Verdict
from lrrg.pipelines.annotate.stage import recipe_of
from lrrg.pipelines.recipe import Recipe, begin_run
from lrrg.pipelines.records import CatalogRow, ReportRow
from lrrg.pipelines.status import status
from lrrg.pipelines.store import Store
from lrrg.tests import stored

ORIGINAL = {"identity": lambda t: t, "log": math.exp, "log1p": math.expm1}
VIEWS = ("AP", "pa", "LATERAL", "SWIMMERS", None)
COUNT = 300


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 random verdicts, one unreadable and one failed film, all under one random policy."""
    path = tmp_path_factory.mktemp("views") / "lrrg.duckdb"
    recipe = stored.recipe()
    run = begin_run(recipe, {"read": {}})
    found = [stored.verdict(f"i{k}", k, VIEWS[k % len(VIEWS)]) for k in range(COUNT)]
    found += [
        Verdict("bad", "unreadable", error_code="truncated", error_detail="cut off"),
        Verdict("lost", "failed", reading=stored.reading(COUNT), error_code="timeout"),
    ]
    rows = [CatalogRow(each.image_id, f"f/{each.image_id}.jpg", "p1", "s1", official_split="test") for each in found]
    with Store.open(path) as store:
        store.add_images(path.parent, rows)
        store.add_reports([ReportRow("s1", "p1", "f/s1.txt", findings="Clear.")])
        store.register_recipe(recipe)
        store.start_run(run)
        store.write(found, recipe.recipe_id, run.run_id)
        store.end_run(run.run_id, 0)
    return path


def assert_labels_are_python_s(folder: Path, recipe: Recipe, policy: Policy, found: list[Verdict]) -> None:
    with Store.open(folder / "db") as store:
        store.add_images(folder, [CatalogRow(each.image_id, each.image_id) for each in found])
        store.register_recipe(recipe)
        store.write(found, recipe.recipe_id, "run")
        rows = store.query(f"SELECT image_id, quality, regime, defects, {', '.join(ASPECTS)} FROM labels").rows
        parts = store.query("SELECT image_id, measure, z, contribution FROM contributions").rows
    expected = {
        each.image_id: assess(policy, each.reading.measures, each.reading.intensity_domain, each.reading.view)
        for each in found
        if each.reading is not None
    }
    assert len(rows) == len(expected) == len(found)
    for name, quality, regime, defects, *severities in rows:
        said = expected[name]
        assert quality == pytest.approx(said.quality, abs=1e-9)
        assert regime == said.regime
        assert {a: s for a, s in zip(ASPECTS, severities, strict=True) if s is not None} == said.severities
        worst_first = sorted((-s, a) for a, s in said.severities.items() if s >= 1)
        assert defects == [aspect for _, aspect in worst_first]
    z = {(name, measure): value for name, measure, value, _ in parts if value is not None}
    assert z == pytest.approx({(n, m): v for n, said in expected.items() for m, v in said.z.items()}, abs=1e-9)
    added = {(name, measure): value for name, measure, _, value in parts if value is not None}
    contributions = {(n, m): v for n, said in expected.items() for m, v in said.contributions.items()}
    assert added == pytest.approx(contributions, abs=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_labels_equal_a_random_policy_in_python(tmp_path: Path, seed: int):
    found = [stored.verdict(f"i{k}", 1000 * seed + k, VIEWS[k % len(VIEWS)]) for k in range(100)]
    assert_labels_are_python_s(tmp_path, stored.recipe(seed), stored.policy(seed), found)


def test_labels_equal_the_shipped_policy_in_python(tmp_path: Path):
    policy, draw = load("standard.v1"), random.Random(5)
    found = []
    for k in range(100):
        blank = stored.reading(k, VIEWS[k % len(VIEWS)])
        near = [row for row in policy.reference if row.domain == blank.intensity_domain and row.group == "unknown"]
        measures = {row.measure: ORIGINAL[row.transform](draw.gauss(row.median, 3 * row.scale)) for row in near}
        found.append(Verdict(f"i{k}", "ok", reading=replace(blank, measures=measures)))
    assert_labels_are_python_s(tmp_path, recipe_of(policy), policy, found)


def test_the_random_policies_reach_every_regime_and_severity(database: Path):
    with Store.open(database, read_only=True) as store:
        regimes = store.query("SELECT DISTINCT regime FROM labels WHERE regime IS NOT NULL").rows
        severities = store.query("SELECT DISTINCT noise FROM labels WHERE noise IS NOT NULL").rows
    assert {regime for (regime,) in regimes} == {"high", "borderline", "low"}
    assert {severity for (severity,) in severities} == {0, 1, 2, 3}


def test_quality_saturates_where_the_log_odds_overflow(tmp_path: Path):
    recipe = stored.recipe()
    body = {**recipe.body, "policy": {**recipe.body["policy"], "bias": dict.fromkeys(stored.DOMAINS, 1e4)}}
    recipe = type(recipe)("r", "m", body)
    with Store.open(tmp_path / "db") as store:
        store.add_images(tmp_path, [CatalogRow("i", "i")])
        store.register_recipe(recipe)
        store.write([stored.verdict("i", 1)], "r", "run")
        assert store.query("SELECT quality, regime FROM labels").rows == [(0.0, "low")]


def test_stored_labels_are_what_the_views_derive_again(database: Path):
    with Store.open(database, read_only=True) as store:
        assert store.query("FROM derived('verdict') EXCEPT FROM verdict").rows == []
        assert store.query("FROM verdict EXCEPT FROM derived('verdict')").rows == []


def test_films_without_a_verdict_have_a_label_without_a_quality(database: Path):
    with Store.open(database, read_only=True) as store:
        rows = store.query(
            "SELECT image_id, status, regime, quality, defects, rationale FROM labels WHERE status <> 'ok' ORDER BY 1"
        )
        failures = store.query("SELECT image_id, path, status, error_code, error_detail FROM failures ORDER BY 1")
    assert rows.rows == [("bad", "unreadable", None, None, [], None), ("lost", "failed", None, None, [], None)]
    assert failures.rows == [
        ("bad", "f/bad.jpg", "unreadable", "truncated", "cut off"),
        ("lost", "f/lost.jpg", "failed", "timeout", None),
    ]


def test_measurements_hold_every_measure_with_tool_version_and_unit(database: Path):
    with Store.open(database, read_only=True) as store:
        rows = store.query(
            "SELECT image_id, tool || '.' || metric, value, tool_version, unit FROM measurements WHERE image_id = 'i7'"
        ).rows
    assert {measure: value for _, measure, value, _, _ in rows} == stored.reading(7).measures
    assert {(version, unit) for *_, version, unit in rows} == {(2, "grey levels")}


def test_runs_recipes_and_reports(database: Path):
    with Store.open(database, read_only=True) as store:
        assert store.query("SELECT verdicts, exit_code, settings FROM runs").rows == [(COUNT + 2, 0, '{"read":{}}')]
        recipes = store.query("SELECT latest, policy, policy_version, judge, verdicts FROM recipes").rows
        assert recipes == [(True, "random-0", 1, None, COUNT + 2)]
        assert store.query("SELECT findings, impression FROM reports").rows == [("Clear.", None)]


def test_labels_show_the_recipe_used_last(database: Path, tmp_path: Path):
    first, second = stored.recipe(0), stored.recipe(1)
    with Store.open(tmp_path / "db") as store:
        store.add_images(tmp_path, [CatalogRow("i", "i.jpg")])
        for recipe, expected in ((first, first), (second, second), (first, first)):
            store.register_recipe(recipe)
            store.write([stored.verdict("i", 3)], recipe.recipe_id, "run")
            assert store.query("SELECT recipe_id FROM labels").rows == [(expected.recipe_id,)]
        assert store.query("SELECT count(*) FROM verdict").rows == [(2,)]


def test_labels_follow_the_catalog(tmp_path: Path):
    recipe = stored.recipe()
    with Store.open(tmp_path / "db") as store:
        store.add_images(tmp_path, [CatalogRow("i", "i.jpg")])
        store.register_recipe(recipe)
        store.write([stored.verdict("i", 3)], recipe.recipe_id, "run")
        assert store.add_images(tmp_path, [CatalogRow("i", "i.jpg", "p", "s", "AP", "train")]) == 0
        label = store.query("SELECT subject_id, study_id, view_position, official_split FROM labels").rows
    assert label == [("p", "s", "AP", "train")]


def test_status_adds_up(database: Path):
    found = status(database).plain()
    assert found["progress"][0] | {"recipe": ""} == {"images": 302, "verdicts": 302, "pending": 0, "recipe": ""}
    assert {row["status"]: row["images"] for row in found["by_status"]} == {"ok": 300, "unreadable": 1, "failed": 1}
    assert sum(row["images"] for row in found["by_regime"]) == COUNT
    assert [row["error_code"] for row in found["failures"]] == ["timeout", "truncated"]
    assert found["last_run"][0]["verdicts"] == COUNT + 2
