"""Verbs that make report models and have them write: finetune, generate."""

from pathlib import Path
from typing import Annotated

import typer

from ..errors import SettingsError
from .options import Films, Json, Splits

PANEL = "Train"
finetune = typer.Typer(invoke_without_command=True, help="Fine-tune a report model on the benchmark's training films.")


def register(app: typer.Typer) -> None:
    """Add this group's verbs to the command line."""
    finetune.callback()(train)
    finetune.command()(judge)
    finetune.command()(compare)
    finetune.command("judge-accuracy")(judge_accuracy)
    finetune.command("judge-parity")(judge_parity)
    app.command(rich_help_panel=PANEL)(generate)
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
    from ..extras import require
    from ..view import progress, show

    if splits is None or out is None:
        raise SettingsError("finetune: name --splits and --out; lrrg finetune --help says more")
    require("peft", "train")
    from .. import settings
    from ..finetune.config import read_config
    from ..finetune.train import speaks
    from ..finetune.train import train as train_model

    chosen = read_config(config)
    with progress("train", chosen.train.steps, shown=speaks()) as advance:
        trained = train_model(splits, chosen, out, settings.load().read, resume=resume, advance=advance)
    if speaks():
        show(trained.summary(), as_json)


def generate(
    splits: Splits,
    model: Annotated[str, typer.Option("--model", metavar="URL|DIR", help="server (several: URL,URL), or a folder")],
    out: Annotated[Path, typer.Option("--out", help="JSON lines to write or to go on with; lrrg score reads them")],
    name: Annotated[str | None, typer.Option(help="of the model in scores (default: served or folder's)")] = None,
    served: Annotated[str | None, typer.Option("--served-model", help="name on the server (default: first)")] = None,
    max_tokens: Annotated[int, typer.Option(min=1, help="of a report")] = 512,
    max_pixels: Annotated[
        int | None, typer.Option(min=784, help="of a film (default: the folder's; for servers 802816)")
    ] = None,
    batch: Annotated[int, typer.Option(min=1, help="films at once, where the model runs in this process")] = 16,
    workers: Annotated[int, typer.Option(min=1, max=256, help="processes that read and spoil films")] = 1,
    limit: Annotated[int | None, typer.Option(min=1, help="take on at most so many cases")] = None,
    as_json: Json = False,
) -> None:
    """Write a report for every case of the benchmark; the same command resumes after any stop."""
    from .. import settings
    from ..generate.stage import Options, generate
    from ..view import progress, show

    options = Options(name, served, max_tokens, max_pixels, batch, workers, limit)
    found = generate(splits, model, out, settings.load(), options, progress)
    show({"model": found.model, "written": found.written, "missing": found.missing}, as_json)
    raise typer.Exit(found.exit_code)


def judge(
    films: Films,
    out: Annotated[Path, typer.Option("--out", help="folder for the model and the spoiled films")],
    hold_out: Annotated[str | None, typer.Option(metavar="SOURCE", help="leave a whole source out")] = None,
    spoiled: Annotated[int, typer.Option(min=100, help="films to spoil; each gives two views")] = 6500,
    eyes: Annotated[int, typer.Option(min=1, help="steps for the vision tower")] = 400,
    steps: Annotated[int, typer.Option(min=1, help="steps for the whole model")] = 1600,
    seed: Annotated[int, typer.Option(min=0, help="of everything random")] = 0,
    start: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="folder of a judge to go on from")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train the compact judge on spoiled films: a Qwen2.5-VL small enough to ship."""
    from .. import settings
    from ..extras import require

    require("transformers", "train")
    from ..finetune.judge.stage import Plan, make_judge
    from ..finetune.judge.train import Schedule
    from ..view import progress, show

    plan = Plan(spoiled, hold_out=hold_out, seed=seed, schedule=Schedule(eyes, steps))
    made = make_judge(films, out, plan, settings.load().read, progress, start=start)
    show({**made._asdict(), "folder": str(made.folder)}, as_json)


def judge_accuracy(
    films: Films,
    model: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="folder of a judge (default: the shipped one)")
    ] = None,
    draws: Annotated[int, typer.Option(min=20, help="bootstrap samples of patients")] = 500,
    as_json: Json = False,
) -> None:
    """Grade films the compact judge never saw: spoiled on purpose, and hand-labelled; with patient intervals."""
    from .. import settings
    from ..extras import require

    require("transformers", "train")
    from ..finetune.judge.accuracy import accuracy
    from ..view import facts, progress, show

    found = accuracy(films, model, settings.load().read, progress, draws=draws)
    show(found, as_json) if as_json else facts("judge", found)


def judge_parity(
    films: Films,
    url: Annotated[str, typer.Option("--judge", metavar="URL", help="server of the judge")],
    model: Annotated[
        Path | None, typer.Option(exists=True, file_okay=False, help="its folder (default: the shipped one)")
    ] = None,
    number: Annotated[int, typer.Option(min=1, help="films to compare on")] = 200,
    as_json: Json = False,
) -> None:
    """Compare what a server of the compact judge says with plain transformers on the same folder, film by film."""
    from .. import settings
    from ..extras import require

    require("transformers", "train")
    from ..finetune.judge.parity import parity
    from ..view import progress, show

    show(parity(films, model, url, settings.load(), number, progress)._asdict(), as_json)


def compare(
    out: Annotated[Path, typer.Option("--out", help="folder for films, runs and table; the same command goes on")],
    config: Annotated[
        Path | None, typer.Option("--config", metavar="TOML", help="rows, sizes and seeds (default: the shipped ones)")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="runs at once (default: one a core)")] = None,
    as_json: Json = False,
) -> None:
    """Train every strategy at equal compute on synthetic films and say which withstands bad ones, with intervals."""
    from .. import settings
    from ..extras import require
    from ..view import progress, show, table

    require("peft", "train")
    from ..finetune.compare.config import SHIPPED, read_comparison
    from ..finetune.compare.study import Study
    from ..finetune.compare.table import SCORES, by_row

    lines = Study(read_comparison(config or SHIPPED), out, progress).run(workers or settings.load().annotate.workers)
    if as_json:
        for line in lines:
            show(line._asdict(), as_json)
        return
    for metric, rows in by_row(lines).items():
        table(
            ("", "runs", *SCORES), rows, f"{metric}, in hundredths; in brackets the difference to the row compared with"
        )
