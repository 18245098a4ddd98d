"""Opening a database file: one writer, many readers, its schema, and every way that can go wrong as one clear line."""

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from ..errors import StoreError

_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_version (
    version INTEGER PRIMARY KEY, name VARCHAR NOT NULL, applied_at TIMESTAMP NOT NULL
);
ALTER TABLE schema_version ADD COLUMN IF NOT EXISTS sha256 VARCHAR;
COMMENT ON TABLE schema_version IS 'Schema files this database has.';
COMMENT ON COLUMN schema_version.version IS 'Number of the file.';
COMMENT ON COLUMN schema_version.name IS 'Name of the file.';
COMMENT ON COLUMN schema_version.applied_at IS 'When it was last applied (UTC).';
COMMENT ON COLUMN schema_version.sha256 IS 'sha256 of the file as applied.';
"""
_OTHER = "{path}: made by a version whose {differs}; use that one, or make the database anew with lrrg catalog"
_ONCE = re.compile(r"^(CREATE (?!OR REPLACE)|ALTER|UPDATE|DROP)", re.MULTILINE)


class Migration(NamedTuple):
    """A numbered file of `pipelines/schema`."""

    number: int
    name: str
    text: str

    @property
    def sha256(self) -> str:
        """Of its text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    @property
    def repeatable(self) -> bool:
        """Whether it defines macros and views alone, which a changed file defines anew."""
        return not _ONCE.search(self.text)


_MEANING = (
    (("different configuration",), "locked", "in use by this process already"),
    (("not a valid DuckDB", "Is a directory"), "not-a-database", "not a DuckDB database; name another --db"),
    (("Could not read enough bytes",), "not-a-database", "cut short; copy it anew, or remove it and run lrrg catalog"),
    (("version number",), "newer-schema", "written by a newer DuckDB; upgrade duckdb"),
    (("ermission denied", "ead-only file system"), "read-only-folder", "cannot be written there; name another --db"),
    (
        ("No space left", "File too large", "quota exceeded"),
        "disk-full",
        "the disk is full; make room and run the same command again",
    ),
)
"""What DuckDB says, the code it gets, and what to do about it."""
OFFLINE: dict[str, Any] = {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
WRITING: dict[str, Any] = {"checkpoint_threshold": "64MB", "dynamic_or_filter_threshold": 2048}
"""Every checkpoint packs the last rows of each table anew; at DuckDB's 16 MB that was a fifth of a merge.

So many rows of a batch or a file find theirs in the catalog by its key; beyond 50, DuckDB would read the whole catalog.
"""


MEMORY = 128 << 20
"""Bytes that DuckDB needs beside the tables' keys, above all to pack a group of rows; more only saves reading."""
THREADS = 2
"""As many at most store rows at once, each in a group of its own; eight such groups leave no room for a large merge."""
_KEYS = """
SELECT coalesce(sum(64 + 2 * strlen(image_id)), 0)::BIGINT + 32 * (count(*) + (SELECT count(*) FROM verdict))
FROM image
"""
"""Room for the keys of every image, of every verdict, and of one verdict more on every image."""


def connect(path: Path, *, read_only: bool, create: bool = False) -> duckdb.DuckDBPyConnection:
    """Connect to the database at `path` and see that its schema is this version's, making it on `create` alone.

    Raises:
        StoreError: see `Store.open`.
    """
    if not path.exists() and (read_only or not create):
        raise StoreError("missing", f"{path}: no such database; make it with lrrg catalog")
    if not read_only and not path.parent.is_dir():
        raise StoreError(
            "missing", f"{path}: there is no folder {path.parent.resolve()}; make it, or name another --db"
        )
    if not read_only and not path.is_file() and not _writable(path.parent):
        raise StoreError("read-only-folder", f"{path}: cannot write in {path.parent.resolve()}; name another --db")
    made = not path.exists()
    how = OFFLINE | ({} if read_only else WRITING)
    try:
        return _connect(path, read_only, how)
    except StoreError as error:
        if made and error.code == "disk-full":  # half a file would be refused once there is room
            discard(path)
        raise


def _connect(path: Path, read_only: bool, how: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    with translated(path):
        connection = duckdb.connect(str(path), read_only=read_only, config=how)
    try:
        with translated(path):
            _migrate(connection, path, read_only)
    except StoreError:
        connection.close()
        raise
    return connection


def bound_memory(connection: duckdb.DuckDBPyConnection) -> None:
    """Let DuckDB keep in memory no more than `MEMORY` and the keys of images and verdicts, those to come among them.

    It gets no more than `THREADS` either: what each of them works on cannot be put off to the disk.

    What it has written stays in memory as long as there is room, by default most of the machine's. A table's key must
    fit: DuckDB 2.0 reads it from the disk and never lets it go. An image's of 44 characters takes 99 bytes, a verdict's
    two numbers take 11.
    """
    (keys,) = connection.execute(_KEYS).fetchall()[0]
    (threads,) = connection.execute(f"SELECT least({THREADS}, current_setting('threads'))").fetchall()[0]
    connection.execute(f"SET threads = {threads}; SET memory_limit = '{(MEMORY + keys) >> 20}MiB'")


def discard(path: Path) -> None:
    """Remove a database that nobody has open, with the log DuckDB keeps beside it."""
    for each in (path, path.with_name(f"{path.name}.wal")):
        each.unlink(missing_ok=True)


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what DuckDB says about the file, the disk or the lock into a StoreError; other errors pass."""
    try:
        yield
    except duckdb.Error as error:
        said = str(error)
        if "Could not set lock" in said:
            holder = re.search(r"PID (\d+)", said)
            by = f"process {holder[1]}" if holder else "another process"
            raise StoreError("locked", f"{path}: in use by {by}; wait until it ends, or stop it") from error
        for phrases, code, advice in _MEANING:
            if any(phrase in said for phrase in phrases):
                raise StoreError(code, f"{path}: {advice}") from error
        if isinstance(error, duckdb.IOException):
            raise StoreError("disk", f"{path}: {said.partition(chr(10))[0]}") from error
        raise


def migrations() -> list[Migration]:
    """The numbered SQL files of `pipelines/schema`, in order."""
    folder = resources.files("lrrg.pipelines") / "schema"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda entry: entry.name)
    return [Migration(int(entry.name[:3]), entry.name, entry.read_text(encoding="utf-8")) for entry in files]


def _migrate(connection: duckdb.DuckDBPyConnection, path: Path, read_only: bool) -> None:
    known = migrations()
    applied = _applied(connection, path)
    unknown = applied.keys() - {each.number for each in known}
    if unknown:
        raise StoreError("newer-schema", f"{path}: has schema file {max(unknown)}, which this lrrg lacks; upgrade lrrg")
    changed = [each for each in known if each.number in applied and applied[each.number] != each.sha256]
    if other := [each.name for each in changed if applied[each.number] and not each.repeatable]:
        raise StoreError("other-schema", _OTHER.format(path=path, differs=f"{', '.join(other)} differs"))
    pending = [each for each in known if each.number not in applied or (each in changed and each.repeatable)]
    if pending and read_only:
        names = ", ".join(each.name for each in pending)
        raise StoreError("older-schema", f"{path}: lacks this version's {names}; run lrrg catalog on it once")
    try:
        if pending:
            create_schema(connection, pending)
    except (duckdb.CatalogException, duckdb.ConstraintException) as error:  # of a version that kept no such record
        said = str(error).partition("\n")[0]
        raise StoreError("other-schema", _OTHER.format(path=path, differs=f"tables differ ({said})")) from error


def create_schema(connection: duckdb.DuckDBPyConnection, pending: Sequence[Migration] | None = None) -> None:
    """Apply schema files, all of them by default, in one transaction."""
    with transaction(connection):
        connection.execute(_LEDGER)
        for each in migrations() if pending is None else pending:
            connection.execute(each.text)
            row = [each.number, each.name, now(), each.sha256]
            connection.execute("INSERT OR REPLACE INTO schema_version VALUES (?, ?, ?, ?)", row)


def _applied(connection: duckdb.DuckDBPyConnection, path: Path) -> dict[int, str | None]:
    """Numbers of the files the database has, with their sha256 where it was recorded."""
    tables = {name for (name,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if tables and "schema_version" not in tables:
        raise StoreError("not-a-database", f"{path}: a DuckDB database, but not one of lrrg's; name another --db")
    if not tables:
        return {}
    found = connection.execute("SELECT * EXCLUDE (name, applied_at) FROM schema_version").fetchall()
    return {version: next(iter(sha256), None) for version, *sha256 in found}


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Commit what the block did, all of it or nothing."""
    connection.begin()
    try:
        yield
    except BaseException:
        connection.rollback()
        raise
    connection.commit()


def now() -> datetime:
    """The current time as the database stores it: UTC, without a zone."""
    return datetime.now(UTC).replace(tzinfo=None)


def quoted(path: Path) -> str:
    """A path as an SQL string literal, for statements that take no parameters."""
    return "'" + str(path).replace("'", "''") + "'"
