"""The group report: a database's verdicts as one page."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ... import __version__
from ...agent.policy import Policy
from ...agent.state import ASPECTS
from ..films import read_film
from ..review.agreement import compare
from ..settings import ReadSettings
from ..store import Store, StoreError
from ..view import Progress
from . import distributions, facts
from .overlay import picture
from .page import write_page
from .population import load_population
from .rows import listed
from .trust import trust

PICTURES = 400
"""Films shown as pictures, evenly over the list from the worst to the best."""
SIDE = 256


def write_report(db: Path, out: Path, limits: ReadSettings | None, progress: Progress) -> dict[str, Any]:
    """Write the report of a database's latest recipe; returns its path, size, films, films listed and pictures.

    Args:
        db: database file.
        out: HTML file; it appears whole or not at all.
        limits: what may be read, to show pictures of films; None leaves every pixel out.
        progress: shows how long work gets on.

    Raises:
        StoreError: see `Store.open`; `empty` where the database holds no verdict yet.
        SettingsError: a picture's film cannot be read any more.
        OSError: the storage failed.
    """
    with Store.open(db, read_only=True) as store:
        data, files = gather(store, db.stem)
    pictures = _add_pictures(data["rows"], files, limits, progress) if limits else 0
    size = write_page(out, "group", f"{db.stem}: image quality", {**data, "pictures": pictures})
    films, rows = data["counts"]["verdicts"], len(data["rows"])
    return {"report": str(out), "bytes": size, "films": films, "listed": rows, "pictures": pictures}


def _add_pictures(rows: list[dict[str, Any]], files: list[str], limits: ReadSettings, progress: Progress) -> int:
    readable = [(row, path) for row, path in zip(rows, files, strict=True) if row["regime"]]
    chosen = readable[:: -(-len(readable) // PICTURES) or 1]
    with progress("pictures", len(chosen)) as advance:
        for row, path in chosen:
            row["picture"] = picture(read_film(path, limits), SIDE)
            advance()
    return len(chosen)


def gather(store: Store, title: str) -> tuple[dict[str, Any], list[str]]:
    """Everything the page draws, in types that JSON knows, and the file of every film listed."""
    body = store.query("SELECT (body -> '$.policy')::VARCHAR FROM recipes WHERE latest").rows
    counts = facts.counts(store)
    if not body or not counts["verdicts"]:
        raise StoreError("empty", f"{store.path}: no verdict yet; run lrrg annotate on it first")
    policy = Policy.model_validate_json(body[0][0])
    films = load_population(store)
    chosen = listed(store, policy)
    data = {
        "title": title,
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": __version__,
        "aspects": ASPECTS,
        "counts": counts,
        "rules": [rule.model_dump() for rule in policy.rules],
        "facets": distributions.facets(films),
        "quality": distributions.quality(films, policy),
        "measures": distributions.measures(films, policy),
        "spread": facts.spread(store),
        "judged": facts.judged(store),
        "rulings": facts.rulings(store),
        "agreement": trust(compare(store)),
        "failures": facts.failures(store),
        "provenance": facts.provenance(store),
        "rows": chosen.rows,
        "complete": chosen.complete,
    }
    return data, chosen.files
