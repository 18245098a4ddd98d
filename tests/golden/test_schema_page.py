"""`docs/schema.md` says what the database holds, in the database's own words."""

from collections.abc import Callable, Iterator
from itertools import groupby

import pytest
from lrrg.pipelines.store import Store

COLUMNS = """
SELECT c.table_name, t.comment, c.column_name, c.data_type, c.comment
FROM duckdb_columns() AS c
JOIN (
    SELECT table_oid AS oid, comment FROM duckdb_tables() UNION ALL SELECT view_oid, comment FROM duckdb_views()
) AS t ON t.oid = c.table_oid
WHERE NOT c.internal AND c.database_name = current_database()
ORDER BY {kind}, c.table_name <> 'labels', c.table_name, c.column_index
"""
KIND = "(SELECT count(*) FROM duckdb_tables() AS k WHERE k.table_oid = c.table_oid)"
HEAD = """# What the database holds

Generated from the comments in `pipelines/schema/*.sql` by `make golden`; do not edit.

Query it with `lrrg sql "SELECT …" --db DB`, or open the file read-only with any DuckDB client. The views are what
scripts may rely on; the tables behind them may change with a release. `latest_recipe()` names the recipe that `labels`
shows, and `derived('verdict')` computes every label again from the raw measures and the policy.

A database of an earlier version is brought up to date by the first command that writes it, as `lrrg catalog` on its
folder; one that cannot be is refused with the reason, and left as it is.
"""


@pytest.fixture(scope="module")
def columns(tmp_path_factory: pytest.TempPathFactory) -> list[tuple]:
    """(table or view, its comment, column, type, comment), views first."""
    with Store.open(tmp_path_factory.mktemp("schema") / "lrrg.duckdb") as store:
        return store.query(COLUMNS.format(kind=KIND)).rows


def page(columns: list[tuple]) -> Iterator[str]:
    yield HEAD
    for (name, about), rows in groupby(columns, key=lambda row: row[:2]):
        yield f"\n## {name}\n\n{about}\n\n| column | type | meaning |\n|---|---|---|\n"
        yield from (f"| `{column}` | {kind} | {meaning} |\n" for _, _, column, kind, meaning in rows)


def test_every_table_view_and_column_is_explained(columns: list[tuple]):
    bare = [f"{name}.{column}" for name, about, column, _, meaning in columns if not (about and meaning)]
    assert bare == []
    assert {name for name, *_ in columns} >= {
        *("labels", "measurements", "failures", "runs", "recipes", "reports", "lrrg_split", "scores")
    }


def test_the_page_is_up_to_date(columns: list[tuple], golden: Callable[[str, str], None]):
    golden("docs/schema.md", "".join(page(columns)))
