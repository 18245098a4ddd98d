"""Shard files beside the database, and their merge."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lrrg.agent.state import Verdict
from lrrg.pipelines.errors import StoreError
from lrrg.pipelines.recipe import Run, begin_run
from lrrg.pipelines.store import ShardWriter, Store
from lrrg.tests import stored
from lrrg.tests.stored import IDS, RECIPE, pending_ids, rows, table


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with stored.catalogued(tmp_path) as opened:
        yield opened


def write_shards(folder: Path, found: list[list[Verdict]], run: Run) -> None:
    with ShardWriter.open(folder, RECIPE) as writer:
        writer.start_run(run)
        for verdicts in found:
            writer.write(verdicts, RECIPE.recipe_id, run.run_id)
        writer.end_run(run.run_id, 0)


def test_shards_give_the_table_one_writer_gives(store: Store, tmp_path: Path):
    found = [stored.verdict(name, k) for k, name in enumerate(IDS)]
    write_shards(tmp_path / "shards", [found[:25], found[25:]], begin_run(RECIPE, {}))
    assert store.ingest(tmp_path / "shards") == 40
    once = table(store), store.query("SELECT run_id, exit_code, verdicts FROM runs").rows
    assert store.ingest(tmp_path / "shards") == 0
    assert (table(store), store.query("SELECT run_id, exit_code, verdicts FROM runs").rows) == once
    with Store.open(tmp_path / "direct.duckdb") as direct:
        direct.add_images(tmp_path, rows(IDS))
        direct.register_recipe(RECIPE)
        direct.write(found, RECIPE.recipe_id, "run")
        assert table(direct) == once[0]
        same = "SELECT * EXCLUDE created_at FROM label ORDER BY image_id"
        assert direct.query(same).rows == store.query(same).rows


def test_pending_counts_what_the_folder_holds(store: Store, tmp_path: Path):
    folder = tmp_path / "shards"
    assert pending_ids(store, written=folder) == IDS
    found = [stored.verdict("i000", 0), Verdict("i001", "failed"), Verdict("i002", "unreadable")]
    write_shards(folder, [found], begin_run(RECIPE, {}))
    assert pending_ids(store, written=folder) == IDS[3:]
    assert pending_ids(store, written=folder, retry_failed=True) == ["i001", *IDS[3:]]
    assert pending_ids(store) == IDS


def test_the_later_verdict_counts_whatever_the_order_of_files(store: Store, tmp_path: Path):
    for k in range(8):
        write_shards(
            tmp_path / f"s{k}", [[Verdict("i000", "failed")], [stored.verdict("i000", k)]], begin_run(RECIPE, {})
        )
        store.ingest(tmp_path / f"s{k}")
        assert store.stored_readings(RECIPE, ["i000"]) == {"i000": stored.reading(k)}
    assert store.query("SELECT count(*) FROM verdict").rows == [(1,)]


def test_a_half_written_shard_is_no_shard(store: Store, tmp_path: Path):
    folder = tmp_path / "shards"
    write_shards(folder, [[stored.verdict("i000", 0)], [stored.verdict("i001", 1)]], begin_run(RECIPE, {}))
    (folder / "run.1.tmp").write_bytes(b"half")
    _, second = sorted(folder.glob("*.parquet"))
    whole = second.read_bytes()
    second.write_bytes(whole[: len(whole) // 2])
    for read in (lambda: store.ingest(folder), lambda: pending_ids(store, written=folder)):
        with pytest.raises(StoreError) as caught:
            read()
        assert caught.value.code == "shard"
        assert second.name in str(caught.value)
    assert store.query("SELECT count(*) FROM verdict").rows == [(1,)]
    second.write_bytes(whole)
    assert store.ingest(folder) == 1


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("recipe-*.json", Path.unlink),
        ("recipe-*.json", lambda path: path.write_text("{")),
        ("run-*.json", lambda path: path.write_text("{")),
        ("run-*.json", Path.unlink),
    ],
)
def test_shards_that_do_not_say_how_they_were_made_are_refused(store: Store, tmp_path: Path, name: str, spoil):
    write_shards(tmp_path / "shards", [[stored.verdict("i000", 0)]], begin_run(RECIPE, {}))
    (described,) = (tmp_path / "shards").glob(name)
    spoil(described)
    with pytest.raises(StoreError) as caught:
        store.ingest(tmp_path / "shards")
    assert caught.value.code == "shard"
    assert store.query("SELECT count(*) FROM verdict").rows == [(0,)]


def test_shards_of_another_catalog_are_refused(store: Store, tmp_path: Path):
    write_shards(tmp_path / "shards", [[stored.verdict("stranger", 0)]], begin_run(RECIPE, {}))
    with pytest.raises(StoreError, match="stranger"):
        store.ingest(tmp_path / "shards")
    with pytest.raises(StoreError) as caught:
        store.ingest(tmp_path / "empty")
    assert caught.value.code == "missing"
