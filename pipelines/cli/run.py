"""Verbs that run or measure the whole: demo, bench."""

from pathlib import Path
from typing import Annotated

import typer

from .options import LABELLED, Engine, Films, Json, Workers, writable

PANEL = "Run"
bench = typer.Typer(no_args_is_help=True, help="Measure speed and accuracy, each figure in one run.")


def register(app: typer.Typer) -> None:
    """Add this group's verbs to the command line."""
    app.command(rich_help_panel=PANEL)(demo)
    app.command(rich_help_panel=PANEL)(plan)
    app.add_typer(bench, name="bench", rich_help_panel=PANEL)


def demo(
    root: Annotated[Path, typer.Argument(metavar="DIR", help="new folder, or one that holds the demo")] = Path("demo"),
    judge: Annotated[
        str, typer.Option(metavar="auto|none|URL", help="auto serves the small judge where vLLM is installed")
    ] = "auto",
    as_json: Json = False,
) -> None:
    """Write a small synthetic MIMIC-CXR-JPG mirror and run the whole story on it."""
    from .. import settings
    from ..extras import require

    require("matplotlib", "figures")
    from ..demo.outcome import told
    from ..demo.stage import QUERY, Confusion, judge_of, tell
    from ..demo.training import tell_training
    from ..view import grid, out, progress, show, warn

    with judge_of(judge, settings.load(), warn) as chosen:
        story = tell(root, chosen, progress, warn)
    trained = tell_training(root, settings.load(), progress, warn)
    if not as_json:
        out.print(f"\n{QUERY}\n", highlight=False)
    grid(story.answer.columns, story.answer.rows, "Verdicts", as_json)
    grid(Confusion._fields, story.confusion, "Defects put in, against verdicts", as_json)
    grid(("track", "cases"), list(story.benchmark.exported.tracks.items()), "LRRG benchmark", as_json)
    if story.seen.rows:
        grid(story.seen.columns, story.seen.rows, f"Judge on {story.film}: probability of severity 0 to 3", as_json)
    if trained:
        told(trained.gaps, as_json)
    if as_json:
        written = (story.database, story.splits, story.report, story.card)
        show(dict(zip(("database", "splits", "report", "card"), map(str, written), strict=True)), as_json)
        return
    out.print(f"Verdicts {story.database}, benchmark {story.splits}, report to open {story.report}", highlight=False)
    out.print(f"One film, step by step: {story.card}", highlight=False)


def plan(
    images: Annotated[int, typer.Option(min=1, help="films; by default those of MIMIC-CXR")] = 377_110,
    machines: Annotated[int, typer.Option(min=1, help="of a cluster; 1 plans for the local engine")] = 1,
    cores: Annotated[int, typer.Option(min=1, help="of each machine")] = 32,
    workers: Annotated[int | None, typer.Option(min=1, help="films measured at once on each; one a core")] = None,
    wait: Annotated[float, typer.Option(min=0, help="milliseconds to the first byte of a film")] = 0.0,
    stream: Annotated[float, typer.Option(min=0.1, help="MB/s of one film that arrives")] = 1000.0,
    network: Annotated[float, typer.Option(min=1, help="MB/s of all films together")] = 100_000.0,
    judged: Annotated[float, typer.Option(min=0, max=1, help="share of the films that a judge is asked about")] = 0.0,
    judges: Annotated[int, typer.Option(min=1, help="model servers")] = 1,
    judge_rate: Annotated[float, typer.Option(min=0.001, help="films a second of each model server")] = 16.0,
    parts: Annotated[Path | None, typer.Option(help="parts measured by `bench scale --out`; shipped ones")] = None,
    as_json: Json = False,
) -> None:
    """Say how long a run would take on hardware you describe, and which part of it would be the bottleneck."""
    from ..scale.parts import SHIPPED, read_parts
    from ..scale.plan import Demand, plan
    from ..scale.simulate import Hardware
    from ..view import show, table

    measured = read_parts(parts or SHIPPED)
    slots, speeds = workers or cores, (wait / 1e3, stream * 1e6, network * 1e6)
    found = plan(images, measured, Hardware(machines, cores, slots, *speeds, judges, judge_rate, judged))
    show(found.summary() | ({"demands": [each._asdict() for each in found.demands]} if as_json else {}), as_json)
    if not as_json:
        table(Demand._fields, found.demands, f"parts measured on {measured.machine}")


@bench.command("scale")
def bench_scale(
    images: Annotated[int, typer.Option(min=10, help="films of the runs that are forecast and made")] = 400,
    workers: Annotated[int | None, typer.Option(help="worker processes, or tasks at once; one a core")] = None,
    engine: Annotated[Engine | None, typer.Option(help="that alone; both by default")] = None,
    judge: Annotated[str | None, typer.Option(metavar="URL", help="asked about every film, on other cores")] = None,
    out: Annotated[Path | None, typer.Option(callback=writable, help="write the parts, for `plan --parts`")] = None,
    as_json: Json = False,
) -> None:
    """Measure what a run is made of, forecast runs from that, and hold the forecasts against real runs."""
    from .. import settings
    from ..bench.scale import Check, bench_scale
    from ..view import show, table

    chosen = settings.load(annotate={"workers": workers}, judge={"urls": (judge,) if judge else None})
    parts, checks = bench_scale(chosen, images, [engine] if engine else ["local", "ray"])
    if out:
        parts.save(out)
    for check in checks if as_json else ():
        show(check._asdict(), as_json)
    if not as_json:
        table(Check._fields, checks, "Seconds; measured without what others took from the machine")


@bench.command("annotate")
def bench_annotate(
    films: Annotated[Path | None, typer.Argument(help="folder of JPEG or PNG films; phantoms by default")] = None,
    images: Annotated[int, typer.Option(min=10, help="films in the run; a small folder is read again")] = 200,
    workers: Workers = None,
    as_json: Json = False,
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


@bench.command("engines")
def bench_engines(
    images: Annotated[int, typer.Option(min=100, help="films of each engine's run; small phantoms")] = 2000,
    workers: Workers = None,
    rows: Annotated[int, typer.Option(min=1, help="verdicts to merge; by default as many as MIMIC-CXR")] = 377_110,
    shards: Annotated[int, typer.Option(min=1, help="files these come in")] = 93,
    stored: Annotated[int, typer.Option(min=4096, help="stored readings for the driver's memory")] = 40_960,
    as_json: Json = False,
) -> None:
    """Compare the engines on one machine: CPU time of every process, the driver's memory; time the merge of shards."""
    from .. import settings
    from ..bench import engines
    from ..view import grid

    chosen = settings.load(annotate={"workers": workers})
    grid(engines.EngineCost._fields, engines.bench_engines(chosen, images), f"{images} small films", as_json)
    grid(engines.Driver._fields, engines.bench_driver(chosen, stored), "A cluster's driver", as_json)
    grid(engines.Merged._fields, engines.bench_merge(chosen, rows, shards), "Shard files into one database", as_json)
    grid(engines.Kept._fields, engines.bench_memory(chosen, rows), "Files of full tasks, one by one", as_json)


@bench.command("sql")
def bench_sql(
    images: Annotated[int, typer.Option(min=1, help="rows; by default as many as MIMIC-CXR")] = 377_110,
    as_json: Json = False,
) -> None:
    """Time questions about `labels` on a synthetic database of MIMIC-CXR's size."""
    from ...agent.policy import load
    from .. import settings
    from ..annotate.stage import recipe_of
    from ..bench.sql import Timing, bench_sql
    from ..view import grid, progress

    with progress("questions", None) as advance:
        found = [timing for timing in bench_sql(recipe_of(load(settings.load().agent.policy)), images) if not advance()]
    grid(Timing._fields, found, f"{images} images, best of three", as_json)


@bench.command("score")
def bench_score(
    draws: Annotated[int, typer.Option(min=100, help="bootstrap samples")] = 10_000,
    as_json: Json = False,
) -> None:
    """Time labelling, metrics and the patient bootstrap on a test set of MIMIC-CXR's size."""
    from ..bench.score import Cost, bench_score
    from ..view import grid

    grid(Cost._fields, bench_score(draws), "One core; synthetic reports", as_json)


@bench.command("tools")
def bench_tools(
    films: Films,
    as_json: Json = False,
) -> None:
    """Accuracy of every quality tool on spoiled films, what the agent says of them, CPU time; a few minutes."""
    from ...agent.policy import load
    from .. import settings
    from ..bench.tools import report
    from ..view import grid, progress

    with progress("films", None) as advance:
        grids = report(films, load(settings.load().agent.policy), advance)
    for each in grids:
        grid(each.columns, each.rows, each.title, as_json)


@bench.command("degrade")
def bench_degrade(
    films: Annotated[
        Path | None,
        typer.Argument(exists=True, file_okay=False, help=f"{LABELLED} to solve the severities on"),
    ] = None,
    ladder: Annotated[Path | None, typer.Option(help="ladder file; the shipped LRRG-C by default")] = None,
    out: Annotated[Path | None, typer.Option(callback=writable, help="write the ladder here")] = None,
    as_json: Json = False,
) -> None:
    """List the defects of LRRG-C with their severities, and time each on a full-resolution film."""
    from ...benchmark.ladder import SHIPPED, read_ladder, write_ladder
    from ..bench.degrade import DefectRow, bench_degrade, calibrated
    from ..view import grid, warn

    chosen = read_ladder(ladder or SHIPPED)
    if films:
        chosen, kept = calibrated(chosen, films)
        warn(f"severities kept: {reason}" for reason in kept)
    if out:
        write_ladder(chosen, out)
    title = f"{chosen.name} v{chosen.version}, 2544 x 3056, severity 3"
    grid(DefectRow._fields, list(bench_degrade(chosen)), title, as_json)


@bench.command("finetune")
def bench_finetune(
    rounds: Annotated[int, typer.Option(min=2, help="steps a strategy; the least CPU time counts")] = 5,
    films: Annotated[int, typer.Option(min=2, help="films a step, both regimes together")] = 16,
    as_json: Json = False,
) -> None:
    """Time and memory of a step of the dual loop, PCGrad and Fish against plain fine-tuning on the same tokens."""
    from ..extras import require

    require("peft", "train")
    from ..finetune.bench import StepCost, bench_finetune
    from ..view import show, table

    sized, costs = bench_finetune(rounds, films)
    show(sized._asdict(), as_json)
    if as_json:
        for cost in costs:
            show(cost._asdict(), as_json)
    else:
        table(StepCost._fields, costs, "One core; the ways take turns, memory in a process each")
