"""`lrrg demo`: the whole story on synthetic films, from a mirror of MIMIC-CXR-JPG to SQL and the benchmark's files."""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from ...benchmark.spec import Spec
from ..annotate.explain import explain
from ..annotate.stage import Order, annotate
from ..catalog.stage import catalog
from ..engines.judging import Warn, identify
from ..report.card import write_card
from ..report.group import write_report
from ..serving import served
from ..serving.errors import ServeError
from ..serving.models import COMPACT
from ..settings import Settings
from ..splits.stage import Summary, materialise
from ..store import Result, Store
from ..view import Progress
from . import overview
from .mirror import write_mirror
from .training import DEFECTS, FOLDER

QUERY = """SELECT regime, count(*) AS images, round(avg(quality), 2) AS quality, mode(defects[1]) AS "main defect"
FROM labels GROUP BY regime ORDER BY quality"""
CLEAN = "none"
MILD, STRONG = (1, 2, 3), (4, 5)
"""Severities of what was put in."""
_FOUND = "SELECT image_id, regime, defects FROM labels"
TELLING = """
SELECT r.path || '/' || i.path, l.image_id, l.view_position
FROM labels AS l
JOIN image AS i USING (image_id)
JOIN root AS r USING (root_id)
JOIN verdict AS v USING (image_id, recipe_id)
ORDER BY len(list_filter(map_values(v.rulings), lambda who: who <> 'tools')) DESC NULLS LAST, l.quality, l.image_id
LIMIT 1
"""
SEEN = """
SELECT
    aspect, round(p0, 2) AS p0, round(p1, 2) AS p1, round(p2, 2) AS p2, round(p3, 2) AS p3, again, severity, decided_by
FROM judgements WHERE image_id = $image AND recipe_id = latest_recipe() ORDER BY aspect
"""


class Confusion(NamedTuple):
    """What the agent said of films whose defect is known."""

    aspect: str
    """Aspect of the defect that was put in, `none` for clean films."""
    films: int
    flagged: int
    """Films on which the agent names that aspect; for clean films, any aspect."""
    mild: str
    """Of the films with a defect of severity 1 to 3, how many are flagged; empty where there is none."""
    strong: str
    """Of those with severity 4 or 5."""
    high: int
    borderline: int
    low: int


class Story(NamedTuple):
    """What a demo left behind."""

    database: Path
    splits: Path
    picture: Path
    report: Path
    card: Path
    """Page of the film on which judge and tools had most to settle; without a judge, of the worst one."""
    film: str
    seen: Result
    """What the judge saw on that film, one row an aspect; no row without a judge."""
    answer: Result
    confusion: list[Confusion]
    benchmark: Summary


@contextmanager
def judge_of(judge: str, settings: Settings, warn: Warn) -> Iterator[Settings]:
    """The settings with the judge that `judge` names, for as long as it is there.

    Args:
        judge: URLs separated by commas, `none`, or `auto`: the compact one is served for the length of the block
            where vLLM is installed, and none asked where it is not.
        settings: of everything else.
        warn: is told where there is none, and why.

    Raises:
        ServeError: the server does not start.
        JudgeUnavailable: no server answers at these URLs.
        RefusedURL: a URL leads off this machine.
    """
    if judge != "auto":
        asking = _asking(settings, () if judge == "none" else tuple(judge.split(",")))
        identify(asking)  # what is wrong with a URL is said before minutes of drawing films
        yield asking
        return
    try:
        with served("judge", settings, str(COMPACT), lambda message: warn([message])) as server:
            yield _asking(settings, (server.url,))
    except ServeError as error:
        if error.code != "no-vllm":
            raise
        warn([f"{error}; the tools decide alone"])
        yield _asking(settings, ())


def _asking(settings: Settings, urls: tuple[str, ...]) -> Settings:
    return settings.model_copy(update={"judge": settings.judge.model_copy(update={"urls": urls})})


def tell(root: Path, settings: Settings, progress: Progress, warn: Warn) -> Story:
    """Write the mirror, catalog and annotate it, ask one SQL question, compare with the truth, build the benchmark.

    Running it again in the same folder does only what is left.

    Raises:
        SettingsError: `root` holds something else.
        JudgeUnavailable: the judge that the settings name cannot be reached.
        SystemExit: a signal stopped it before every film had its verdict.
    """
    with progress("draw films", None) as advance:
        mirror = write_mirror(root, advance=advance)
    database, splits, picture = root / "demo.duckdb", root / "splits", root / "overview.png"
    report, card = root / "report.html", root / "film.html"
    with progress("catalog", None) as advance, Store.open(database) as store:
        warn(catalog(mirror.jpg, store, None, advance).warnings)
    outcome = annotate(database, settings, Order(), progress)
    if outcome.over:
        raise SystemExit(outcome.exit_code)
    with Store.open(database) as store:
        answer = store.query(QUERY)
        overview.draw(mirror.truth, store.query(overview.QUERY), picture)
        confusion = compare(mirror.truth, store.query(_FOUND))
        materialise(store, root / FOLDER / "splits", ("parquet",), Spec(synthetic=DEFECTS))
        benchmark = materialise(store, splits, ("parquet", "r2gen", "sharegpt"), Spec())
        path, film, view = store.query(TELLING).rows[0]
        seen = store.query(SEEN, {"image": film})
    _explain(Path(path), settings, view, card)
    write_report(database, report, settings.read, progress)
    return Story(database, splits, picture, report, card, film, seen, answer, confusion, benchmark)


def _explain(film: Path, settings: Settings, view: str | None, card: Path) -> None:
    steps: list[tuple[str, dict[str, Any]]] = []
    explain(film, settings, view, lambda step, found: steps.append((step, found)))
    write_card(film, steps, settings, card)


def compare(truth: Path, found: Result) -> list[Confusion]:
    """Count what was found against what was put in, one row an aspect, clean films first."""
    said = {image_id: (regime, defects) for image_id, regime, defects in found.rows}
    verdicts: dict[str, list[tuple[int, str, bool]]] = {}
    with truth.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            aspect, (regime, defects) = row["aspect"] or CLEAN, said[row["dicom_id"]]
            flagged = bool(defects) if aspect == CLEAN else aspect in defects
            verdicts.setdefault(aspect, []).append((int(row["severity"]), regime, flagged))
    order = sorted(verdicts, key=lambda aspect: (aspect != CLEAN, aspect))
    return [_confusion(aspect, verdicts[aspect]) for aspect in order]


def _confusion(aspect: str, verdicts: list[tuple[int, str, bool]]) -> Confusion:
    regimes = [regime for _, regime, _ in verdicts]
    flagged = [flag for _, _, flag in verdicts]
    parts = [[flag for severity, _, flag in verdicts if severity in degrees] for degrees in (MILD, STRONG)]
    mild, strong = (f"{sum(part)} of {len(part)}" if part else "" for part in parts)
    counts = (regimes.count(name) for name in ("high", "borderline", "low"))
    return Confusion(aspect, len(verdicts), sum(flagged), mild, strong, *counts)
