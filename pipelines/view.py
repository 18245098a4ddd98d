"""What a person sees on the terminal: tables and progress. The only room that knows rich, with the command line."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from rich import progress as bars
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .finite import finite

out = Console()
err = Console(stderr=True)
PLAIN_SECONDS = 10.0
"""Between two plain progress lines where standard error is not a terminal."""


class Advance(Protocol):
    """How long work reports that it got on."""

    def __call__(self, done: int = 1, **counts: int) -> None:
        """Count `done` more units; `counts` are running totals to show beside the bar (`failed=3`)."""
        ...


Progress = Callable[[str, int | None], AbstractContextManager[Advance]]
"""What stages are given to show long work with: a label, and how many units there are where that is known."""


@contextmanager
def progress(label: str, total: int | None, *, shown: bool = True) -> Iterator[Advance]:
    """Show rate, ETA and counts of long work: a bar on a terminal, a plain line every few seconds otherwise."""
    if not shown:
        yield lambda done=1, **counts: None
        return
    bar = _bar(label, total) if err.is_terminal else _lines(label, total)
    with bar as advance:
        yield advance


@contextmanager
def _bar(label: str, total: int | None) -> Iterator[Advance]:
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[rate]}"),
        bars.TimeElapsedColumn(),
        bars.TimeRemainingColumn(),
        bars.TextColumn("{task.fields[counts]}"),
    )
    with bars.Progress(*columns, console=err) as bar:
        task = bar.add_task(label, total=total, rate="", counts="")
        started = time.monotonic()
        done_so_far = 0

        def advance(done: int = 1, **counts: int) -> None:
            nonlocal done_so_far
            done_so_far += done
            rate = f"{done_so_far / max(time.monotonic() - started, 1e-9):.1f}/s"
            bar.update(task, advance=done, rate=rate, counts=_counts(counts))

        yield advance


@contextmanager
def _lines(label: str, total: int | None) -> Iterator[Advance]:
    started = last = time.monotonic()
    done_so_far = 0
    shown: Mapping[str, int] = {}

    def line() -> str:
        rate = done_so_far / max(time.monotonic() - started, 1e-9)
        of = f"/{total}" if total is not None else ""
        left = f", {max(total - done_so_far, 0) / rate:.0f} s left" if total is not None and rate else ""
        return f"{label}: {done_so_far}{of}, {rate:.1f}/s{left} {_counts(shown)}".rstrip()

    def advance(done: int = 1, **counts: int) -> None:
        nonlocal done_so_far, last, shown
        done_so_far += done
        shown = counts
        if time.monotonic() - last >= PLAIN_SECONDS:
            last = time.monotonic()
            err.print(line(), highlight=False)

    yield advance
    err.print(line(), highlight=False)


def _counts(counts: Mapping[str, int]) -> str:
    return " ".join(f"{name} {count}" for name, count in counts.items())


def show(counts: Mapping[str, Any], as_json: bool) -> None:
    """Print named values: one JSON line for a program (NaN and infinities are null), a table for a person."""
    if as_json:
        print(json.dumps(finite(dict(counts)), allow_nan=False), flush=True)
    else:
        table(tuple(counts), [tuple(counts.values())])


def warn(messages: Iterable[str]) -> None:
    """Print what a person should know but need not act on, one line each."""
    for message in messages:
        err.print(f"lrrg: {message}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def facts(title: str, found: Mapping[str, Any]) -> None:
    """Print named values under a title; a list of rows becomes a table of its own below them."""
    tables = {name: value for name, value in found.items() if isinstance(value, list) and value}
    named = [(name, value) for name, value in found.items() if name not in tables and value not in (None, "", (), [])]
    table(("", ""), named, title)
    for name, rows in tables.items():
        table(tuple(rows[0]), [tuple(row.values()) for row in rows], name)


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> None:
    """Print rows as a table; numbers align right, None shows as an empty cell; without names there is no head."""
    grid = Table(title=title and Text(title, "table.title"), title_justify="left", show_header=any(columns))
    for index, column in enumerate(columns):
        numeric = all(isinstance(row[index], int | float) or row[index] is None for row in rows)
        grid.add_column(Text(column), justify="right" if numeric and rows else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(_cell(value)) for value in row))
    out.print(grid)


def answer(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows of any number of columns: each row as a table of its own where the names do not fit side by side."""
    if sum(len(name) + len(" ┃ ") for name in columns) < out.width:
        table(columns, rows)
        return
    if not rows:
        out.print("no rows")
    for number, row in enumerate(rows, 1):
        table(("", ""), list(zip(columns, row, strict=True)), f"row {number}")


def grid(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str, as_json: bool) -> None:
    """Print rows: one JSON line each for a program, with the title as `table`; a table for a person."""
    if not as_json:
        table(columns, rows, title)
        return
    for row in rows:
        show({"table": title, **dict(zip(columns, row, strict=True))}, as_json)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_cell(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)
