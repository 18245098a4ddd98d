"""The database file: what goes in once, what is pending, and what a batch leaves."""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import duckdb
import pytest
from lrrg.agent.state import ImageRef, Verdict
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.recipe import build_recipe
from lrrg.pipelines.records import CatalogRow, LabelRow, ReportRow
from lrrg.pipelines.store import Store
from lrrg.tests import stored
from lrrg.tests.stored import IDS, RECIPE, pending_ids, rows


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with stored.catalogued(tmp_path) as opened:
        yield opened


def test_only_new_images_are_added(store: Store, tmp_path: Path):
    assert store.add_images(tmp_path, rows([*IDS, "new"])) == 1
    assert store.query("SELECT count(*), count(DISTINCT image_id) FROM image").rows == [(41, 41)]
    assert store.query("SELECT count(*) FROM root").rows == [(1,)]


def test_details_learnt_later_are_filled_in(store: Store, tmp_path: Path):
    assert store.add_images(tmp_path, [CatalogRow("i000", "files/i000.jpg", "p", "s", "PA", "test", 10, 20)]) == 0
    found = store.query(
        'SELECT subject_id, view_position, official_split, "rows" FROM image WHERE image_id = ?', ["i000"]
    )
    assert found.rows == [("p", "PA", "test", 10)]


@pytest.mark.parametrize("other", ["files/twin.png", "elsewhere/i000.jpg"])
def test_two_files_with_one_id_are_both_named_and_nothing_is_added(store: Store, tmp_path: Path, other: str):
    name = "twin" if "twin" in other else "i000"
    incoming = [CatalogRow("fresh", "fresh.jpg"), CatalogRow(name, other)]
    if name == "twin":
        incoming.append(CatalogRow("twin", "files/twin.jpg"))
    with pytest.raises(SettingsError) as caught:
        store.add_images(tmp_path, incoming)
    assert other in str(caught.value)
    assert f"files/{name}.jpg" in str(caught.value)
    assert store.query("SELECT count(*) FROM image").rows == [(40,)]


def test_the_same_id_in_another_folder_is_refused(store: Store, tmp_path: Path):
    with pytest.raises(SettingsError, match=r"i000.*files/i000\.jpg"):
        store.add_images(tmp_path / "copy", rows(["i000"]))


def test_a_folder_that_moved_keeps_its_images_and_one_that_only_looks_alike_does_not(store: Store, tmp_path: Path):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    (old / "a.png").touch()
    store.add_images(old, rows(["a", "b"]))
    with pytest.raises(SettingsError, match="share the image id a"):
        store.add_images(new, rows(["a", "b"]))
    old.rename(new)
    with pytest.raises(SettingsError, match="share the image id a"):
        store.add_images(new, rows(["a"]))
    assert store.add_images(new, rows(["a", "b", "c"])) == 1
    assert store.query("SELECT path FROM root ORDER BY root_id").rows == [(str(tmp_path),), (str(new),)]


def test_reports_and_finding_labels_are_replaced_not_doubled(store: Store):
    for text in ("first", "second"):
        assert store.add_reports(ReportRow(f"s{k}", findings=text) for k in range(3)) == 3
        assert store.add_labels([LabelRow("s0", "chexpert", "Edema", -1)]) == 1
    assert store.query("SELECT DISTINCT findings, count(*) OVER () FROM report").rows == [("second", 3)]
    assert store.query("SELECT * FROM finding_label").rows == [("s0", "chexpert", "Edema", -1)]


def test_a_recipe_is_its_contents():
    body = stored.policy().model_dump(mode="json")
    tools = stored.tools()
    same = build_recipe(reader=1, tools=reversed(tools), policy=dict(reversed(body.items())))
    assert same == RECIPE
    other_policy = stored.recipe(seed=1)
    assert other_policy.recipe_id != RECIPE.recipe_id
    assert other_policy.measure_id == RECIPE.measure_id
    for other in (
        build_recipe(reader=2, tools=tools, policy=body),
        build_recipe(reader=1, tools=tools[1:], policy=body),
    ):
        assert other.recipe_id != RECIPE.recipe_id
        assert other.measure_id != RECIPE.measure_id
    with_judge = build_recipe(reader=1, tools=tools, policy=body, judge={"model": "m"})
    assert with_judge.recipe_id != RECIPE.recipe_id
    assert with_judge.measure_id == RECIPE.measure_id
    with pytest.raises(ValueError, match="not JSON compliant"):
        build_recipe(reader=1, tools=tools, policy={"bias": float("nan")})


def test_pending_is_ordered_and_absolute(store: Store, tmp_path: Path):
    pending = store.pending(RECIPE.recipe_id)
    assert len(pending) == 40
    assert next(iter(pending)) == ImageRef("i000", f"{tmp_path.resolve()}/files/i000.jpg", "AP")
    assert [each.image_id for each in pending] == IDS
    assert pending_ids(store, limit=3) == IDS[:3]


def test_pending_comes_in_pages_without_gap_or_double(tmp_path: Path):
    ids = [f"i{k:05d}" for k in range(2500)]
    with Store.open(tmp_path / "db") as store:
        store.add_images(tmp_path, rows(ids))
        store.register_recipe(RECIPE)
        pending = store.pending(RECIPE.recipe_id)
        seen = []
        for each in pending:
            seen.append(each.image_id)
            if len(seen) % 1000 == 0:
                store.write([Verdict(each.image_id, "failed")], RECIPE.recipe_id, "run")
        assert seen == ids
        assert len(pending) == 2500
        assert len(store.pending(RECIPE.recipe_id)) == 2498


def test_shards_part_the_catalog(store: Store):
    parts = [pending_ids(store, shard=(k, 3)) for k in (1, 2, 3)]
    assert sorted(chain(*parts)) == IDS
    assert min(map(len, parts)) > 0
    store.write([stored.verdict(name, 1) for name in parts[0]], RECIPE.recipe_id, "run")
    assert pending_ids(store, shard=(2, 3)) == parts[1]


def test_only_failed_verdicts_are_taken_up_again_and_only_on_demand(store: Store):
    found = [
        stored.verdict("i000", 0),
        Verdict("i001", "failed", error_code="timeout"),
        Verdict("i002", "unreadable", error_code="truncated"),
    ]
    store.write(found, RECIPE.recipe_id, "run")
    assert pending_ids(store) == IDS[3:]
    assert pending_ids(store, retry_failed=True) == ["i001", *IDS[3:]]
    assert [each.image_id for each in store.pending("another recipe")] == IDS


def test_a_film_whose_view_becomes_known_is_pending_again(store: Store, tmp_path: Path):
    store.add_images(tmp_path, [CatalogRow("viewless", "v.jpg")])
    names = ["viewless", "i000", "i001"]
    found = [stored.verdict("viewless", 1, None), stored.verdict("i000", 1), Verdict("i001", "unreadable")]
    store.write(found, RECIPE.recipe_id, "run")
    assert not set(names) & set(pending_ids(store))
    store.add_images(tmp_path, [CatalogRow("viewless", "v.jpg", view_position="LATERAL")])
    assert set(names) & set(pending_ids(store)) == {"viewless"}


def test_a_verdict_keeps_what_was_read(store: Store):
    store.write([stored.verdict("i000", 7)], RECIPE.recipe_id, "run")
    newer = stored.recipe(seed=1)
    store.register_recipe(newer)
    assert store.stored_readings(newer, IDS) == {"i000": stored.reading(7)}
    assert store.stored_readings(newer, IDS[1:]) == {}
    assert store.stored_readings(stored.recipe(reader=2), IDS) == {}


def test_writing_twice_leaves_one_row_the_later(store: Store):
    for seed in (1, 2):
        store.write([stored.verdict(name, seed) for name in IDS], RECIPE.recipe_id, "run")
    store.write([Verdict("i000", "failed"), stored.verdict("i000", 3)], RECIPE.recipe_id, "run")
    assert store.query("SELECT count(*) FROM verdict").rows == [(40,)]
    assert store.stored_readings(RECIPE, ["i000", "i001"]) == {"i000": stored.reading(3), "i001": stored.reading(2)}


@pytest.mark.parametrize(
    "row", ["*", "* REPLACE (NULL AS image_number)", "* REPLACE (NULL AS recipe_number, 2 AS image_number)"]
)
def test_the_table_itself_refuses_a_second_verdict_and_one_on_what_is_unknown(store: Store, row: str):
    store.write([stored.verdict("i000", 1)], RECIPE.recipe_id, "run")
    with pytest.raises(duckdb.ConstraintException):
        store.query(f"INSERT INTO verdict SELECT {row} FROM verdict")


def test_a_batch_is_stored_whole_or_not_at_all(store: Store):
    bad = [stored.verdict("i000", 1), Verdict("i001", "no such status")]  # pyright: ignore[reportArgumentType]
    with pytest.raises(duckdb.ConstraintException):
        store.write(bad, RECIPE.recipe_id, "run")
    assert store.query("SELECT count(*) FROM verdict").rows == [(0,)]
    store.write(bad[:1], RECIPE.recipe_id, "run")
    assert store.query("SELECT image_id FROM labels").rows == [("i000",)]
