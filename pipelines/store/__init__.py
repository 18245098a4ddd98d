"""The DuckDB database: catalog, recipes, runs, verdicts and the views users query. The only room that knows DuckDB."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from ...agent.state import ImageRef, Reading, Verdict
from ..errors import StoreError
from ..recipe import Recipe, Run
from ..records import CatalogRow, LabelRow, ReportRow
from . import catalog, verdicts
from .connection import connect, translated

__all__ = ["Result", "Store", "StoreError"]


class Result(NamedTuple):
    """What a query gave."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


class Store:
    """One open database; get it from `Store.open`."""

    def __init__(self, path: Path, connection: duckdb.DuckDBPyConnection):
        self.path = path
        self._connection = connection

    @classmethod
    @contextmanager
    def open(cls, path: Path, *, read_only: bool = False) -> Iterator["Store"]:
        """Open the database at `path`; a writer creates it and brings its schema up to date.

        One process may write, or any number may read.

        Raises:
            StoreError: `missing` (a reader's file is not there), `locked` (names the process that holds it),
                `newer-schema`, `older-schema` (a reader cannot migrate), `read-only-folder`, `disk-full`,
                `not-a-database`; operations inside the block raise them too.
        """
        connection = connect(path, read_only=read_only)
        try:
            with translated(path):
                yield cls(path, connection)
        finally:
            connection.close()

    def add_images(self, root: Path, rows: Iterable[CatalogRow]) -> int:
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

    def register_recipe(self, recipe: Recipe) -> None:
        """Store a recipe with its policy and make it the one that `labels` shows."""
        verdicts.register_recipe(self._connection, recipe)

    def start_run(self, run: Run) -> str:
        """Record that a run began; returns its id."""
        verdicts.start_run(self._connection, run)
        return run.run_id

    def end_run(self, run_id: str, exit_code: int) -> None:
        """Record that a run ended."""
        verdicts.end_run(self._connection, run_id, exit_code)

    def pending(
        self,
        recipe_id: str,
        *,
        shard: tuple[int, int] | None = None,
        limit: int | None = None,
        retry_failed: bool = False,
    ) -> list[ImageRef]:
        """Images without a verdict under the recipe, ordered by folder and path.

        Args:
            recipe_id: recipe the verdicts are counted under.
            shard: (k, N), k from 1: the k-th of N disjoint parts; which part an image is in depends on its id alone.
            limit: at most so many.
            retry_failed: images whose verdict is `failed` are pending too.
        """
        return verdicts.pending(self._connection, recipe_id, shard, limit, retry_failed)

    def stored_readings(self, recipe: Recipe, image_ids: Sequence[str]) -> dict[str, Reading]:
        """Readings of these images stored under any recipe with the same `measure_id`, the newest of each."""
        return verdicts.stored_readings(self._connection, recipe, image_ids)

    def write(self, found: Sequence[Verdict], recipe_id: str, run_id: str) -> None:
        """Store verdicts and their labels in one transaction; a verdict on the same image is replaced."""
        verdicts.write(self._connection, verdicts.verdict_rows(found, recipe_id, run_id))

    def query(self, sql: str, params: Sequence[Any] | dict[str, Any] = ()) -> Result:
        """Run one statement and fetch everything it gives."""
        cursor = self._connection.execute(sql, params if isinstance(params, dict) else list(params))
        columns = tuple(column[0] for column in cursor.description or ())
        return Result(columns, cursor.fetchall())
