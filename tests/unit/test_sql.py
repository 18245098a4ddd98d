"""`lrrg sql`: reads this database, and nothing else."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from lrrg.pipelines import cli, sql
from lrrg.pipelines.errors import QueryError, SettingsError
from lrrg.pipelines.store import Store, read_parquet
from lrrg.tests import stored
from lrrg.tests.stored import IDS, RECIPE, rows


@pytest.fixture
def answered(tmp_path: Path) -> Path:
    path = tmp_path / "lrrg.duckdb"
    with Store.open(path) as store:
        store.add_images(tmp_path, rows(IDS))
        store.register_recipe(RECIPE)
        store.write([stored.verdict(name, k) for k, name in enumerate(IDS)], RECIPE.recipe_id, "run")
    return path


@pytest.mark.parametrize(
    "asked",
    [
        "DELETE FROM verdict",
        "CREATE TABLE mine AS FROM labels",
        "COPY labels TO '{folder}/out.csv'",
        "ATTACH '{folder}/other.duckdb'",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SELECT 1; DROP TABLE verdict",
        "FROM read_text('{folder}/secret.txt')",
        "FROM '{folder}/secret.csv'",
        "EXPLAIN ANALYZE DELETE FROM verdict",
        "SELECT nothing FROM labels",
        "SELEC 1",
        "",
    ],
)
def test_sql_does_nothing_but_read_this_database(answered: Path, tmp_path: Path, asked: str):
    for name in ("secret.txt", "secret.csv"):
        (tmp_path / name).write_text("secret,1\n")
    before = sorted(tmp_path.iterdir()), answered.read_bytes()
    with pytest.raises(QueryError) as caught:
        sql.first_page(answered, asked.format(folder=tmp_path))
    assert "\n" not in str(caught.value)
    with pytest.raises(QueryError):
        sql.write(answered, asked.format(folder=tmp_path), "parquet", tmp_path / "out.parquet")
    assert (sorted(tmp_path.iterdir()), answered.read_bytes()) == before


def test_sql_formats_hold_the_same_rows(answered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    asked = "SELECT image_id, quality, defects FROM labels ORDER BY image_id;"
    page = sql.first_page(answered, asked)
    assert (page.columns, len(page.rows), page.cut) == (("image_id", "quality", "defects"), 40, False)
    sql.write(answered, asked, "parquet", tmp_path / "o.parquet")
    sql.write(answered, asked, "csv", tmp_path / "o.csv")
    sql.write(answered, asked, "json", None)
    with duckdb.connect() as connection:
        assert connection.execute(f"FROM '{tmp_path}/o.parquet'").fetchall() == page.rows
        text = f"SELECT image_id, quality, defects::JSON::VARCHAR[] FROM read_csv('{tmp_path}/o.csv')"
        assert connection.execute(text).fetchall() == page.rows
        (tmp_path / "o.json").write_text(capsys.readouterr().out)
        assert connection.execute(f"FROM read_json('{tmp_path}/o.json')").fetchall() == page.rows
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lrrg.duckdb", "o.csv", "o.json", "o.parquet"]


def test_a_quote_in_a_name_is_no_sql(answered: Path, tmp_path: Path):
    out = tmp_path / "o'brien.parquet"
    sql.write(answered, "SELECT 1 AS a", "parquet", out)
    assert read_parquet(out) == [{"a": 1}]


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_an_answer_that_breaks_off_leaves_no_file(answered: Path, tmp_path: Path, form: str):
    (tmp_path / "out").write_text("before")
    late = "SELECT if(n < 300000, n, error('late')) AS n FROM range(300001) AS t(n)"
    with pytest.raises(QueryError, match="late"):
        sql.write(answered, late, form, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lrrg.duckdb", "out"]
    assert (tmp_path / "out").read_text() == "before"


def test_a_table_is_cut_and_says_so(answered: Path):
    page = sql.first_page(answered, "SELECT a.image_id FROM labels AS a, labels")
    assert (len(page.rows), page.cut) == (sql.SHOWN, True)


def test_parquet_needs_a_file(answered: Path):
    with pytest.raises(SettingsError, match="--out"):
        sql.write(answered, "SELECT 1", "parquet", None)


def lrrg(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Exit code of the command line."""
    monkeypatch.setattr("sys.argv", ["lrrg", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return int(ended.value.code or 0)


def test_a_table_shows_what_looks_like_markup(answered: Path, monkeypatch, capsys):
    assert lrrg(monkeypatch, "sql", "SELECT '[bold]a[/b]' AS \"[/c]\"", "--db", str(answered)) == 0
    shown = capsys.readouterr().out
    assert "[bold]a[/b]" in shown
    assert "[/c]" in shown


@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_a_folder_that_is_not_there_is_said_in_one_line(answered: Path, tmp_path: Path, monkeypatch, capsys, form):
    out = tmp_path / "none" / "out"
    code = lrrg(monkeypatch, "sql", "SELECT 1", "--db", str(answered), "--format", form, "--out", str(out))
    said = capsys.readouterr().err
    assert code in (2, 4)
    assert said.count("\n") == 1
    assert str(out) in said


def test_a_disk_without_room_for_the_answer_is_said(answered: Path, tmp_path: Path):
    limit = "import resource, sys\nfrom pathlib import Path\nfrom lrrg.pipelines.store import StoreError\n"
    limit += "from lrrg.pipelines.sql import write\nresource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
    limit += "sql = 'SELECT md5(i::VARCHAR) FROM range(10000) AS t(i)'\n"
    limit += "try: write(Path(sys.argv[1]), sql, 'parquet', Path(sys.argv[2]))\n"
    limit += "except StoreError as error: sys.exit(error.code)"
    done = subprocess.run(
        [sys.executable, "-c", limit, str(answered), str(tmp_path / "a.parquet")], capture_output=True, text=True
    )
    assert done.stderr.strip().splitlines()[-1] == "disk-full"
    assert [path.name for path in tmp_path.iterdir()] == ["lrrg.duckdb"]


def test_json_has_null_for_what_is_no_number(answered: Path, capsys: pytest.CaptureFixture[str]):
    asked = "SELECT 'nan'::DOUBLE AS a, [1.5, 'inf'::DOUBLE] AS b, {'c': '-inf'::DOUBLE} AS d, 'NaN' AS e"
    sql.write(answered, asked, "json", None)
    assert capsys.readouterr().out == '{"a": null, "b": [1.5, null], "d": {"c": null}, "e": "NaN"}\n'
