"""One read-only question to a database: no writing, no other file, no extension, answers in pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from ..errors import QueryError
from ..files import atomic
from .connection import connect, quoted, translated

PAGE = 10_000
READS = (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN)
_SEAL = "SET allowed_paths = [{}]; SET enable_external_access = false; SET lock_configuration = true"


class Answer(NamedTuple):
    """Columns and rows; the rows come page by page and once."""

    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]]


@contextmanager
def ask(path: Path, sql: str) -> Iterator[Answer]:
    """Answer one SELECT, EXPLAIN, DESCRIBE or SHOW.

    Raises:
        QueryError: the SQL is wrong, is more than one statement, or would do more than read this database.
        StoreError: see `Store.open`.
    """
    with translated(path), _sealed(path, sql, []) as connection:
        connection.execute(sql)
        columns = tuple(column[0] for column in connection.description or ())
        yield Answer(columns, _pages(connection))


def export(path: Path, sql: str, out: Path) -> int:
    """Write the answer to a Parquet file, which appears whole or not at all; returns its rows.

    Raises:
        QueryError, StoreError: as `ask`; StoreError where `out` cannot be written, `disk-full` if there is no room.
    """
    with atomic(out.absolute()) as part, translated(out), _sealed(path, sql, [part]) as connection:
        copy = f"COPY ({sql.rstrip().rstrip(';')}\n) TO {quoted(part)} (FORMAT parquet, COMPRESSION zstd)"
        return connection.execute(copy).fetchall()[0][0]


@contextmanager
def _sealed(path: Path, sql: str, writable: list[Path]) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(path, read_only=True) as connection, _explained():
        statements = connection.extract_statements(sql)
        if len(statements) != 1 or statements[0].type not in READS:
            raise QueryError("sql: one SELECT at a time, nothing that writes or changes settings")
        connection.execute(_SEAL.format(", ".join(map(quoted, writable))))
        yield connection


@contextmanager
def _explained() -> Iterator[None]:
    """What DuckDB says about the SQL, in one line."""
    try:
        yield
    except duckdb.IOException:
        raise  # what the disk says is not the SQL's fault
    except duckdb.Error as error:
        if "pytz" in str(error):
            raise QueryError("sql: times with a zone cannot be shown; cast them: …::TIMESTAMP") from error
        first, *rest = str(error).splitlines()
        hint = next((line for line in rest if line.startswith(("Candidate", "Did you mean"))), "")
        raise QueryError(f"sql: {first} {hint}".rstrip()) from error


def _pages(connection: duckdb.DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while page := connection.fetchmany(PAGE):
        yield from page
