"""Verbs that build and read the verdicts: catalog, annotate, ingest, explain, status, sql, tools."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ..errors import SettingsError
from .options import Db, Engine, Json, Policy, Workers, writable

PANEL = "Annotate"
Judge = Annotated[str | None, typer.Option("--judge", metavar="URL[,URL]|none", help="servers of a judge, or none")]
Model = Annotated[str | None, typer.Option("--model", help="name the judge is served under (default: the first)")]
When = Annotated[
    Literal["all", "uncertain"] | None, typer.Option("--judge-when", help="which films the judge sees (default: all)")
]
Format = Literal["table", "csv", "json", "parquet"]


def judge_settings(judge: str | None, model: str | None, when: str | None = None) -> dict[str, Any]:
    """What `--judge`, `--model` and `--judge-when` say, as settings; None where they say nothing."""
    urls = None if judge is None else () if judge == "none" else tuple(judge.split(","))
    return {"urls": urls, "model": model, "when": when}


def refuse_unheard(urls: Sequence[str], model: str | None, when: str | None) -> None:
    """Refuse options of a judge where none is asked: a run without the judge one had in mind takes as long.

    Raises:
        SettingsError: `--model` or `--judge-when` without a judge.
    """
    given = {"--model": model, "--judge-when": when}
    if not urls and (options := [f"{name} {value}" for name, value in given.items() if value]):
        raise SettingsError(f"{options[0]}: no judge is asked; name its server with --judge")


def register(app: typer.Typer) -> None:
    """Add this group's verbs to the command line."""
    app.command(rich_help_panel=PANEL)(catalog)
    app.command(rich_help_panel=PANEL)(annotate)
    app.command(rich_help_panel=PANEL)(ingest)
    app.command(rich_help_panel=PANEL)(explain)
    app.command(rich_help_panel=PANEL)(status)
    app.command(rich_help_panel=PANEL)(sql)
    app.command(rich_help_panel=PANEL)(tools)


def catalog(
    root: Annotated[
        str, typer.Argument(metavar="DIR|URL", help="MIMIC-CXR tree, other data set, any images; s3:// and gs:// too")
    ],
    db: Db,
    reports: Annotated[str | None, typer.Option(help="folder or zip of report texts outside the tree")] = None,
    as_json: Json = False,
) -> None:
    """Register every image of a folder; running it again adds what is new."""
    from .. import settings
    from ..catalog.stage import catalog, database
    from ..places import location
    from ..view import progress, show, table, warn

    limits = settings.load().read
    where, texts = location(root, limits), location(reports, limits) if reports else None
    with progress("catalog", None) as advance, database(db) as store:
        summary = catalog(where, store, texts, advance)
    warn(summary.warnings)
    if as_json:
        show(summary.as_dict(), as_json)
    else:
        table((summary.dataset, "count"), summary.rows())


def annotate(
    db: Db,
    judge: Judge = None,
    model: Model = None,
    judge_when: When = None,
    policy: Policy = None,
    engine: Annotated[Engine | None, typer.Option(help="this machine, or a Ray cluster")] = None,
    address: Annotated[
        str | None, typer.Option(help="of the cluster (default: RAY_ADDRESS, else a Ray of its own)")
    ] = None,
    workers: Workers = None,
    limit: Annotated[int | None, typer.Option(min=1, help="take on at most so many images")] = None,
    shard: Annotated[str | None, typer.Option(metavar="k/N", help="do the k-th of N parts, into files")] = None,
    shards: Annotated[Path | None, typer.Option(help="folder of shard files (default: beside the database)")] = None,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="failed and missing images again")] = False,
    max_failures: Annotated[float | None, typer.Option(help="fraction without a verdict; beyond it, exit 3")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say how many images are pending")] = False,
    as_json: Json = False,
) -> None:
    """Score every pending image of the catalog; the same command resumes after any stop."""
    from .. import settings
    from ..annotate.stage import Order, annotate, count_pending, parse_shard
    from ..view import progress, show, warn

    chosen = settings.load(
        agent={"policy": policy},
        annotate={"engine": engine, "shards": shards, "workers": workers, "max_failures": max_failures},
        ray={"address": address},
        judge=judge_settings(judge, model, judge_when),
    )
    refuse_unheard(chosen.judge.urls, model, judge_when)
    order = Order(limit, retry_failed, parse_shard(shard) if shard else None)
    if dry_run:
        show({"pending": count_pending(db, chosen, order, warn)}, as_json)
        return
    outcome = annotate(db, chosen, order, progress, warn)
    if outcome.counts or outcome.stopped_by is None:
        show(outcome.counts or {"pending": 0}, as_json)
    if outcome.stopped_by is not None:
        warn([f"stopped by {outcome.stopped_by.name}; the same command goes on from here"])
    elif outcome.failed:
        warn(["more images without a verdict than --max-failures allows; lrrg status names their codes"])
    raise typer.Exit(outcome.exit_code)


def ingest(
    folder: Annotated[Path, typer.Argument(help="folder of shard files: the database's name with .shards added")],
    db: Db,
    as_json: Json = False,
) -> None:
    """Merge the files that annotate --shard wrote; doing it again changes nothing."""
    from ..annotate.stage import ingest
    from ..view import show

    show({"new_verdicts": ingest(db, folder)}, as_json)


def explain(
    image: Annotated[str, typer.Argument(metavar="FILE|URL", help="PNG, JPEG or DICOM file")],
    judge: Judge = None,
    model: Model = None,
    policy: Policy = None,
    position: Annotated[str | None, typer.Option("--view", help="view position, where the file does not say")] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", dir_okay=False, callback=writable, help="write a page that shows all this on the film"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Decide on one image and show every step: measures beside usual ones, contributions, verdict (none: exit 3)."""
    from .. import settings, view
    from ..annotate.explain import explain
    from ..places import film

    chosen = settings.load(agent={"policy": policy}, judge=judge_settings(judge, model))
    refuse_unheard(chosen.judge.urls, model, None)
    where, steps = film(image, chosen.read), list[tuple[str, dict[str, Any]]]()

    def tell(step: str, found: dict[str, Any]) -> None:
        steps.append((step, found))
        if as_json:
            view.show({"step": step, **found}, as_json)
        else:
            view.facts(step, found)

    exit_code = explain(where, chosen, position, tell, view.warn)
    if html:
        from ..report.card import write_card

        write_card(where, steps, chosen, html)
    raise typer.Exit(exit_code)


def status(db: Db, as_json: Json = False) -> None:
    """Say how far the verdicts are: counts by status, regime and route, failures by code, the last run."""
    from ..status import status
    from ..view import facts, show, table

    found = status(db)
    if as_json:
        show(found.plain(), as_json)
        return
    for name, each in found._asdict().items():
        title = name.replace("_", " ")
        if name in ("progress", "last_run"):
            for row in each.records():
                facts(title, row)
        elif each.rows:
            table(each.columns, each.rows, title)


def sql(
    query: Annotated[str, typer.Argument(metavar="SELECT", help="one SELECT; docs/schema.md lists tables and views")],
    db: Db,
    form: Annotated[Format, typer.Option("--format", help="json prints one object a line")] = "table",
    out: Annotated[
        Path | None, typer.Option(dir_okay=False, callback=writable, help="file to write instead of the terminal")
    ] = None,
) -> None:
    """Ask the database in SQL; nothing is ever written to it."""
    from ..sql import SHOWN, first_page, write
    from ..view import answer, warn

    if form != "table":
        write(db, query, form, out)
        return
    if out is not None:
        raise SettingsError("sql: --out needs --format csv, json or parquet")
    page = first_page(db, query)
    answer(page.columns, page.rows)
    if page.cut:
        warn([f"the first {SHOWN} rows; --format csv, json or parquet gives all"])


def tools(as_json: Json = False) -> None:
    """List the quality tools: what each measures, unit, direction, version, source."""
    from ... import tools as quality
    from ..view import show, table

    names = ("name", "version", "unit", "better", "summary", "source")
    rows = [tuple(getattr(each, name) for name in names) for each in quality.TOOLS]
    if not as_json:
        table(("measure", "version", "unit", "better", "what it measures", "source"), rows)
        return
    for row in rows:
        show(dict(zip(names, row, strict=True)), as_json)
