"""Verbs that make what the agent decides by: policy fit, policy reference, policy chest."""

from pathlib import Path
from typing import Annotated

import typer

from .options import Films, Json, PolicyFile, writable

PANEL = "Annotate"
policy = typer.Typer(no_args_is_help=True, help="Fit the policy on your own labels, or refer it to your own archive.")

CHEST_HELP = "file to write (.npz); ships as tools/reference/chest.npz"
Chest = Annotated[Path, typer.Option("--out", dir_okay=False, writable=True, callback=writable, help=CHEST_HELP)]


def register(app: typer.Typer) -> None:
    """Add this group's verbs to the command line."""
    policy.command()(fit)
    policy.command()(reference)
    policy.command()(chest)
    app.add_typer(policy, name="policy", rich_help_panel=PANEL)


def fit(
    films: Films,
    out: PolicyFile,
    name: Annotated[str, typer.Option(help="name of the policy")] = "own",
    as_json: Json = False,
) -> None:
    """Fit a policy on labelled films (manifest*.csv) and print how far it holds on films it has not seen."""
    from .. import settings
    from ..policy.stage import fit_folder
    from ..view import progress, show, table

    outcome = fit_folder(films, name, settings.load().read, progress)
    out.write_text(outcome.policy.text(), encoding="utf-8")
    if as_json:
        show({"policy": str(out), "sha256": outcome.policy.sha256, **outcome.tables}, as_json)
        return
    for title, rows in outcome.tables.items():
        if rows:  # films of one source say nothing of others
            table(tuple(rows[0]), [tuple(row.values()) for row in rows], title)


def reference(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="folder of films")],
    out: PolicyFile,
    base: Annotated[str, typer.Option("--policy", help="policy whose model stays")] = "standard.v1",
    limit: Annotated[int, typer.Option(min=20, help="read at most so many films, evenly spaced")] = 1000,
    as_json: Json = False,
) -> None:
    """Refer a policy to the films of your own archive: robust z then compares each film with its neighbours."""
    from .. import settings
    from ..policy.stage import reference_folder
    from ..view import progress, show, warn

    made, unreadable = reference_folder(folder, base, limit, settings.load().read, progress)
    warn(unreadable)
    out.write_text(made.text(), encoding="utf-8")
    show({"policy": str(out), "sha256": made.sha256, "unreadable": len(unreadable)}, as_json)


def chest(films: Films, out: Chest, as_json: Json = False) -> None:
    """Learn the mean chest that the positioning tools compare films with, from labelled films (manifest*.csv)."""
    from .. import settings
    from ..policy.chest import write_chest
    from ..view import show

    show({"reference": str(out), "films": write_chest(films, out, settings.load().read)}, as_json)
