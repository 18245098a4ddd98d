"""Verbs that run or measure the whole: demo, bench."""

import typer

PANEL = "Run"
bench = typer.Typer(no_args_is_help=True, help="Measure speed and accuracy, each figure in one run.")


def register(app: typer.Typer) -> None:
    """Add this group's verbs to the command line."""
    app.add_typer(bench, name="bench", rich_help_panel=PANEL)
