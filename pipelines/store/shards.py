"""Shard files: verdicts written beside the database by processes that must not write it, and merged into it later.

A folder of shards holds `recipe-….json`, `run-….json` and `verdicts-….parquet`; each appears whole or not at all.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb

from ...agent.state import Verdict
from ..errors import StoreError
from ..recipe import Recipe, Run, canonical
from .connection import OFFLINE, create_schema, now, quoted, transaction, translated
from .pending import VERDICTS
from .runs import end_run, register_recipe, start_run
from .verdicts import merge, stage, verdict_rows


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
        with duckdb.connect(config=OFFLINE) as connection:
            create_schema(connection)
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
            self._connection.execute(f"COPY batch TO {quoted(part)} (FORMAT parquet, COMPRESSION zstd)")
        path = self.folder / f"verdicts-{run_id}-{_sha256(part)[:16]}.parquet"
        _publish(part, path)
        return path

    def end_run(self, run_id: str, exit_code: int) -> None:
        """Record in the folder that a run started here ended."""
        self._describe(self._runs.pop(run_id), {"ended_at": now().isoformat(), "exit_code": exit_code})

    def _describe(self, run: Run, end: Mapping[str, Any]) -> None:
        about = {**asdict(run), "started_at": run.started_at.isoformat(), **end}
        _write_whole(self.folder / f"run-{run.run_id}.json", canonical(about))


def shard_files(folder: Path) -> list[Path]:
    """The shard files of a folder, whole ones alone; none where there is no such folder."""
    return sorted(folder.glob(VERDICTS))


def ingest(connection: duckdb.DuckDBPyConnection, folder: Path) -> int:
    """Merge what the database does not have yet; see `Store.ingest`."""
    shards = shard_files(folder)
    if not shards:
        raise StoreError("missing", f"{folder}: no {VERDICTS}; name a folder that annotate --shard wrote")
    for path in sorted(folder.glob("run-*.json")):
        run, end = _run(path)
        recipe = Recipe(**_described(folder / f"recipe-{run.recipe_id}.json"))
        register_recipe(connection, recipe, run.started_at)
        start_run(connection, run)
        if end:
            end_run(connection, run.run_id, end["exit_code"], datetime.fromisoformat(end["ended_at"]))
    merged = {name for (name,) in connection.execute("SELECT name FROM ingested_shard").fetchall()}
    return sum(merge_shard(connection, path) for path in shards if path.name not in merged)


def _run(path: Path) -> tuple[Run, Mapping[str, Any]]:
    """A described run, and when and how it ended; nothing there where it was killed or goes on."""
    about = _described(path)
    end = {key: about.pop(key) for key in ("ended_at", "exit_code") if key in about}
    return Run(**about | {"started_at": datetime.fromisoformat(about["started_at"])}), end


def _described(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError) as error:
        raise StoreError("shard", f"{path}: missing or broken; copy the folder of shards again") from error


def merge_shard(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """Merge one shard file and its ledger row; see `Store.merge_shard`."""
    digest = _sha256(path)
    if connection.execute("FROM ingested_shard WHERE sha256 = ?", [digest]).fetchall():
        return 0
    stage(connection, ())
    with transaction(connection):
        try:
            connection.execute(_NEWER, [str(path)])
        except duckdb.Error as error:
            raise StoreError("shard", f"{path}: not a whole shard file; remove it and annotate again") from error
        _refuse_strangers(connection, path)
        merged = merge(connection)
        connection.execute("INSERT INTO ingested_shard VALUES (?, ?, ?, ?)", [digest, path.name, merged, now()])
    return merged


def _refuse_strangers(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    image = connection.execute("SELECT image_id FROM batch ANTI JOIN image USING (image_id) LIMIT 1").fetchall()
    if image:
        raise StoreError("shard", f"{path}: image {image[0][0]} is not in this database's catalog")
    run = connection.execute("SELECT run_id FROM batch ANTI JOIN run USING (run_id, recipe_id) LIMIT 1").fetchall()
    if run:
        raise StoreError("shard", f"{path}: run-{run[0][0]}.json is missing beside it; copy the folder of shards again")


_NEWER = """
INSERT INTO batch BY NAME
FROM read_parquet(?) AS b
ANTI JOIN verdict AS v ON v.image_id = b.image_id AND v.recipe_id = b.recipe_id AND v.created_at >= b.created_at
"""


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


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
