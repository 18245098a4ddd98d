"""Verbs that show the verdicts to people: report."""

from pathlib import Path
from typing import Annotated

import typer

from .annotate import Db, Json

PANEL = "See"


def register(app: typer.Typer) -> None:
    """Add this group's verbs to the command line."""
    app.command(rich_help_panel=PANEL)(report)


def report(
    db: Db,
    out: Annotated[Path, typer.Option("--out", help="HTML file to write")],
    as_json: Json = False,
) -> None:
    """Write one HTML file that shows the verdicts of a whole archive; it opens from disk, without any network."""
    from ..report.group import write_report
    from ..view import show

    show(write_report(db, out), as_json)
