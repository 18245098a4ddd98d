"""The command line. Verbs parse, call a stage, print and set the exit code; heavy imports happen inside them."""

import sys

import typer

from . import annotate, benchmark, policy, review, run

app = typer.Typer(
    name="lrrg",
    no_args_is_help=True,
    add_completion=False,
    help="Find low-quality chest radiographs, benchmark report models on them.",
    pretty_exceptions_enable=False,
)
for group in (annotate, policy, benchmark, review, run):
    group.register(app)


def main() -> None:
    """Run one verb; our own errors, which carry a `code`, become one clear line and an exit code."""
    try:
        app()
    except (ValueError, RuntimeError, ConnectionError) as error:
        if not hasattr(error, "code"):
            raise
        typer.secho(f"lrrg: {error}", err=True, fg="red")
        # What the caller gave is wrong, or the machine does not let us work.
        sys.exit(2 if isinstance(error, ValueError) else 4)
