"""`lrrg status`: how far the verdicts are, what they say, and what went wrong."""

from pathlib import Path
from typing import Any, NamedTuple

from .store import Result, Store


class Status(NamedTuple):
    """A database in a few tables; the verdicts are those of the latest recipe."""

    progress: Result
    by_status: Result
    by_regime: Result
    by_route: Result
    failures: Result
    last_run: Result

    def plain(self) -> dict[str, list[dict[str, Any]]]:
        """The same as JSON: one list of objects a table."""
        return {name: table.records() for name, table in self._asdict().items()}


_PROGRESS = """
SELECT images, verdicts, images - verdicts AS pending, latest_recipe()[:12] AS recipe
FROM (SELECT count(*) AS images FROM image), (SELECT count(*) AS verdicts FROM labels)
"""
_COUNTS = "SELECT {0}, count(*) AS images FROM labels WHERE {0} IS NOT NULL GROUP BY {0} ORDER BY images DESC, {0}"
_FAILURES = """
SELECT status, error_code, count(*) AS images, min(path) AS example FROM failures
GROUP BY ALL ORDER BY images DESC, error_code
"""
_LAST_RUN = """
SELECT
    run_id, date_trunc('second', started_at)::VARCHAR AS started, date_trunc('second', ended_at)::VARCHAR AS ended,
    exit_code, verdicts, seconds, rate
FROM runs ORDER BY started_at DESC LIMIT 1
"""


def status(db: Path) -> Status:
    """Summarise a database.

    Raises:
        StoreError: see `Store.open`.
    """
    counts = (_COUNTS.format(column) for column in ("status", "regime", "route"))
    with Store.open(db, read_only=True) as store:
        return Status(*(store.query(sql) for sql in (_PROGRESS, *counts, _FAILURES, _LAST_RUN)))
