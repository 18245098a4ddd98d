"""The command line. Verbs parse, call a stage, print and set the exit code; heavy imports happen inside them."""

import errno
import sys
from typing import Annotated

import typer

from ... import __version__
from . import annotate, benchmark, judge, policy, review, run, train

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""No room for what is being written; the system does not say where."""
app = typer.Typer(
    name="lrrg",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _version(asked: bool) -> None:
    if asked:
        print(f"lrrg {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Find low-quality chest radiographs, benchmark report models on them."""


for group in (annotate, judge, policy, benchmark, train, review, run):
    group.register(app)


def main() -> None:
    """Run one verb; errors that are not bugs become one clear line and an exit code.

    These are our own, which carry a `code`, and what the system says about a file that it names.
    """
    try:
        app()
    except (ValueError, RuntimeError, OSError) as error:
        if isinstance(error, OSError) and error.filename is not None:
            message = f"{error.filename}: {error.strerror}"
        elif isinstance(error, OSError) and error.errno in FULL:
            message = f"{error.strerror}: make room on the disk that is written to, then run the same command again"
        elif hasattr(error, "code"):
            message = str(error)
        else:
            raise
        typer.secho(f"lrrg: {message}", err=True, fg="red")
        # What the caller gave is wrong, or the machine does not let us work.
        sys.exit(2 if isinstance(error, ValueError) else 4)
