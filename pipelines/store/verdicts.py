"""Verdicts on their way into the database: rows, and the labels that follow from them."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import duckdb

from ...agent.state import Judgement, Reading, Verdict
from .connection import now

SHAPE = "SELECT * EXCLUDE (image_number, recipe_number) FROM verdict LIMIT 0"
"""The verdicts' columns without those that the catalog of a database alone can fill."""
_LABEL = (None,) * 9
"""Columns of a label, which follow from the others."""


def stage(connection: duckdb.DuckDBPyConnection, rows: Iterable[tuple[Any, ...]]) -> None:
    """Let the temporary view `labelled` show these rows with the labels that follow from them."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE batch AS {SHAPE}")
    connection.execute("CREATE TEMP VIEW IF NOT EXISTS labelled AS FROM derived('batch')")
    with connection.appender("batch") as appender:
        appender.append_rows(list(rows))


def write(connection: duckdb.DuckDBPyConnection, rows: Iterable[tuple[Any, ...]]) -> None:
    """Store verdict rows with the labels that follow from them; one that stands is replaced."""
    stage(connection, rows)
    try:
        connection.execute("INSERT INTO verdict BY NAME FROM numbered('labelled')")
    except duckdb.ConstraintException:  # one stands already; to look for it first takes three times as long
        connection.execute("INSERT OR REPLACE INTO verdict BY NAME FROM numbered('labelled')")


def verdict_rows(verdicts: Sequence[Verdict], recipe_id: str, run_id: str) -> list[tuple[Any, ...]]:
    """Table rows of verdicts, in the columns' order; of two verdicts on one image the later counts."""
    created_at = now()
    latest = {verdict.image_id: verdict for verdict in verdicts}
    return [_row(verdict, recipe_id, run_id, created_at) for verdict in latest.values()]


def _row(verdict: Verdict, recipe_id: str, run_id: str, created_at: datetime) -> tuple[Any, ...]:
    head = (verdict.image_id, recipe_id, run_id, verdict.status, verdict.route, verdict.rationale)
    found = (verdict.error_code, verdict.error_detail, *_reading(verdict.reading), created_at)
    return (*head, *found, *_judgement(verdict.judgement), verdict.reply, *_LABEL)


def _judgement(said: Judgement | None) -> tuple[Any, ...]:
    if said is None:
        return (None,) * 7
    steps = [{"asked": step.request.model_dump(), "told": step.told} for step in said.steps]
    return (
        *(said.why, {aspect: list(each) for aspect, each in said.probabilities.items()}, said.confidence),
        json.dumps(steps) if steps else None,
        {aspect: ruling.severity for aspect, ruling in said.rulings.items()},
        {aspect: ruling.by for aspect, ruling in said.rulings.items()},
        dict(said.again),
    )


def _reading(reading: Reading | None) -> tuple[Any, ...]:
    if reading is None:
        return (None,) * 12
    size = (reading.width, reading.height, reading.bits)
    found = (list(reading.notes), dict(reading.measures), reading.elapsed_ms)
    return (
        *(reading.sha256, reading.fingerprint, reading.file_bytes, reading.file_format, *size),
        *(reading.intensity_domain, reading.view, *found),
    )
