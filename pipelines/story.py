"""`lrrg demo`: the whole story on synthetic films, from a mirror of MIMIC-CXR-JPG to SQL and the benchmark's files."""

import csv
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from ..benchmark.spec import Spec
from . import demo, overview
from .annotate import Order, annotate
from .catalog import catalog
from .report.group import write_report
from .settings import Settings
from .splits import Summary, materialise
from .store import Result, Store
from .view import Advance

QUERY = """SELECT regime, count(*) AS images, round(avg(quality), 2) AS quality, mode(defects[1]) AS "main defect"
FROM labels GROUP BY regime ORDER BY quality"""
CLEAN = "none"
_FOUND = "SELECT image_id, regime, defects FROM labels"


Progress = Callable[[str, int | None], AbstractContextManager[Advance]]


class Confusion(NamedTuple):
    """What the agent said of films whose defect is known."""

    aspect: str
    """Aspect of the defect that was put in, `none` for clean films."""
    films: int
    flagged: int
    """Films on which the agent names that aspect; for clean films, any aspect."""
    high: int
    borderline: int
    low: int


class Story(NamedTuple):
    """What a demo left behind."""

    database: Path
    splits: Path
    picture: Path
    report: Path
    answer: Result
    confusion: list[Confusion]
    benchmark: Summary


def tell(root: Path, settings: Settings, progress: Progress, warn: Callable[[Sequence[str]], None]) -> Story:
    """Write the mirror, catalog and annotate it, ask one SQL question, compare with the truth, build the benchmark.

    Running it again in the same folder does only what is left.

    Raises:
        SettingsError: `root` holds something else.
    """
    with progress("draw films", None) as advance:
        mirror = demo.write_mirror(root, advance=advance)
    database, splits, picture = root / "demo.duckdb", root / "splits", root / "overview.png"
    report = root / "report.html"
    with progress("catalog", None) as advance, Store.open(database) as store:
        warn(catalog(mirror.jpg, store, None, advance).warnings)
    annotate(database, settings, Order(), progress)
    with Store.open(database) as store:
        answer = store.query(QUERY)
        overview.draw(mirror.truth, store.query(overview.QUERY), picture)
        confusion = compare(mirror.truth, store.query(_FOUND))
        benchmark = materialise(store, splits, ("parquet", "r2gen", "sharegpt"), Spec())
    write_report(database, report, settings.read, progress)
    return Story(database, splits, picture, report, answer, confusion, benchmark)


def compare(truth: Path, found: Result) -> list[Confusion]:
    """Count what was found against what was put in, one row an aspect, clean films first."""
    with truth.open(newline="", encoding="utf-8") as lines:
        aspects = {row["dicom_id"]: row["aspect"] or CLEAN for row in csv.DictReader(lines)}
    said = {image_id: (regime, defects) for image_id, regime, defects in found.rows}
    order = sorted(set(aspects.values()), key=lambda aspect: (aspect != CLEAN, aspect))
    return [_confusion(aspect, [said[film] for film, known in aspects.items() if known == aspect]) for aspect in order]


def _confusion(aspect: str, verdicts: list[tuple[str, list[str]]]) -> Confusion:
    regimes = [regime for regime, _ in verdicts]
    flagged = sum(bool(defects) if aspect == CLEAN else aspect in defects for _, defects in verdicts)
    return Confusion(aspect, len(verdicts), flagged, *(regimes.count(name) for name in ("high", "borderline", "low")))
