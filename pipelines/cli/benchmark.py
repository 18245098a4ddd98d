"""Verbs of the LRRG benchmark: splits, score, labeler."""

import typer

PANEL = "Benchmark"


def register(app: typer.Typer) -> None:
    """Add this group's verbs to the command line."""
