"""The DuckDB database: catalog, recipes, runs, verdicts and the views users query. The only room that knows DuckDB."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
from numpy.typing import NDArray

from ...agent.state import Reading, Verdict
from ...benchmark.cases import Case
from ..errors import StoreError
from ..places import Location
from ..recipe import Recipe, Run
from ..records import CatalogRow, LabelRow, ReadRow, ReportRow
from . import benchmark, catalog, reads, runs, shards, verdicts
from .benchmark import read_parquet, write_parquet
from .connection import bound_memory, connect, discard, now, translated
from .pending import Pending, pending, stored_readings
from .shards import ShardWriter, shard_files

__all__ = [
    "Pending",
    "Result",
    "ShardWriter",
    "Store",
    "StoreError",
    "discard",
    "read_parquet",
    "shard_files",
    "write_parquet",
]


class Result(NamedTuple):
    """What a query gave."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]

    def records(self) -> list[dict[str, Any]]:
        """The rows as dictionaries."""
        return [dict(zip(self.columns, row, strict=True)) for row in self.rows]


class Store:
    """One open database; get it from `Store.open`."""

    def __init__(self, path: Path, connection: duckdb.DuckDBPyConnection):
        self.path = path
        self._connection = connection
        self._cursors: list[duckdb.DuckDBPyConnection] = []

    @classmethod
    @contextmanager
    def open(
        cls, path: Path, *, read_only: bool = False, create: bool = True, bounded: bool = False
    ) -> Iterator["Store"]:
        """Open the database at `path`; a writer brings its schema up to date.

        One process may write, or any number may read.

        Args:
            path: the file.
            read_only: only read.
            create: whether a writer makes a file that is not there.
            bounded: keep no more of the database in memory than verdicts on all images need, and use few threads; see
                `bound_memory`.

        Raises:
            StoreError: `missing` (not there and not to be made), `locked` (names the process that holds it),
                `newer-schema`, `older-schema` (a reader cannot migrate), `other-schema` (it cannot be migrated),
                `read-only-folder`, `disk-full`, `not-a-database`; operations inside the block raise them too.
        """
        store = cls(path, connect(path, read_only=read_only, create=create))
        try:
            with translated(path):
                if bounded:
                    bound_memory(store._connection)
                yield store
        finally:
            for each in (*store._cursors, store._connection):
                each.close()

    def add_images(self, root: Location, rows: Iterable[CatalogRow]) -> int:
        """Add the images of the folder `root` that are not in the catalog yet; returns how many were.

        Raises:
            SettingsError: an image id stands for two files, here or against the catalog; the message names both.
        """
        return catalog.add_images(self._connection, root, rows)

    def add_reports(self, rows: Iterable[ReportRow]) -> int:
        """Add or replace the reports of studies; returns how many rows were written."""
        return catalog.add_reports(self._connection, rows)

    def add_labels(self, rows: Iterable[LabelRow]) -> int:
        """Add or replace published finding labels; returns how many rows were written."""
        return catalog.add_labels(self._connection, rows)

    def unknown_images(self, image_ids: Sequence[str]) -> list[str]:
        """Those of some images that the catalog does not have."""
        return reads.unknown_images(self._connection, image_ids)

    def add_reads(self, rows: Sequence[ReadRow]) -> int:
        """Add or replace readers' opinions, never a newer one by an older; returns how many changed what is stored."""
        return reads.add_reads(self._connection, rows)

    def register_recipe(self, recipe: Recipe) -> None:
        """Store a recipe with its policy and make it the one that `labels` shows."""
        runs.register_recipe(self._connection, recipe, now())

    def start_run(self, run: Run) -> str:
        """Record that a run began; returns its id."""
        runs.start_run(self._connection, run)
        return run.run_id

    def end_run(self, run_id: str, exit_code: int) -> None:
        """Record that a run ended."""
        runs.end_run(self._connection, run_id, exit_code, now())

    def pending(
        self,
        recipe_id: str,
        *,
        shard: tuple[int, int] | None = None,
        limit: int | None = None,
        retry_failed: bool = False,
        written: Path | None = None,
    ) -> Pending:
        """Images without a verdict under the recipe, ordered by folder and path, as they are now.

        A film whose view position the catalog learnt after the verdict is pending again.

        Args:
            recipe_id: recipe the verdicts are counted under.
            shard: (k, N), k from 1: the k-th of N disjoint parts; which part an image is in depends on its id alone.
            limit: at most so many.
            retry_failed: images whose verdict is `failed` are pending too.
            written: folder of shard files whose verdicts count too.
        """
        return pending(self._cursor(), recipe_id, shard=shard, limit=limit, retry_failed=retry_failed, written=written)

    def stored_readings(self, recipe: Recipe, image_ids: Sequence[str]) -> dict[str, Reading]:
        """Readings of these images stored under any recipe with the same `measure_id`, the newest of each."""
        with self._connection.cursor() as cursor:
            return stored_readings(cursor, recipe, image_ids)

    def write(self, found: Sequence[Verdict], recipe_id: str, run_id: str) -> None:
        """Store verdicts and their labels in one transaction; a verdict on the same image is replaced.

        May be called from another thread than the readers of this store, but from one at a time.
        """
        verdicts.write(self._connection, verdicts.verdict_rows(found, recipe_id, run_id))

    def ingest(self, folder: Path) -> int:
        """Merge the shard files of a folder; returns how many verdicts were new.

        A file is merged whole or not at all, with its line in table `ingested_shard`, and once; of two verdicts on an
        image the later written counts.

        Raises:
            StoreError: `missing` (no shard file there), `shard` (a broken file, one whose run is not described beside
                it, or images of another catalog).
        """
        return shards.ingest(self._connection, folder)

    def merge_shards(self, paths: Sequence[Path]) -> int:
        """Merge shard files of runs that this database knows; returns how many verdicts were new.

        Many files at once cost much less than one after another.

        Raises:
            StoreError: `shard`, as for `ingest`.
        """
        return shards.merge_shards(self._connection, paths)

    def replace_cases(self, cases: Iterable[Case]) -> None:
        """Make `cases` the benchmark that `lrrg_split` shows."""
        benchmark.replace_cases(self._connection, cases)

    def replace_scores(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Make `rows` (in the columns of table `scores`) the scores of the database."""
        benchmark.replace_scores(self._connection, rows)

    def query(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> Result:
        """Run one statement and fetch everything it gives."""
        cursor = self._connection.execute(sql, params if isinstance(params, dict) else list(params))
        columns = tuple(column[0] for column in cursor.description or ())
        return Result(columns, cursor.fetchall())

    def arrays(self, sql: str) -> dict[str, NDArray[Any]]:
        """Run one statement and fetch its columns as arrays, NULLs masked: for answers of many rows."""
        found = self._connection.execute(sql).fetchnumpy()
        return {name: np.ma.asarray(column) for name, column in found.items()}

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        """A connection of its own to the same database, for what outlives a call; closed with the store."""
        cursor = self._connection.cursor()
        self._cursors.append(cursor)
        return cursor
