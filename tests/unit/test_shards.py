"""Shard files beside the database, and their merge."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from lrrg.agent.state import Verdict
from lrrg.pipelines.errors import StoreError
from lrrg.pipelines.files import sha256
from lrrg.pipelines.recipe import Run, begin_run
from lrrg.pipelines.store import ShardWriter, Store, shards
from lrrg.tests import stored
from lrrg.tests.stored import IDS, RECIPE, pending_ids, rows, table


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with stored.catalogued(tmp_path) as opened:
        yield opened


LABELS = "SELECT * EXCLUDE created_at FROM labels ORDER BY image_id"


def write_shards(folder: Path, found: list[list[Verdict]], run: Run) -> None:
    with ShardWriter.open(folder, RECIPE) as writer:
        writer.start_run(run)
        for verdicts in found:
            writer.write(verdicts, RECIPE.recipe_id, run.run_id)
        writer.end_run(run.run_id, 0)


def named(path: Path, run: str) -> Path:
    """The file under the name that a shard file of its bytes has."""
    return path.rename(path.with_name(f"verdicts-{run}-{sha256(path)[:16]}.parquet"))


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
        same = "SELECT * EXCLUDE created_at FROM labels ORDER BY image_id"
        assert direct.query(same).rows == store.query(same).rows


def test_pending_counts_what_the_folder_holds(store: Store, tmp_path: Path):
    folder = tmp_path / "shards [1]"
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
        ("run-*.json", lambda path: path.write_text("{}")),
        ("recipe-*.json", lambda path: path.write_text("[]")),
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


@pytest.mark.parametrize("old", [0, 1])
def test_a_file_of_an_earlier_version_is_refused_whatever_lies_beside_it(store: Store, tmp_path: Path, old: int):
    """It holds no labels, and a verdict must not be stored without its own."""
    folder = tmp_path / "shards"
    write_shards(folder, [[stored.verdict("i000", 0)], [stored.verdict("i001", 1)]], begin_run(RECIPE, {}))
    path = sorted(folder.glob("*.parquet"))[old]
    store.query(f"COPY (SELECT * EXCLUDE (quality, defects) FROM '{path}') TO '{path}'")
    path = named(path, "09"[old])
    with pytest.raises(StoreError, match=path.name) as caught:
        store.ingest(folder)
    assert caught.value.code == "shard"
    assert store.query("SELECT count(*), count(quality) FROM labels").rows == [(old, old)]


def overlapping() -> list[list[Verdict]]:
    """Batches in the order of their time: some replace others, some of them hold no reading."""
    first = [stored.verdict(name, k) for k, name in enumerate(IDS)]
    first[3], first[4] = Verdict(IDS[3], "failed", error_code="timeout"), Verdict(IDS[4], "unreadable")
    again = [stored.verdict(name, 100 + k) for k, name in enumerate(IDS[2:12])]
    return [first[:9], first[9:10], first[10:], again[:5], [stored.verdict(IDS[7], 300)], again[5:], first[20:30]]


@pytest.mark.parametrize("folders", [1, 2, 7])
def test_files_merged_together_leave_what_batches_written_one_by_one_leave(tmp_path: Path, folders: int):
    """Row by row, the labels among them, wherever the cut between what is merged together lies."""
    found = overlapping()
    with stored.catalogued(tmp_path) as one, Store.open(tmp_path / "many.duckdb") as many:
        many.add_images(tmp_path, rows(IDS))
        for batch in found:
            one.write(batch, RECIPE.recipe_id, "run")
        places = [tmp_path / f"shards{number * folders // len(found)}" for number in range(len(found))]
        for place, batch in zip(places, found, strict=True):
            write_shards(place, [batch], begin_run(RECIPE, {}))
        for place in sorted(set(places)):
            many.ingest(place)
            assert many.ingest(place) == 0
        assert table(many) == table(one)
        assert many.query(LABELS).rows == one.query(LABELS).rows
        assert many.query("SELECT count(*) FROM ingested_shard").rows == [(len(found),)]
        assert many.query("FROM derived('verdict') EXCEPT FROM verdict").rows == []


def test_more_bytes_than_are_merged_together_end_as_if_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with stored.catalogued(tmp_path) as store, Store.open(tmp_path / "small.duckdb") as small:
        small.add_images(tmp_path, rows(IDS))
        for batch in overlapping():
            write_shards(tmp_path / "shards", [batch], begin_run(RECIPE, {}))
        store.ingest(tmp_path / "shards")
        monkeypatch.setattr(shards, "TOGETHER", 20_000)
        small.ingest(tmp_path / "shards")
        assert table(small) == table(store)
        assert small.query(LABELS).rows == store.query(LABELS).rows


def test_a_file_in_which_a_byte_changed_is_refused_though_it_can_be_read(store: Store, tmp_path: Path):
    """Parquet's own checks do not see it."""
    write_shards(tmp_path / "shards", [[Verdict("i000", "failed", rationale="because " * 40)]], begin_run(RECIPE, {}))
    (path,) = (tmp_path / "shards").glob("*.parquet")
    path.write_bytes(path.read_bytes().replace(b"because", b"becauze"))
    with pytest.raises(StoreError, match=path.name) as caught:
        store.ingest(tmp_path / "shards")
    assert caught.value.code == "shard"
    assert store.query("SELECT count(*) FROM verdict").rows == [(0,)]


def test_a_broken_file_among_many_costs_no_other(store: Store, tmp_path: Path):
    folder = tmp_path / "shards"
    write_shards(folder, [[stored.verdict(name, k)] for k, name in enumerate(IDS[:6])], begin_run(RECIPE, {}))
    broken = sorted(folder.glob("*.parquet"))[3]
    broken.write_bytes(b"PAR1 and no more")
    with pytest.raises(StoreError, match=broken.name):
        store.ingest(folder)
    assert store.query("SELECT count(*) FROM labels").rows == [(3,)]
    broken.unlink()
    assert store.ingest(folder) == 2


MANY = 130_000
"""More than DuckDB keeps in one group of rows, of which it writes those before the last while a transaction goes on."""
FILMS = "INSERT INTO image (image_id, root_id, path) SELECT 'many' || i, 1, 'many' || i FROM range({many}) AS t(i)"
SHARD = """
COPY (
    SELECT
        * EXCLUDE (
            i, image_id, recipe_id, image_number, recipe_number, run_id, status, route, rationale, created_at
        ), 'many' || i AS image_id,
        '{recipe}' AS recipe_id, '{run}' AS run_id, 'unreadable' AS status,
        'tools' AS route, '{why}' AS rationale, now()::TIMESTAMP AS created_at
    FROM range({many}) AS t(i) LEFT JOIN (FROM verdict LIMIT 0) ON true
) TO '{path}' (FORMAT parquet)
"""


@pytest.mark.parametrize("turns", [("first",), pytest.param(("first", "again"), marks=pytest.mark.slow)])
def test_a_merge_of_many_rows_loses_none_whether_it_adds_or_replaces(store: Store, tmp_path: Path, turns: tuple[str]):
    run = begin_run(RECIPE, {})
    store.start_run(run)
    store.query(FILMS.format(many=MANY))
    for why in turns:
        path = tmp_path / f"{why}.parquet"
        store.query(SHARD.format(recipe=RECIPE.recipe_id, run=run.run_id, why=why, many=MANY, path=path))
        path = named(path, run.run_id)
        assert store.merge_shards([path]) == MANY
        for view in ("verdict", "labels"):
            whole = f"SELECT count(*), count(DISTINCT image_id), min(rationale), max(rationale) FROM {view}"
            assert store.query(whole).rows == [(MANY, MANY, why, why)]
    assert store.query("SELECT sum(verdicts) FROM ingested_shard").rows == [(len(turns) * MANY,)]
