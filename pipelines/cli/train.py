"""Verbs that make report models and have them write: finetune, generate."""

from pathlib import Path
from typing import Annotated

import typer

PANEL = "Train"
finetune = typer.Typer(invoke_without_command=True, help="Fine-tune a report model on the benchmark's training films.")

Json = Annotated[bool, typer.Option("--json", help="print JSON")]


def register(app: typer.Typer) -> None:
    """Add this group's verbs to the command line."""
    finetune.callback()(train)
    app.add_typer(finetune, name="finetune", rich_help_panel=PANEL)


def train(
    context: typer.Context,
    splits: Annotated[Path | None, typer.Option("--splits", help="folder that lrrg splits wrote; required")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="folder for logs, adapter and model; required")] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="TOML", help="settings (default: a tiny model from scratch)")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="go on from the last checkpoint in --out")] = False,
    as_json: Json = False,
) -> None:
    """Fine-tune a Qwen2.5-VL report model: plain, regime-balanced or dual-loop."""
    if context.invoked_subcommand is not None:
        return
    from ..errors import SettingsError
    from ..extras import require
    from ..view import progress, show

    if splits is None or out is None:
        raise SettingsError("finetune: name --splits and --out; lrrg finetune --help says more")
    require("peft", "train")
    from .. import settings
    from ..finetune.config import read_config
    from ..finetune.train import train as train_model

    chosen = read_config(config)
    with progress("train", chosen.train.steps) as advance:
        trained = train_model(splits, chosen, out, settings.load().read, resume=resume, advance=advance)
    show(trained.summary(), as_json)
