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
    """Add or replace reads; an older read never replaces a newer one. Returns how many were written."""
    columns = ", ".join(ReadRow._fields)
    marks = ", ".join("?" * len(ReadRow._fields))
    imported = now()
    written = 0
    with transaction(connection):
        for row in rows:
            newer = "SELECT count(*) FROM review WHERE image_id = ? AND reader = ? AND read_at > ?"
            if connection.execute(newer, [row.image_id, row.reader, row.read_at]).fetchall()[0][0]:
                continue
            insert = f"INSERT OR REPLACE INTO review ({columns}, imported_at) VALUES ({marks}, ?)"
            connection.execute(insert, [*row, imported])
            written += 1
    return written
