"""Verbs around the judge: serve, calibrate, bench judge, bench reconcile."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from .options import LABELLED, Films, Json, Policy, PolicyFile, Workers
from .run import bench

PANEL = "Judge"


def register(app: typer.Typer) -> None:
    """Add this group's verbs to the command line."""
    app.command(rich_help_panel=PANEL)(serve)
    app.command(rich_help_panel=PANEL)(calibrate)


def serve(
    role: Annotated[Literal["judge", "reporter"], typer.Argument(help="what is served")],
    extra: Annotated[list[str] | None, typer.Argument(metavar="[-- FLAG …]", help="more flags for vllm serve")] = None,
    model: Annotated[
        str | None, typer.Option(metavar="DIR|NAME", help="folder, or name on the hub (default: the judge that fits)")
    ] = None,
    host: Annotated[str | None, typer.Option(help="address to listen on (default: this machine only)")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="0 for any that is free (default: 8000)")] = None,
    as_json: Json = False,
) -> None:
    """Start a vLLM server, say when it answers, start it again if it dies, and end it on Ctrl-C."""
    from .. import settings
    from ..serving import serve
    from ..view import show, warn

    chosen = settings.load(serve={"host": host, "port": port})
    serve(role, chosen, model, extra or (), lambda facts: show(facts, as_json), lambda message: warn([message]))


def calibrate(
    db: Annotated[Path, typer.Option("--db", help="database annotated with the judge; with FILMS it will be")],
    out: PolicyFile,
    films: Annotated[
        Path | None,
        typer.Argument(exists=True, file_okay=False, help=f"{LABELLED} to ask about (default: reviewed ones in DB)"),
    ] = None,
    judge: Annotated[str | None, typer.Option(metavar="URL[,URL]", help="servers of the judge, with FILMS")] = None,
    policy: Annotated[str | None, typer.Option("--policy", help="policy that the judge joins")] = None,
    refit: Annotated[bool, typer.Option("--refit", help="that policy was fitted on these films: hold it out")] = False,
    trained: Annotated[Path | None, typer.Option(help="patients.json of the judge: leave its patients out")] = None,
    calibration: Annotated[Path | None, typer.Option(help="calibration.json of the judge")] = None,
    curves: Annotated[Path | None, typer.Option(help="folder for reliability.csv and cost.csv")] = None,
    as_json: Json = False,
) -> None:
    """Fit how a judge joins the tools; print what it adds on films held out, and how true its probabilities are."""
    from .. import settings, view
    from ..calibrate.stage import Order, calibrate, write_outcome

    chosen = settings.load(agent={"policy": policy}, judge={"urls": tuple(judge.split(",")) if judge else None})
    outcome = calibrate(Order(db, films, trained, refit, calibration), chosen, view.progress)
    write_outcome(outcome, out, curves)
    view.warn(outcome.notes)
    if as_json:
        view.show({"policy": str(out), "finding": outcome.finding, **outcome.tables}, as_json)
        return
    for title, rows in outcome.tables.items():
        view.table(tuple(rows[0]), [tuple(row.values()) for row in rows], title)
    view.out.print(f"{outcome.finding} Policy: {out}", highlight=False)


@bench.command("judge")
def bench_judge(
    judge: Annotated[str, typer.Option(metavar="URL", help="the judge's server")],
    films: Annotated[Path | None, typer.Argument(help="folder of films; phantoms by default")] = None,
    images: Annotated[int, typer.Option(min=2, help="films a round")] = 160,
    rounds: Annotated[int, typer.Option(min=2, help="rounds of both, in turns")] = 4,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Compare the agent's requests a second with a bare load generator's, which replays them to the same judge."""
    from .. import settings
    from ..bench.judge import Arm, bench_judge
    from ..view import progress, show, table

    chosen = settings.load(annotate={"workers": workers}, judge={"urls": (judge,)})
    with progress("rounds", rounds) as advance:
        kept = bench_judge(films, chosen, images, rounds, advance)
    show({**kept.summary(), **({"arms": [arm._asdict() for arm in kept.arms]} if as_json else {})}, as_json)
    if not as_json:
        table(Arm._fields, kept.arms)


@bench.command("reconcile")
def bench_reconcile(
    films: Films,
    judge: Annotated[str, typer.Option(metavar="URL[,URL]", help="servers of the judge")],
    policy: Policy = None,
    number: Annotated[int, typer.Option(min=1, help="good films to spoil, in each half of the patients")] = 24,
    workers: Workers = None,
    as_json: Json = False,
) -> None:
    """Hold tools, judge and the rule that settles between them against defects of known severity."""
    from .. import settings
    from ..bench.reconcile import bench_reconcile
    from ..view import facts, progress, show

    urls = tuple(judge.split(","))
    chosen = settings.load(agent={"policy": policy}, annotate={"workers": workers}, judge={"urls": urls})
    found = bench_reconcile(films, chosen, number, progress)
    told = {"fitted": found.fitted._asdict(), "errors": found.errors, "rulings": found.rulings}
    show(told, as_json) if as_json else facts("reconcile", told)
