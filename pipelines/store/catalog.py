"""Catalog side of the store: folders, images, reports, finding labels."""

from collections.abc import Iterable
from dataclasses import fields
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any

import duckdb

from ..errors import SettingsError
from ..places import Location, holds_something
from ..records import CatalogRow, LabelRow, ReportRow
from .connection import now, transaction

CHUNK = 10_000
_TWICE = """
SELECT a.image_id, a.path, b.path FROM incoming AS a JOIN incoming AS b ON b.image_id = a.image_id AND b.rowid > a.rowid
UNION ALL
SELECT n.image_id, n.path, r.path || '/' || i.path
FROM incoming AS n JOIN image AS i USING (image_id) JOIN root AS r USING (root_id)
WHERE i.root_id <> ? OR i.path <> n.path
ORDER BY ALL LIMIT 1
"""
_ALL_HERE = """
SELECT r.root_id, r.path
FROM root AS r JOIN image AS i USING (root_id) LEFT JOIN incoming AS n ON n.image_id = i.image_id AND n.path = i.path
WHERE r.path NOT LIKE '%://%' GROUP BY ALL HAVING count(*) = count(n.image_id)
"""


def add_images(connection: duckdb.DuckDBPyConnection, root: Location, rows: Iterable[CatalogRow]) -> int:
    """Add what the catalog does not have yet and update what it has; see `Store.add_images`."""
    _stage(connection, "image", CatalogRow, rows)
    with transaction(connection):
        root_id = _root_id(connection, root)
        twice = connection.execute(_TWICE, [root_id]).fetchall()
        if twice:
            image_id, one, other = twice[0]
            raise SettingsError(f"{root}: two files share the image id {image_id}: {one} and {other}")
        _update(connection, _names(CatalogRow)[2:])
        columns = _columns(CatalogRow)
        new = f"SELECT {root_id}, {columns} FROM incoming ANTI JOIN image USING (image_id)"
        return _count(connection, f"INSERT INTO image (root_id, {columns}) {new}")


def _update(connection: duckdb.DuckDBPyConnection, names: Iterable[str]) -> None:
    """Let the catalog say what `incoming` says about images both have."""
    changes = ", ".join(f'"{name}" = n."{name}"' for name in names)
    differs = " OR ".join(f'image."{name}" IS DISTINCT FROM n."{name}"' for name in names)
    connection.execute(
        f"UPDATE image SET {changes} FROM incoming AS n WHERE image.image_id = n.image_id AND ({differs})"
    )


def _root_id(connection: duckdb.DuckDBPyConnection, root: Location) -> int:
    """Number of a folder; one that is gone from its place has moved here, and keeps its, if all of its images did."""
    path = str(root.resolve())
    if not connection.execute("FROM root WHERE path = ?", [path]).fetchall():
        for known, place in connection.execute(_ALL_HERE).fetchall():
            if not holds_something(Path(place)):
                connection.execute("UPDATE root SET path = ? WHERE root_id = ?", [path, known])
                break
    new = "INSERT OR IGNORE INTO root SELECT coalesce(max(root_id), 0) + 1, ?, ? FROM root"
    connection.execute(new, [path, now()])
    return connection.execute("SELECT root_id FROM root WHERE path = ?", [path]).fetchall()[0][0]


def add_reports(connection: duckdb.DuckDBPyConnection, rows: Iterable[ReportRow]) -> int:
    """Add or replace the reports of studies."""
    return _replace(connection, "report", ReportRow, rows)


def add_labels(connection: duckdb.DuckDBPyConnection, rows: Iterable[LabelRow]) -> int:
    """Add or replace published finding labels."""
    return _replace(connection, "finding_label", LabelRow, rows)


def _replace(connection: duckdb.DuckDBPyConnection, table: str, kind: type, rows: Iterable[Any]) -> int:
    _stage(connection, table, kind, rows)
    columns = _columns(kind)
    with transaction(connection):
        return _count(connection, f"INSERT OR REPLACE INTO {table} ({columns}) SELECT {columns} FROM incoming")


def _stage(connection: duckdb.DuckDBPyConnection, table: str, kind: type, rows: Iterable[Any]) -> None:
    """Append the rows to a temporary table `incoming` with the columns of `table` that `kind` has."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE incoming AS SELECT {_columns(kind)} FROM {table} LIMIT 0")
    values, left = attrgetter(*_names(kind)), iter(rows)
    with connection.appender("incoming") as appender:
        while chunk := [values(row) for row in islice(left, CHUNK)]:
            appender.append_rows(chunk)


def _names(kind: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


def _columns(kind: type) -> str:
    return ", ".join(f'"{name}"' for name in _names(kind))


def _count(connection: duckdb.DuckDBPyConnection, insert: str) -> int:
    return connection.execute(insert).fetchall()[0][0]
