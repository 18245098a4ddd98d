"""Verbs that build and read the verdicts: catalog, annotate, ingest, explain, status, sql, policy, tools."""

import typer

PANEL = "Annotate"


def register(app: typer.Typer) -> None:
    """Add this group's verbs to the command line."""
    app.command(rich_help_panel=PANEL)(tools)


def tools() -> None:
    """List the quality tools: what each measures, unit, direction, version."""
    from ... import tools as quality
    from ..view import table

    rows = [(each.name, each.version, each.unit, each.better, each.summary) for each in quality.TOOLS]
    table(("measure", "version", "unit", "better", "what it measures"), rows)
