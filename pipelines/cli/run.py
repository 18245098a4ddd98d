"""Verbs that run or measure the whole: demo, bench."""

from pathlib import Path
from typing import Annotated

import typer

PANEL = "Run"
bench = typer.Typer(no_args_is_help=True, help="Measure speed and accuracy, each figure in one run.")


def register(app: typer.Typer) -> None:
    """Add this group's verbs to the command line."""
    app.add_typer(bench, name="bench", rich_help_panel=PANEL)


@bench.command("sql")
def bench_sql(
    images: Annotated[int, typer.Option(min=1, help="rows; by default as many as MIMIC-CXR")] = 377_110,
) -> None:
    """Time questions about `labels` on a synthetic database of MIMIC-CXR's size."""
    from ...agent.policy import load
    from .. import settings
    from ..annotate import recipe_of
    from ..bench_sql import Timing, bench_sql
    from ..view import progress, table

    with progress("questions", None) as advance:
        found = [timing for timing in bench_sql(recipe_of(load(settings.load().agent.policy)), images) if not advance()]
    table(Timing._fields, found, f"{images} images, best of three")


@bench.command("tools")
def bench_tools(
    films: Annotated[Path, typer.Argument(help="folder of hand-labelled films with manifest*.csv")],
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON line a row")] = False,
) -> None:
    """Accuracy of every quality tool on spoiled films, why textbook measures stay out, CPU time; a few minutes."""
    from ..bench.tools import report
    from ..view import progress, show, table

    with progress("films", None) as advance:
        grids = report(films, advance)
    for grid in grids:
        if as_json:
            for row in grid.rows:
                show({"table": grid.title, **dict(zip(grid.columns, row, strict=True))}, as_json)
        else:
            table(grid.columns, grid.rows, grid.title)
