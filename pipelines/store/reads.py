"""Readers' side of the store: what people said about films."""

from collections.abc import Sequence

import duckdb

from ..records import ReadRow
from .connection import now, transaction


def unknown_images(connection: duckdb.DuckDBPyConnection, image_ids: Sequence[str]) -> list[str]:
    """Those of some images that the catalog does not have."""
    missing = (
        "SELECT image_id FROM (SELECT unnest(?::VARCHAR[]) AS image_id) ANTI JOIN image USING (image_id) ORDER BY 1"
    )
    return [image_id for (image_id,) in connection.execute(missing, [list(image_ids)]).fetchall()]


def add_reads(connection: duckdb.DuckDBPyConnection, rows: Sequence[ReadRow]) -> int:
    """Add or replace reads; an older read never replaces a newer one. Returns how many changed the table."""
    columns = ", ".join(ReadRow._fields)
    known = f"SELECT {columns} FROM review WHERE image_id = ? AND reader = ?"
    marks = ", ".join("?" * len(ReadRow._fields))
    insert = f"INSERT OR REPLACE INTO review ({columns}, imported_at) VALUES ({marks}, ?)"
    imported = now()
    written = 0
    with transaction(connection):
        for row in rows:
            stored = [ReadRow(*found) for found in connection.execute(known, [row.image_id, row.reader]).fetchall()]
            if any(each == row or each.read_at > row.read_at for each in stored):
                continue
            connection.execute(insert, [*row, imported])
            written += 1
    return written
