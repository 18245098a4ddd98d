"""Who may open the database file, and what everyone else is told."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import duckdb
import pytest
from lrrg.pipelines.errors import StoreError
from lrrg.pipelines.store import Store, connection
from lrrg.pipelines.store.connection import create_schema, migrations, now
from lrrg.pipelines.store.runs import register_recipe
from lrrg.tests import stored

EARLIER = f"""
INSERT INTO root VALUES (1, '/films', now()::TIMESTAMP);
INSERT INTO image (image_id, root_id, path) VALUES ('i0', 1, 'i0.jpg'), ('i1', 1, 'i1.jpg');
INSERT INTO verdict (image_id, recipe_id, run_id, status, route, rationale, created_at)
SELECT image_id, '{stored.RECIPE.recipe_id}', 'run', 'ok', 'tools', 'because', now()::TIMESTAMP FROM image;
INSERT INTO label BY NAME
SELECT
    if(image_id = 'i0', 3, NULL) AS noise, if(noise = 3, 'low', NULL) AS regime, if(noise = 3, 0.25, NULL) AS quality,
    if(noise = 3, ['noise'], []) AS defects, image_id, path, status, route, rationale, recipe_id, created_at
FROM verdict JOIN image USING (image_id);
INSERT INTO policy_judge_aspect VALUES ('r', 'noise', 1, 0.5, 1);
ALTER TABLE policy_judge_aspect DROP shift;
ALTER TABLE schema_version DROP sha256;
"""
NUMBERED = """
SELECT v.image_id, v.image_id = i.image_id AND v.recipe_id = r.recipe_id
FROM verdict AS v LEFT JOIN image AS i USING (image_number) LEFT JOIN recipe AS r USING (recipe_number)
ORDER BY ALL
"""
HOLD = """
import sys, time
from pathlib import Path
from lrrg.pipelines.store import Store
with Store.open(Path(sys.argv[1])):
    print("open", flush=True)
    time.sleep(600)
"""


def code_of(path: Path, **how) -> tuple[str, str]:
    with pytest.raises(StoreError) as caught, Store.open(path, **how):
        pass
    assert str(path) in str(caught.value)
    return caught.value.code, str(caught.value)


def test_a_reader_does_not_create_a_database(tmp_path: Path):
    assert code_of(tmp_path / "none.duckdb", read_only=True)[0] == "missing"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("read_only", [False, True])
def test_a_second_process_is_told_who_holds_the_database(tmp_path: Path, read_only: bool):
    path = tmp_path / "lrrg.duckdb"
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    try:
        assert holder.stdout.readline() == "open\n"
        code, message = code_of(path, read_only=read_only)
    finally:
        holder.kill()
        holder.communicate()
    assert code == "locked"
    assert f"process {holder.pid}" in message
    with Store.open(path) as store:
        assert store.query("SELECT count(*) FROM image").rows == [(0,)]


def test_a_writer_cannot_be_read_beside_itself(tmp_path: Path):
    with Store.open(tmp_path / "lrrg.duckdb"):
        assert code_of(tmp_path / "lrrg.duckdb", read_only=True)[0] == "locked"


def test_two_readers_share_a_database(tmp_path: Path):
    path = tmp_path / "lrrg.duckdb"
    with Store.open(path):
        pass
    count = "from pathlib import Path; import sys; from lrrg.pipelines.store import Store\n"
    count += "with Store.open(Path(sys.argv[1]), read_only=True) as s: print(s.query('FROM image').rows)"
    with Store.open(path, read_only=True):
        done = subprocess.run([sys.executable, "-c", count, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_newer_schema_is_refused(tmp_path: Path):
    path = tmp_path / "lrrg.duckdb"
    with Store.open(path) as store:
        store.query("INSERT INTO schema_version VALUES (999, '999_future.sql', now()::TIMESTAMP, NULL)")
    for read_only in (False, True):
        code, message = code_of(path, read_only=read_only)
        assert code == "newer-schema"
        assert "upgrade lrrg" in message


def test_a_reader_cannot_migrate_but_a_writer_does(tmp_path: Path):
    path = tmp_path / "lrrg.duckdb"
    with Store.open(path) as store:
        store.query("DROP VIEW reports")
        store.query("DROP VIEW recipes")
        store.query("DROP VIEW runs")
        store.query("DROP VIEW failures")
        store.query("DROP VIEW measurements")
        store.query("DELETE FROM schema_version WHERE version = 5")
    assert code_of(path, read_only=True)[0] == "older-schema"
    with Store.open(path) as store:
        assert store.query("FROM reports").rows == []


def test_a_database_of_an_earlier_version_keeps_its_labels(tmp_path: Path):
    path = tmp_path / "lrrg.duckdb"
    with duckdb.connect(str(path)) as connection:
        create_schema(connection, [each for each in migrations() if each.number < 14])
        register_recipe(connection, stored.RECIPE, now())
        connection.execute(EARLIER)
    assert code_of(path, read_only=True)[0] == "older-schema"
    with Store.open(path) as store:
        kept = store.query("SELECT image_id, regime, quality, noise, blur, defects FROM labels ORDER BY ALL").rows
        assert kept == [("i0", "low", 0.25, 3, None, ["noise"]), ("i1", None, None, None, None, [])]
        assert store.query("SELECT shift FROM policy_judge_aspect").rows == [(0.0,)]
        store.write([stored.verdict("i1", 1)], stored.RECIPE.recipe_id, "run")
        assert store.query("SELECT regime IS NULL FROM labels ORDER BY image_id").rows == [(False,), (False,)]
        assert store.query(NUMBERED).rows == [("i0", True), ("i1", True)]
        store.add_images(tmp_path, stored.rows(["i2"]))
        store.write([stored.verdict("i2", 2)], stored.RECIPE.recipe_id, "run")
        assert store.query(NUMBERED).rows == [("i0", True), ("i1", True), ("i2", True)]


def test_a_changed_definition_is_made_anew(tmp_path: Path):
    path = tmp_path / "lrrg.duckdb"
    with stored.catalogued(tmp_path) as store:
        store.query("CREATE OR REPLACE MACRO units(log_odds) AS 0")
        store.query("UPDATE schema_version SET sha256 = 'of another text' WHERE version = 13")
    code, message = code_of(path, read_only=True)
    assert code == "older-schema"
    assert "013_policy_in_sql.sql" in message
    with Store.open(path) as store:
        assert store.query("SELECT units(1)").rows == [(2**40,)]


def test_a_database_made_with_other_tables_is_refused(tmp_path: Path):
    path = tmp_path / "lrrg.duckdb"
    with Store.open(path) as store:
        store.query("UPDATE schema_version SET sha256 = 'of another text' WHERE version = 12")
    for read_only in (False, True):
        code, message = code_of(path, read_only=read_only)
        assert code == "other-schema"
        assert "012_judge.sql differs" in message


def test_a_database_of_a_version_with_other_tables_is_left_as_it_is(tmp_path: Path):
    path = tmp_path / "lrrg.duckdb"
    with duckdb.connect(str(path)) as connection:
        create_schema(connection, [each for each in migrations() if each.number < 14])
        register_recipe(connection, stored.RECIPE, now())
        connection.execute(EARLIER)
        connection.execute("DROP TABLE policy_judge_aspect")
    code, message = code_of(path)
    assert code == "other-schema"
    assert "policy_judge_aspect" in message
    with duckdb.connect(str(path)) as connection:
        assert connection.execute("SELECT regime FROM labels ORDER BY image_id").fetchall() == [("low",), (None,)]


def test_a_database_that_was_copied_in_part_is_named(tmp_path: Path):
    path = tmp_path / "lrrg.duckdb"
    with Store.open(path):
        pass
    os.truncate(path, 12_288)
    code, message = code_of(path)
    assert code == "not-a-database"
    assert "cut short" in message


def test_other_files_are_left_alone(tmp_path: Path):
    text = tmp_path / "notes.txt"
    text.write_text("not a database")
    assert code_of(text)[0] == "not-a-database"
    assert text.read_text() == "not a database"
    other = tmp_path / "other.duckdb"
    with duckdb.connect(str(other)) as connection:
        connection.execute("CREATE TABLE theirs (a INTEGER)")
    assert code_of(other)[0] == "not-a-database"
    with duckdb.connect(str(other)) as connection:
        assert connection.execute("SELECT table_name FROM duckdb_tables()").fetchall() == [("theirs",)]
    assert code_of(tmp_path)[0] == "not-a-database"


@pytest.fixture
def shown_folder() -> Iterator[Path]:
    """A folder whose files everyone may read and, at the end, its owner may remove."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder
        folder.chmod(0o755)


MANY = """
INSERT INTO root VALUES (1, '/films', now()::TIMESTAMP);
INSERT INTO image (image_id, root_id, path) SELECT sha256(i::VARCHAR), 1, i || '.jpg' FROM range(100_000) AS t(i);
INSERT INTO verdict (image_id, recipe_id, image_number, recipe_number, run_id, status, route, rationale, created_at)
SELECT image_id, '{recipe}', image_number, 1, 'run', 'unreadable', 'tools', '', now()::TIMESTAMP
FROM image WHERE path NOT LIKE '%77.jpg'
"""


@pytest.mark.parametrize("keys", [True, False])
def test_a_bounded_writer_has_room_for_the_keys_of_all_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: bool
):
    """DuckDB never lets them go: with room for anything else alone, verdicts here and there could not be written."""
    path = tmp_path / "lrrg.duckdb"
    monkeypatch.setattr(connection, "MEMORY", 24 << 20)
    if not keys:
        monkeypatch.setattr(connection, "_KEYS", "SELECT 0")
    with Store.open(path) as store:
        store.register_recipe(stored.RECIPE)
        store.query(MANY.format(recipe=stored.RECIPE.recipe_id))
        left = [stored.verdict(name, 0) for name in stored.pending_ids(store)]
    with (
        nullcontext() if keys else pytest.raises(duckdb.OutOfMemoryException),
        Store.open(path, bounded=True) as store,
    ):
        for part in (left[:500], left[500:]):
            store.write(part, stored.RECIPE.recipe_id, "run")
        assert store.query("SELECT count(*) FROM verdict").rows == [(100_000,)]


def test_a_bounded_writer_has_room_for_what_another_policy_has_left_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "lrrg.duckdb"
    monkeypatch.setattr(connection, "MEMORY", 16 << 20)
    with Store.open(path) as store:
        store.register_recipe(stored.RECIPE)
        store.query(MANY.format(recipe=stored.RECIPE.recipe_id))
    with Store.open(path, bounded=True) as store:
        left = store.pending("another recipe")
        assert len(left) == 100_000
        assert next(iter(left)).path == "/films/0.jpg"


def test_a_bounded_writer_has_few_threads_on_a_machine_of_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Sixteen held more than there is room for when they merged an archive's files."""
    monkeypatch.setitem(connection.WRITING, "threads", 16)
    for bounded, threads in ((False, 16), (True, connection.THREADS)):
        with Store.open(tmp_path / "lrrg.duckdb", bounded=bounded) as store:
            assert store.query("SELECT current_setting('threads')").rows == [(threads,)]


@contextmanager
def unprivileged() -> Iterator[None]:
    """As somebody whom permissions bind; they do not bind root."""
    was = os.geteuid()
    os.seteuid(65534 if was == 0 else was)
    try:
        yield
    finally:
        os.seteuid(was)


def test_a_read_only_folder_is_named(shown_folder: Path):
    shown_folder.chmod(0o555)
    with unprivileged():
        assert code_of(shown_folder / "lrrg.duckdb")[0] == "read-only-folder"


@pytest.mark.parametrize("where", ["none", "file"])
def test_a_folder_that_is_not_there_is_named_as_such(tmp_path: Path, where: str):
    (tmp_path / "file").touch()
    code, message = code_of(tmp_path / where / "lrrg.duckdb")
    assert code == "missing"
    assert f"there is no folder {tmp_path / where}; make it" in message


def test_a_read_only_file_is_named_and_can_be_read(shown_folder: Path):
    path = shown_folder / "lrrg.duckdb"
    with Store.open(path):
        pass
    path.chmod(0o444)
    shown_folder.chmod(0o555)
    with unprivileged():
        assert code_of(path)[0] == "read-only-folder"
        with Store.open(path, read_only=True) as store:
            assert store.query("FROM image").rows == []
