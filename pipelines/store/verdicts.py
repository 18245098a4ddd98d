"""Work side of the store: recipes, runs, what is pending, and verdicts."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb

from ...agent.state import ImageRef, Reading, Verdict
from ..recipe import Recipe, Run, canonical
from .connection import transaction

_PENDING = """
SELECT i.image_id, r.path || '/' || i.path, i.view_position
FROM image AS i
JOIN root AS r USING (root_id)
ANTI JOIN (FROM verdict WHERE recipe_id = $recipe AND (status <> 'failed' OR NOT $retry)) AS v USING (image_id)
WHERE md5_number_lower(i.image_id) % $shards = $shard
ORDER BY i.root_id, i.path
LIMIT $limit
"""
_READINGS = """
SELECT
    image_id, sha256, file_bytes, file_format, width, height, bits, intensity_domain, "view",
    notes, measures, elapsed_ms
FROM verdict JOIN recipe USING (recipe_id)
WHERE measure_id = $measure AND sha256 IS NOT NULL AND image_id IN (SELECT unnest($images))
QUALIFY row_number() OVER (PARTITION BY image_id ORDER BY created_at DESC, recipe_id) = 1
"""


def register_recipe(connection: duckdb.DuckDBPyConnection, recipe: Recipe) -> None:
    """Store a recipe and its policy's tables, and make it the latest."""
    row = [recipe.recipe_id, recipe.measure_id, canonical(recipe.body), _now()]
    with transaction(connection):
        known = connection.execute("FROM recipe WHERE recipe_id = ?", [recipe.recipe_id]).fetchall()
        connection.execute("INSERT OR REPLACE INTO recipe VALUES (?, ?, ?, ?)", row)
        if not known:
            _register_policy(connection, recipe)


def _register_policy(connection: duckdb.DuckDBPyConnection, recipe: Recipe) -> None:
    policy = recipe.body["policy"]
    flat = {
        "policy_view": [{"view": view, "group": group} for view, group in policy["views"].items()],
        "policy_reference": policy["reference"],
        "policy_severity": policy["severities"],
        "policy_term": policy["terms"],
        "policy_bias": [{"domain": domain, "bias": bias} for domain, bias in policy["bias"].items()],
        "policy_regime": [policy["regimes"]],
        "policy_rule": policy["rules"],
    }
    for table, rows in flat.items():
        for row in rows:
            columns = ", ".join(f'"{name}"' for name in row)
            marks = ", ".join("?" for _ in row)
            values = [recipe.recipe_id, *row.values()]
            connection.execute(f"INSERT INTO {table} (recipe_id, {columns}) VALUES (?, {marks})", values)


def start_run(connection: duckdb.DuckDBPyConnection, run: Run) -> None:
    """Record that a run began."""
    columns = "run_id, recipe_id, command, settings, versions, host, process, started_at"
    values = [run.run_id, run.recipe_id, run.command, canonical(run.settings), canonical(run.versions)]
    connection.execute(
        f"INSERT INTO run ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [*values, run.host, run.process, run.started_at]
    )


def end_run(connection: duckdb.DuckDBPyConnection, run_id: str, exit_code: int) -> None:
    """Record that a run ended."""
    connection.execute("UPDATE run SET ended_at = ?, exit_code = ? WHERE run_id = ?", [_now(), exit_code, run_id])


def pending(
    connection: duckdb.DuckDBPyConnection,
    recipe_id: str,
    shard: tuple[int, int] | None,
    limit: int | None,
    retry_failed: bool,
) -> list[ImageRef]:
    """Images without a verdict under the recipe; see `Store.pending`."""
    index, shards = shard or (1, 1)
    values = {"recipe": recipe_id, "retry": retry_failed, "shard": index - 1, "shards": shards, "limit": limit}
    return [ImageRef(*row) for row in connection.execute(_PENDING, values).fetchall()]


def stored_readings(
    connection: duckdb.DuckDBPyConnection, recipe: Recipe, image_ids: Sequence[str]
) -> dict[str, Reading]:
    """Readings another recipe with the same measures left; see `Store.stored_readings`."""
    values = {"measure": recipe.measure_id, "images": list(image_ids)}
    rows = connection.execute(_READINGS, values).fetchall()
    return {
        image_id: Reading(*file, notes=tuple(notes), measures=measures, elapsed_ms=elapsed)
        for image_id, *file, notes, measures, elapsed in rows
    }


def append(connection: duckdb.DuckDBPyConnection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    """Fill a temporary table of the verdicts' shape."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS FROM verdict LIMIT 0")
    with connection.appender(table) as appender:
        appender.append_rows(list(rows))


def write(connection: duckdb.DuckDBPyConnection, rows: Iterable[tuple[Any, ...]]) -> None:
    """Store verdict rows and the labels that follow from them in one transaction."""
    append(connection, "batch", rows)
    with transaction(connection):
        merge(connection)


def merge(connection: duckdb.DuckDBPyConnection) -> None:
    """Upsert the temporary table `batch` and its labels."""
    connection.execute("INSERT OR REPLACE INTO verdict FROM batch")
    connection.execute("INSERT OR REPLACE INTO label FROM derived('batch')")


def verdict_rows(verdicts: Sequence[Verdict], recipe_id: str, run_id: str) -> list[tuple[Any, ...]]:
    """Table rows of verdicts, in the columns' order; of two verdicts on one image the later counts."""
    now = _now()
    latest = {verdict.image_id: verdict for verdict in verdicts}
    return [_row(verdict, recipe_id, run_id, now) for verdict in latest.values()]


def _row(verdict: Verdict, recipe_id: str, run_id: str, now: datetime) -> tuple[Any, ...]:
    head = (verdict.image_id, recipe_id, run_id, verdict.status, verdict.route, verdict.rationale)
    return (*head, verdict.error_code, verdict.error_detail, *_reading(verdict.reading), now)


def _reading(reading: Reading | None) -> tuple[Any, ...]:
    if reading is None:
        return (None,) * 11
    size = (reading.width, reading.height, reading.bits)
    found = (list(reading.notes), dict(reading.measures), reading.elapsed_ms)
    return (
        *(reading.sha256, reading.file_bytes, reading.file_format, *size),
        *(reading.intensity_domain, reading.view, *found),
    )


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)
