"""The command line. Verbs parse, call a stage, print and set the exit code; heavy imports happen inside them."""

import sys

import typer

from ...agent.policy import PolicyError
from ..errors import PoolError, StoreError
from ..settings import SettingsError
from . import annotate, benchmark, run

app = typer.Typer(
    name="lrrg",
    no_args_is_help=True,
    add_completion=False,
    help="Find low-quality chest radiographs, benchmark report models on them.",
    pretty_exceptions_enable=False,
)
for group in (annotate, benchmark, run):
    group.register(app)


def main() -> None:
    """Run one verb; known errors become one clear line and their exit code."""
    try:
        app()
    except (PolicyError, SettingsError) as error:
        sys.exit(_complain(error, 2))
    except (PoolError, StoreError) as error:
        sys.exit(_complain(error, 4))


def _complain(error: Exception, code: int) -> int:
    typer.secho(f"lrrg: {error}", err=True, fg="red")
    return code
