"""Shard files: verdicts written beside the database by processes that must not write it, and merged into it later.

A folder of shards holds `recipe-….json`, `run-….json` and `verdicts-….parquet`; each appears whole or not at all.
"""

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

import duckdb

from ...agent.state import Verdict
from ..errors import StoreError
from ..files import sha256
from ..recipe import Recipe, Run, canonical
from .connection import OFFLINE, create_schema, now, quoted, transaction, translated
from .pending import VERDICTS
from .runs import end_run, register_recipe, start_run
from .verdicts import stage, verdict_rows

Source = Literal["waiting", "newest"]
"""Views of what shard files hold: all of it, and what is newer than all else on its image."""
_Described = TypeVar("_Described")


class ShardWriter:
    """Writes verdicts into a folder as shard files; many processes may share the folder. Get it from `open`."""

    def __init__(self, folder: Path, recipe: Recipe, connection: duckdb.DuckDBPyConnection):
        self.folder = folder
        self._recipe = recipe
        self._connection = connection
        self._runs: dict[str, Run] = {}

    @classmethod
    @contextmanager
    def open(cls, folder: Path, recipe: Recipe) -> Iterator["ShardWriter"]:
        """Write verdicts of one recipe into `folder`, which is made where it is not there."""
        folder.mkdir(parents=True, exist_ok=True)
        with _in_memory().cursor() as connection:
            register_recipe(connection, recipe, now())
            yield cls(folder, recipe, connection)

    def start_run(self, run: Run) -> None:
        """Describe in the folder how the verdicts of a run are made, without which they cannot be ingested."""
        _write_whole(self.folder / f"recipe-{self._recipe.recipe_id}.json", canonical(asdict(self._recipe)))
        self._runs[run.run_id] = run
        self._describe(run, {})

    def write(self, found: Sequence[Verdict], recipe_id: str, run_id: str) -> Path:
        """Write one shard file; it is on disk when this returns its path.

        Raises:
            StoreError: `disk-full`, `read-only-folder`.
        """
        stage(self._connection, verdict_rows(found, recipe_id, run_id))
        part = self.folder / f"{run_id}.{secrets.token_hex(4)}.tmp"
        with translated(self.folder):
            self._connection.execute(f"COPY (FROM labelled) TO {quoted(part)} (FORMAT parquet, COMPRESSION zstd)")
        path = self.folder / f"verdicts-{run_id}-{sha256(part)[:16]}.parquet"
        _publish(part, path)
        return path

    def end_run(self, run_id: str, exit_code: int) -> None:
        """Record in the folder that a run started here ended."""
        self._describe(self._runs.pop(run_id), {"ended_at": now().isoformat(), "exit_code": exit_code})

    def _describe(self, run: Run, end: Mapping[str, Any]) -> None:
        about = {**asdict(run), "started_at": run.started_at.isoformat(), **end}
        _write_whole(self.folder / f"run-{run.run_id}.json", canonical(about))


@cache
def _in_memory() -> duckdb.DuckDBPyConnection:
    """A database that gives shard files their shape and labels, made once a process: that takes a fifth of a second."""
    connection = duckdb.connect(config=OFFLINE)
    create_schema(connection)
    return connection


def shard_files(folder: Path) -> list[Path]:
    """The shard files of a folder, whole ones alone; none where there is no such folder."""
    return sorted(folder.glob(VERDICTS))


def ingest(connection: duckdb.DuckDBPyConnection, folder: Path) -> int:
    """Merge what the database does not have yet; see `Store.ingest`."""
    shards = shard_files(folder)
    if not shards:
        raise StoreError("missing", f"{folder}: no {VERDICTS}; name a folder that annotate --shard wrote")
    for path in sorted(folder.glob("run-*.json")):
        run, end = _described(path, _run)
        recipe = _described(folder / f"recipe-{run.recipe_id}.json", lambda about: Recipe(**about))
        register_recipe(connection, recipe, run.started_at)
        start_run(connection, run)
        if end:
            end_run(connection, run.run_id, end["exit_code"], datetime.fromisoformat(end["ended_at"]))
    return merge_shards(connection, shards)


def _run(about: dict[str, Any]) -> tuple[Run, Mapping[str, Any]]:
    """A described run, and when and how it ended; nothing there where it was killed or goes on."""
    end = {key: about.pop(key) for key in ("ended_at", "exit_code") if key in about}
    about["started_at"] = datetime.fromisoformat(about["started_at"])
    return Run(**about), end


def _described(path: Path, read: Callable[[dict[str, Any]], _Described]) -> _Described:
    try:
        return read(json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
        raise StoreError("shard", f"{path}: missing or broken; copy the folder of shards again") from error


def merge_shards(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> int:
    """Merge those files that are not merged yet, with their ledger rows; see `Store.merge_shards`."""
    names = [path.name for path in paths]
    known = "SELECT name FROM ingested_shard WHERE name IN (SELECT unnest(?))"
    merged = {name for (name,) in connection.execute(known, [names]).fetchall()}
    new = [path for path in paths if path.name not in merged]
    with _any_order(connection):
        return sum(_merged(connection, group) for group in _grouped(new))


@contextmanager
def _any_order(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Let every processor store rows as they come: to keep those of many small files in order costs a fifth more."""
    connection.execute("SET preserve_insertion_order = false")
    try:
        yield
    finally:
        connection.execute("RESET preserve_insertion_order")


def _grouped(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """The files in their order, as many together as are merged at once."""
    group, total = [], 0
    for path in paths:
        size = path.stat().st_size
        if group and total + size > TOGETHER:
            yield group
            group, total = [], 0
        group.append(path)
        total += size
    if group:
        yield group


def _merged(connection: duckdb.DuckDBPyConnection, group: Sequence[Path]) -> int:
    """Merge some files in one transaction; where that cannot be, for whatever reason, one by one."""
    try:
        return _put(connection, group, "waiting")
    except StoreError:
        if len(group) == 1:
            raise
    except duckdb.ConstraintException:  # an image that is not in the catalog, or a verdict that stands
        if len(group) == 1:
            return _put(connection, group, "newest")
    return sum(_merged(connection, [path]) for path in group)


def _put(connection: duckdb.DuckDBPyConnection, group: Sequence[Path], source: Source) -> int:
    """Append all verdicts of some files, or put the newest of one file in the place of older ones."""
    with ThreadPoolExecutor() as pool:
        digests = dict(zip(pool.map(_digest, group), group, strict=True))
    known = "SELECT sha256 FROM ingested_shard WHERE sha256 IN (SELECT unnest(?))"
    merged_before = {digest for (digest,) in connection.execute(known, [[*digests]]).fetchall()}
    new = {digest: path for digest, path in digests.items() if digest not in merged_before}
    if not new:
        return 0
    with transaction(connection):
        return _merge(connection, new, source)


def _merge(connection: duckdb.DuckDBPyConnection, new: Mapping[str, Path], source: Source) -> int:
    """Store what a view shows of files by their sha256."""
    paths = list(new.values())
    _look_into(connection, paths)
    if source == "newest":
        _refuse_strangers(connection, paths[0])
        connection.execute(_MAKE_ROOM)
        connection.execute(_NEWEST)
    insert = f"INSERT INTO verdict BY NAME SELECT * EXCLUDE (filename) FROM {source}"
    ((merged,),) = connection.execute(insert).fetchall()
    held = dict(connection.execute(_HELD).fetchall()) if source == "waiting" else {str(paths[0]): merged}
    verdicts = [held.get(str(path), 0) for path in paths]
    connection.execute(_LEDGER, [[*new], [path.name for path in paths], verdicts, now()])
    return merged


def _look_into(connection: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> None:
    """Make the files with their numbers the view `waiting`, and see that the database knows their runs."""
    files = ", ".join(quoted(path) for path in paths)
    try:
        connection.execute(_SHARD.format(files=files))
        connection.execute(_WAITING)
        run = connection.execute(_UNDESCRIBED).fetchall()
    except duckdb.Error as error:
        raise StoreError("shard", _BROKEN.format(path=paths[0])) from error
    if run:
        raise StoreError("shard", f"{paths[0]}: run-{run[0][0]}.json is missing beside it; copy the folder again")


def _refuse_strangers(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Name an image that has no number here, for which table `verdict` would take no row."""
    if image := connection.execute(_STRANGER).fetchall():
        raise StoreError("shard", f"{path}: image {image[0][0]} is not in this database's catalog")


def _digest(path: Path) -> str:
    """sha256 of a shard file, which its name tells: who reads Parquet does not notice every change of its bytes."""
    digest = sha256(path)
    if not path.stem.endswith(digest[:16]):
        raise StoreError("shard", _BROKEN.format(path=path))
    return digest


TOGETHER = 96 << 20
"""Bytes of shard files that are merged in one transaction: some 500,000 verdicts, which bounds the memory."""
_BROKEN = "{path}: not a whole shard file of this version; remove it and annotate again"
_SHARD = "CREATE OR REPLACE TEMP VIEW shard AS FROM read_parquet([{files}], filename = true)"
_WAITING = "CREATE OR REPLACE TEMP VIEW waiting AS FROM numbered('shard')"
_STRANGER = "SELECT image_id FROM waiting WHERE image_number IS NULL LIMIT 1"
# Naming a column of the labels refuses files of an earlier version, which have none.
_UNDESCRIBED = "SELECT run_id, defects FROM shard ANTI JOIN run USING (run_id, recipe_id) LIMIT 1"
_MAKE_ROOM = """
DELETE FROM verdict USING waiting AS w
WHERE w.image_number = verdict.image_number AND w.recipe_number = verdict.recipe_number
AND w.created_at > verdict.created_at
"""
_NEWEST = """
CREATE OR REPLACE TEMP VIEW newest AS
FROM waiting ANTI JOIN verdict USING (image_number, recipe_number)
QUALIFY row_number() OVER (PARTITION BY image_number, recipe_number ORDER BY created_at DESC, filename) = 1
"""
_HELD = "SELECT filename, count(*) FROM shard GROUP BY ALL"
_LEDGER = "INSERT INTO ingested_shard SELECT unnest(?), unnest(?), unnest(?), ?"


def _write_whole(path: Path, text: str) -> None:
    part = path.with_suffix(f".{secrets.token_hex(4)}.tmp")  # process ids repeat between the machines of a cluster
    part.write_text(text, encoding="utf-8")
    _publish(part, path)


def _publish(part: Path, path: Path) -> None:
    """Rename once the bytes are on disk, so that a crash leaves the whole file or none."""
    _sync(part)
    part.replace(path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    os.fsync(handle)
    os.close(handle)
