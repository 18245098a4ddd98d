"""Benchmark side of the store: cases, scores, and Parquet files without a database."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from ...benchmark.cases import Case
from ..files import atomic
from .connection import OFFLINE, quoted, transaction, translated

_CASE = ("study_id", "subject_id", "image_id", "regime", "view", "defect", "severity", "pair")


def replace_cases(connection: duckdb.DuckDBPyConnection, cases: Iterable[Case]) -> None:
    """Make `cases` the benchmark of the database."""
    rows = [
        (case.case_id, track, case.split, *(getattr(case, name) for name in _CASE))
        for case in cases
        for track in case.tracks or ("",)
    ]
    _replace(connection, "benchmark_case", rows)


def replace_scores(connection: duckdb.DuckDBPyConnection, rows: Sequence[tuple[Any, ...]]) -> None:
    """Make `rows` the scores of the database."""
    _replace(connection, "scores", rows)


def _replace(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[tuple[Any, ...]]) -> None:
    with transaction(connection):
        connection.execute(f"DELETE FROM {table}")
        if rows:
            with connection.appender(table) as appender:
                appender.append_rows(rows)


def write_parquet(path: Path, columns: Mapping[str, str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Write rows in their order; equal rows give equal bytes.

    Args:
        path: the file; it appears whole or not at all.
        columns: SQL type by name.
        rows: one tuple a row, in the columns' order.

    Raises:
        StoreError: `disk-full`, `read-only-folder`.
    """
    with translated(path), atomic(path) as part, duckdb.connect(config=OFFLINE | {"threads": 1}) as connection:
        types = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        connection.execute(f"CREATE TABLE content ({types})")
        if rows:
            with connection.appender("content") as appender:
                appender.append_rows(rows)
        connection.execute(f"COPY content TO {quoted(part)} (FORMAT parquet, COMPRESSION zstd)")


def read_parquet(path: Path) -> list[dict[str, Any]]:
    """Rows of a Parquet file, in its order.

    Raises:
        StoreError: the file is not there or not Parquet.
    """
    with translated(path), duckdb.connect(config=OFFLINE | {"threads": 1}) as connection:
        cursor = connection.execute("FROM read_parquet(?)", [str(path)])
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
