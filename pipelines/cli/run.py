"""Verbs that run or measure the whole: demo, bench."""

from pathlib import Path
from typing import Annotated

import typer

PANEL = "Run"
bench = typer.Typer(no_args_is_help=True, help="Measure speed and accuracy, each figure in one run.")


def register(app: typer.Typer) -> None:
    """Add this group's verbs to the command line."""
    app.command(rich_help_panel=PANEL)(demo)
    app.add_typer(bench, name="bench", rich_help_panel=PANEL)


def demo(
    root: Annotated[Path, typer.Argument(metavar="DIR", help="new folder, or one that holds the demo")] = Path("demo"),
) -> None:
    """Write a small synthetic MIMIC-CXR-JPG mirror and run the whole story on it."""
    from .. import settings
    from ..extras import require

    require("matplotlib", "figures")
    from ..story import QUERY, Confusion, tell
    from ..view import out, progress, table, warn

    story = tell(root, settings.load(), progress, warn)
    out.print(f"\n{QUERY}\n", highlight=False)
    table(story.answer.columns, story.answer.rows)
    table(Confusion._fields, story.confusion, "Defects put in, against verdicts")
    table(("track", "cases"), list(story.benchmark.tracks.items()), "LRRG benchmark")
    out.print(f"Verdicts {story.database}, benchmark {story.splits}, report to open {story.report}", highlight=False)


@bench.command("annotate")
def bench_annotate(
    films: Annotated[Path | None, typer.Argument(help="folder of JPEG or PNG films; phantoms by default")] = None,
    images: Annotated[int, typer.Option(min=10, help="films in the run; a small folder is read again")] = 200,
    workers: Annotated[int | None, typer.Option(help="worker processes (default: one a core)")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Compare a whole run with bare decoding of the same films: CPU time of every process, memory."""
    from .. import settings
    from ..bench.annotate import bench_annotate
    from ..view import show, table

    speed = bench_annotate(films, settings.load(annotate={"workers": workers}), images)
    show(speed.summary(), as_json)
    for title, rows in (("CPU time", speed.parts), ("peak memory of the largest process, MB", speed.memory)):
        if as_json:
            for row in rows:
                show({"table": title, **row._asdict()}, as_json)
        else:
            table(rows[0]._fields, rows, title)


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


@bench.command("score")
def bench_score(draws: Annotated[int, typer.Option(min=100, help="bootstrap samples")] = 10_000) -> None:
    """Time labelling, metrics and the patient bootstrap on a test set of MIMIC-CXR's size."""
    from ..bench.score import Cost, bench_score
    from ..view import table

    table(Cost._fields, bench_score(draws), "One core; synthetic reports")


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


@bench.command("degrade")
def bench_degrade(
    ladder: Annotated[Path | None, typer.Option(help="ladder file; the shipped LRRG-C by default")] = None,
    films: Annotated[Path | None, typer.Option(help="solve the severities on these hand-labelled films first")] = None,
    out: Annotated[Path | None, typer.Option(help="write the ladder here")] = None,
) -> None:
    """List the defects of LRRG-C with their severities, and time each on a full-resolution film."""
    from ...benchmark.ladder import SHIPPED, read_ladder, write_ladder
    from ..bench.degrade import DefectRow, bench_degrade, calibrated
    from ..view import table, warn

    chosen = read_ladder(ladder or SHIPPED)
    if films:
        chosen, kept = calibrated(chosen, films)
        warn(f"severities kept: {reason}" for reason in kept)
    if out:
        write_ladder(chosen, out)
    table(DefectRow._fields, list(bench_degrade(chosen)), f"{chosen.name} v{chosen.version}, 2544 x 3056, severity 3")
