"""Verbs that show the verdicts to people and take their opinions: report, review import, review agreement."""

from pathlib import Path
from typing import Annotated

import typer

from .options import Db, Json, writable

PANEL = "See"
review = typer.Typer(no_args_is_help=True, help="Take readers' opinions from the report's page, compare with them.")


def register(app: typer.Typer) -> None:
    """Add this group's verbs to the command line."""
    app.command(rich_help_panel=PANEL)(report)
    review.command("import")(import_reads)
    review.command()(agreement)
    app.add_typer(review, name="review", rich_help_panel=PANEL)


def report(
    db: Db,
    out: Annotated[Path, typer.Option("--out", dir_okay=False, callback=writable, help="HTML file to write")],
    with_thumbnails: Annotated[
        bool,
        typer.Option("--with-thumbnails", help="show films with what the tools saw; the file stays on this machine"),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write one HTML file that shows the verdicts of a whole archive; it opens from disk, without any network."""
    from .. import settings
    from ..report.group import write_report
    from ..view import progress, show, warn

    found = write_report(db, out, settings.load().read if with_thumbnails else None, progress)
    if with_thumbnails:
        warn([f"{out} holds pictures of films: it must not leave this machine"])
    show(found, as_json)


def import_reads(
    reads: Annotated[Path, typer.Argument(metavar="CSV", help="file the report's page saved")],
    db: Db,
    as_json: Json = False,
) -> None:
    """Store what readers said about films; importing it again changes nothing."""
    from ..review.opinions import import_reads
    from ..view import show

    show(import_reads(reads, db), as_json)


def agreement(db: Db, as_json: Json = False) -> None:
    """Compare the verdicts with the stored reads: kappa, AUROC, defects, and cuts that would fit readers better."""
    from ..report.trust import trust
    from ..review.agreement import agreement
    from ..view import show, table

    found = agreement(db)
    if as_json:
        show(trust(found) or {}, as_json)
        return
    for title, (columns, rows) in found.tables().items():
        table(columns, rows, title)
