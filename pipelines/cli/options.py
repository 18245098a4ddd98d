"""Options and arguments that several verbs take alike."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..errors import SettingsError


def writable(path: Path | None) -> Path | None:
    """The path of a file to write, refused before minutes of work rather than after them."""
    if path is not None and not path.parent.is_dir():
        raise SettingsError(f"{path}: there is no folder {path.parent}; make it first")
    return path


Engine = Literal["local", "ray"]
LABELLED = "folder of labelled films with manifest*.csv"
Json = Annotated[bool, typer.Option("--json", help="print JSON, a line a result")]
Db = Annotated[Path, typer.Option("--db", help="database file")]
Splits = Annotated[Path, typer.Option("--splits", help="folder that lrrg splits wrote")]
Policy = Annotated[str | None, typer.Option("--policy", help="name of a shipped policy, or a policy file")]
PolicyFile = Annotated[
    Path,
    typer.Option(
        "--out",
        dir_okay=False,
        writable=True,
        callback=writable,
        help="policy file to write (.json); hand it to annotate --policy",
    ),
]
Workers = Annotated[int | None, typer.Option(help="worker processes (default: one a core)")]
Films = Annotated[Path, typer.Argument(exists=True, file_okay=False, help=LABELLED)]
