"""What `lrrg score` writes: Parquet, a Markdown report, a JSON card, figures; small cells are left out."""

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from ...benchmark.baselines import FLOORS
from ...benchmark.cases import MINIMUM_PATIENTS, MINIMUM_STUDIES, Cell
from ...benchmark.confounding import IMBALANCED
from ...benchmark.endpoints import MARGIN, PRIMARY
from ...benchmark.ladder import Aspect
from ...benchmark.model_metrics import SCALES
from ...benchmark.score import Row
from ..files import write_json
from ..finite import finite
from ..store import Store, write_parquet
from .figures import draw
from .stage import HEADLINE, Scores

COLUMNS = {
    **dict.fromkeys(("model", "track", "regime", "view", "defect"), "VARCHAR"),
    "severity": "TINYINT",
    **dict.fromkeys(("metric", "quantity"), "VARCHAR"),
    **dict.fromkeys(("value", "low", "high"), "DOUBLE"),
    "studies": "INTEGER",
    "patients": "INTEGER",
    "signature": "VARCHAR",
}
CASE_COLUMNS = {**dict.fromkeys(("model", "case_id", "metric"), "VARCHAR"), "value": "DOUBLE"}
NATURAL_NOTE = (
    "Gaps between regimes of natural films (T1) are performance disparities: sicker patients have worse films. "
    "Only twins (T2, T4) show the effect of degradation; in pairs within a patient (T3) the illness can still differ."
)
FLOORS_NOTE = "Floors are left out: none looks at a degraded film, so that none can lose by it."
TWIN_NOTE = "`gap_p` is two-sided: patients swap their high and low films. It is exploratory and not corrected."


def table_rows(scores: Scores) -> list[tuple[Any, ...]]:
    """Rows of `scores.parquet` and of the database's table `scores`."""
    return [_table_row(row, scores) for row in scores.rows]


def _table_row(row: Row, scores: Scores) -> tuple[Any, ...]:
    size = scores.sizes.get(Cell(*row[1:6]), (None, None))
    values = (None if math.isnan(value) else value for value in row[8:])
    return (*row[:8], *values, *size, scores.signature)


def prepare(out: Path, db: Path | None) -> None:
    """See that `save` will be able to write, before minutes of scoring rather than after them; nothing stays behind.

    Raises:
        OSError: the folder cannot be made.
        StoreError: the database cannot be written.
    """
    new = [folder for folder in (out, *out.parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    for folder in new:
        with suppress(OSError):  # somebody else has put something there meanwhile
            folder.rmdir()
    if db is not None:
        with Store.open(db, create=False):
            pass


def save(scores: Scores, out: Path, *, db: Path | None, share: bool) -> list[Path]:
    """Write tables and figures to `out`, and the scores to `db` where one is named; returns the files' paths.

    Args:
        scores: what was found.
        out: folder for `scores.parquet`, `report.md`, `card.json`, `per_case.parquet` and figures.
        db: database whose table `scores` is replaced.
        share: leave out what names a study, so that the folder may leave the machine; an earlier table of the
            cases in it is removed.

    Raises:
        StoreError: the disk is full, or the database is in use.
    """
    out.mkdir(parents=True, exist_ok=True)
    files = [out / name for name in ("scores.parquet", "report.md", "card.json")]
    write_parquet(files[0], COLUMNS, table_rows(scores))
    files[1].write_text(markdown(scores), encoding="utf-8")
    write_json(files[2], card(scores))
    per_case = out / "per_case.parquet"
    if share:
        per_case.unlink(missing_ok=True)
    else:
        files.append(per_case)
        write_parquet(per_case, CASE_COLUMNS, scores.per_case)
    if db is not None:
        with Store.open(db, create=False) as store:
            store.replace_scores(table_rows(scores))
    return [*files, *draw(scores, out)]


def card(scores: Scores) -> dict[str, Any]:
    """Machine-readable summary: headline numbers, endpoints, and what they depend on."""
    headline = {*HEADLINE, *scores.outside}
    return {
        "signature": scores.signature,
        "options": asdict(scores.options),
        "manifest": {key: scores.manifest[key] for key in sorted(scores.manifest.keys() - {"files"})},
        "models": list(scores.models),
        "endpoints": [finite(each._asdict()) for each in scores.endpoints],
        "headline": [finite(row._asdict()) for row in scores.rows if row.metric in headline and row.track == "T5"],
        "suppressed_cells": len(scores.sizes.keys() - scores.shown),
    }


def markdown(scores: Scores) -> str:
    """The report people read."""
    seeing = [model for model in scores.models if model not in FLOORS]
    parts = [
        "# LRRG (Low-quality Radiology Report Generation) scores",
        f"Signature: `{scores.signature}`",
        "Intervals are 95 % patient-cluster bootstrap intervals. "
        f"Cells under {MINIMUM_STUDIES} studies or {MINIMUM_PATIENTS} patients are left out "
        f"({len(scores.sizes.keys() - scores.shown)} of {len(scores.sizes)}). "
        "Gaps, drops, errors and differences are of scores as fractions of their range, higher better (CIDEr: of 10).",
        *_endpoints(scores),
        *_section("Whole official test split (T5)", _grid(scores, _WHOLE, ("value", "difference_to_reference"))),
        *_section("Natural films by regime (T1)", _grid(scores, _REGIMES, ("value",))),
        *_section("Gaps between regimes of natural films (T1)", _grid(scores, _VIEWS, _GAPS), NATURAL_NOTE),
        *_section("The same gaps by natural defect of the low films", _grid(scores, _BY_ASPECT, _GAPS)),
        *_adjusted(scores),
        *_section(
            "Twins within a study (T2) and matched pairs within a patient (T3)",
            _grid(scores, [Cell("T2"), Cell("T3")], ("gap", "gap_p", *_GAPS[1:])),
            TWIN_NOTE,
        ),
        *_section(
            "Synthetic twins (T4)",
            _grid(scores, _defect_cells(scores), _SYNTHETIC, models=seeing),
            FLOORS_NOTE,
        ),
        *_section(
            "Metrics of models",
            _grid(scores, [*_WHOLE, *_REGIMES], ("value",), metrics=scores.outside),
            _directions(scores),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _directions(scores: Scores) -> str:
    lower = [name for name in scores.outside if name in SCALES and SCALES[name].better == "lower"]
    return f"Lower is better: {', '.join(lower)}." if lower else ""


def _section(title: str, grid: str, note: str = "") -> list[str]:
    """A heading with what stands under it; nothing where every cell is too small."""
    return [part for part in (f"## {title}", note, grid) if part] if grid else []


_WHOLE = [Cell("T5"), Cell("T5", view="AP"), Cell("T5", view="PA")]
_REGIMES = [Cell("T1", regime) for regime in ("high", "borderline", "low")]
_VIEWS = [Cell("T1", "all", view) for view in ("all", "AP", "PA")]
_BY_ASPECT = [Cell("T1", "all", "all", aspect) for aspect in get_args(Aspect)]
_GAPS = ("gap", "retention", "retention_above_floor", "difference_in_differences")
_SYNTHETIC = (
    "drop",
    "retention_above_floor",
    "corruption_error",
    "relative_corruption_error",
    "difference_in_differences",
    "mean_corruption_error",
    "mean_relative_corruption_error",
    "mean_difference_in_differences",
    "worst_defect",
)


def _endpoints(scores: Scores) -> list[str]:
    if not scores.endpoints:
        return ["Declared endpoints: none, because no `--reference` model was named or no cell was large enough."]
    lines = [
        f"{each.model} | {each.endpoint} | {_number(each.value, 4)} | {_number(each.low, 4)} to "
        f"{_number(each.high, 4)} | {each.p_value:.4f} | {each.p_holm:.4f}"
        for each in scores.endpoints
    ]
    return [
        "## Declared endpoints",
        f"On `{PRIMARY}`. P1: mean drop of `{scores.options.reference}` minus that of the model over the unseen "
        f"defects of T4 (two-sided). P2: difference on T5, tested against a margin of -{MARGIN} (one-sided).",
        _table(("model", "endpoint", "value", "95 % interval", "p", "p (Holm)"), lines),
    ]


def _adjusted(scores: Scores) -> list[str]:
    adjusted = scores.adjustment
    grid = _grid(scores, [Cell("T1")], ("gap_raw", "gap_standardised", "gap_overlap"))
    if adjusted is None or not grid:
        return []
    effective = "; ".join(f"{name} {high:.0f} high, {low:.0f} low" for name, (high, low) in adjusted.effective.items())
    lines = [
        f"{row.covariate}{' *' if abs(row.overlap) > IMBALANCED else ''} | {_number(row.raw)} "
        f"| {_number(row.standardised)} | {_number(row.overlap)}"
        for row in adjusted.balance
    ]
    return [
        *_section("The same gaps adjusted for what is known of the patient", grid),
        f"Effective number of studies: {effective}. Standardised mean differences, low minus high "
        f"(* above {IMBALANCED} after weighting):",
        _table(("covariate", "raw", "standardised", "overlap-weighted"), lines),
    ]


def _defect_cells(scores: Scores) -> list[Cell]:
    found = {Cell(*row[1:6]) for row in scores.rows if row.track == "T4" and row.defect and not row.severity}
    return sorted(found, key=lambda cell: (cell.defect not in ("all", "seen", "unseen"), cell))


def _grid(
    scores: Scores,
    cells: Sequence[Cell],
    quantities: Sequence[str],
    *,
    metrics: Sequence[str] = HEADLINE,
    models: Sequence[str] | None = None,
) -> str:
    """One line a cell, quantity and model; the metrics side by side. Empty where nothing is shown."""
    values = {(Cell(*row[1:6]), row.quantity, row.model, row.metric): row for row in scores.rows}
    lines: list[str] = []
    for cell in cells:
        for quantity in quantities:
            for model in scores.models if models is None else models:
                found = [values.get((cell, quantity, model, metric)) for metric in metrics]
                if any(found):
                    size = scores.sizes.get(cell)
                    count = f"{size[0]} / {size[1]}" if size else ""
                    lines.append(" | ".join((_name(cell), count, quantity, model, *map(_cell, found))))
    return _table(("cell", "studies / patients", "quantity", "model", *metrics), lines) if lines else ""


def _name(cell: Cell) -> str:
    parts = (cell.track, cell.regime, cell.view, cell.defect, str(cell.severity or ""))
    return " ".join(part for part in parts if part and part != "all") + (" all" if cell.defect == "all" else "")


def _cell(row: Row | None) -> str:
    if row is None or math.isnan(row.value):
        return "n/a"
    if math.isnan(row.low):
        return _number(row.value, 4)
    return f"{_number(row.value)} ({_number(row.low)} to {_number(row.high)})"


def _number(value: float, digits: int = 3) -> str:
    """Rounded; `+ 0.0` takes the minus from a zero."""
    return f"{round(value, digits) + 0.0:.{digits}f}"


def _table(columns: Sequence[str], lines: Iterable[str]) -> str:
    head = f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}\n"
    return head + "\n".join(f"| {line} |" for line in lines)
