"""Verbs of the LRRG benchmark: splits, score, labeler."""

from pathlib import Path
from typing import Annotated

import typer

from .options import Json, Splits

PANEL = "Benchmark"
labeler = typer.Typer(no_args_is_help=True, help="The finding labeler behind the clinical metrics (rule14).")


def register(app: typer.Typer) -> None:
    """Add this group's verbs to the command line."""
    app.command(rich_help_panel=PANEL)(splits)
    app.command(rich_help_panel=PANEL)(score)
    labeler.callback()(lambda: None)
    labeler.command()(validate)
    app.add_typer(labeler, name="labeler", rich_help_panel=PANEL)


def splits(
    db: Annotated[Path, typer.Option("--db", help="database with verdicts and reports")],
    out: Annotated[Path, typer.Option("--out", file_okay=False, help="folder for the benchmark's files")],
    formats: Annotated[str, typer.Option("--format", help="any of parquet,r2gen,sharegpt")] = "parquet,r2gen,sharegpt",
    seed: Annotated[str, typer.Option(help="of the hold-out, and of splits that no data set publishes")] = "lrrg-v1",
    as_json: Json = False,
) -> None:
    """Materialise the LRRG (Low-quality Radiology Report Generation) benchmark: tracks, splits, training files."""
    from ...benchmark.spec import Spec
    from ..splits.stage import materialise
    from ..store import Store
    from ..view import facts, show, table, warn

    with Store.open(db, create=False) as store:
        summary = materialise(store, out, tuple(formats.split(",")), Spec(seed=seed))
    if summary.without_patient:
        warn([f"{summary.without_patient} studies name no patient: one who has several may be in train and in test"])
    made = summary.exported
    if "T5" not in made.tracks:
        warn(["no study is in split test: there is nothing to score a model on"])
    found = {"studies_without_target": summary.without_target, "test_studies": made.test_studies_sha256}
    if as_json:
        show({"splits": made.splits, "tracks": made.tracks, **found}, as_json)
        return
    table(("split or track", "cases"), [*made.splits.items(), *made.tracks.items()], title=str(out))
    facts("", found)


def score(
    splits: Splits,
    out: Annotated[Path, typer.Option("--out", file_okay=False, help="folder for tables and figures")],
    predictions: Annotated[
        list[Path] | None, typer.Option("--predictions", help="JSONL with case_id and text; repeatable; none: floors")
    ] = None,
    protocol: Annotated[str, typer.Option(help="complete or r2gen-100")] = "complete",
    reference: Annotated[str | None, typer.Option(help="model that robustness is measured against: plain SFT")] = None,
    db: Annotated[
        Path | None, typer.Option("--db", exists=True, dir_okay=False, help="also store the scores in this database")
    ] = None,
    draws: Annotated[int, typer.Option(min=100, max=100_000, help="bootstrap samples")] = 10_000,
    share: Annotated[bool, typer.Option("--share", help="aggregates only: no file names a study")] = False,
    chexbert: Annotated[Path | None, typer.Option(help="checkpoint, vocab.txt beside it: adds chexbert_*")] = None,
    radeval: Annotated[str | None, typer.Option(help="any of radgraph,radcliq,ratescore,srrbert,green,rouge")] = None,
    bridge_python: Annotated[str | None, typer.Option(help="interpreter that has those models' packages")] = None,
    llm_judge: Annotated[str | None, typer.Option(metavar="URL", help="model server: adds judge_errors")] = None,
    llm_judge_model: Annotated[str | None, typer.Option(help="name of the model it serves")] = None,
    as_json: Json = False,
) -> None:
    """Score report models per track, regime, defect and severity, with patient-bootstrap intervals and floors."""
    from ...benchmark.cases import MINIMUM_PATIENTS, MINIMUM_STUDIES
    from ...benchmark.metrics import METRICS
    from ..extras import require

    require("matplotlib", "figures")
    from ..score.files import card, prepare, save
    from ..score.model_metrics import sources
    from ..score.stage import Options
    from ..score.stage import score as score_all
    from ..view import out as console
    from ..view import progress, show, warn

    options = Options(protocol=protocol, reference=reference, draws=draws)
    outside = sources(chexbert, radeval, bridge_python, llm_judge, llm_judge_model)
    prepare(out, db)
    with progress("score", None if outside else len(METRICS)) as advance:
        scores = score_all(splits, predictions or [], options, advance, outside)
    for path in save(scores, out, db=db, share=share):
        if not as_json:
            console.print(path)
    if not scores.shown:
        warn([f"every cell is under {MINIMUM_STUDIES} studies or {MINIMUM_PATIENTS} patients, so that none is shown"])
    if as_json:
        show(card(scores), as_json)


def validate(
    db: Annotated[Path | None, typer.Option("--db", help="database of a MIMIC-CXR-JPG catalog with its labels")] = None,
    iu: Annotated[Path | None, typer.Option("--iu", help="NLMCXR_reports.tgz, or a folder of its XML files")] = None,
    as_json: Json = False,
) -> None:
    """Compare rule14 with MIMIC-CXR's published labels, or with the human MeSH codes of the Indiana reports."""
    from ...benchmark.agreement import Agreement
    from ..errors import SettingsError
    from ..score.labeler import against_mesh, against_published
    from ..view import show, table

    if db is None and iu is None:
        raise SettingsError("nothing to compare with; give --db or --iu")
    tables = {**(against_published(db) if db else {}), **(against_mesh(iu) if iu else {})}
    if as_json:
        show({title: [row._asdict() for row in rows] for title, rows in tables.items()}, as_json)
        return
    for title, rows in tables.items():
        table(Agreement._fields, rows, title)
