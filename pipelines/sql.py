"""`lrrg sql`: the answer to a question about the verdicts, as text or as a file."""

import csv
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

from .errors import SettingsError
from .files import atomic
from .finite import finite
from .store.ask import Answer, ask, export

SHOWN = 100
"""Rows a table on the terminal holds."""


class Page(NamedTuple):
    """The first rows of an answer."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    cut: bool
    """Whether there were more."""


def first_page(db: Path, sql: str) -> Page:
    """What fits a terminal."""
    with ask(db, sql) as answer:
        rows = list(islice(answer.rows, SHOWN + 1))
        return Page(answer.columns, rows[:SHOWN], len(rows) > SHOWN)


def write(db: Path, sql: str, form: str, out: Path | None) -> None:
    """Write the whole answer to `out`, or to standard output without one; rows are streamed.

    Args:
        db: database file.
        sql: one SELECT.
        form: `csv` (with a header), `json` (one object a line; NaN and infinities are null) or `parquet` (a file only).
        out: appears whole or not at all.

    Raises:
        SettingsError: `parquet` without `out`.
        QueryError, StoreError: see `store.ask`.
    """
    if form == "parquet":
        if out is None:
            raise SettingsError("sql: --format parquet needs --out FILE")
        export(db, sql, out)
        return
    with ask(db, sql) as answer, _stream(out) as stream:
        WRITERS[form](answer, stream)


@contextmanager
def _stream(out: Path | None) -> Iterator[IO[str]]:
    if out is None:
        yield sys.stdout
        return
    with atomic(out) as part, part.open("w", encoding="utf-8", newline="") as stream:
        yield stream


def _csv(answer: Answer, stream: IO[str]) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows(map(_cells, answer.rows))


def _cells(row: Iterable[Any]) -> list[Any]:
    return [json.dumps(value, default=_plain) if isinstance(value, list | dict) else value for value in row]


def _json(answer: Answer, stream: IO[str]) -> None:
    for row in answer.rows:
        named = dict(zip(answer.columns, row, strict=True))
        try:
            line = json.dumps(named, default=_plain, ensure_ascii=False, allow_nan=False)
        except ValueError:
            line = json.dumps(finite(named), default=_plain, ensure_ascii=False, allow_nan=False)
        stream.write(line + "\n")


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return float(value) if isinstance(value, Decimal) else str(value)


WRITERS: dict[str, Callable[[Answer, IO[str]], None]] = {"csv": _csv, "json": _json}
