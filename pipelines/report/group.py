"""The group report: a database's verdicts as one page."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ... import __version__
from ...agent.policy import Policy
from ...agent.state import ASPECTS
from ..agreement import compare
from ..store import Store, StoreError
from . import distributions, facts
from .page import write_page
from .population import load_population
from .rows import listed
from .trust import trust


def write_report(db: Path, out: Path) -> dict[str, Any]:
    """Write the report of a database's latest recipe; returns its path, size, films and films listed.

    Raises:
        StoreError: see `Store.open`; `empty` where the database holds no verdict yet.
    """
    with Store.open(db, read_only=True) as store:
        data = gather(store, db.stem)
    size = write_page(out, "group", f"{db.stem}: image quality", data)
    return {"report": str(out), "bytes": size, "films": data["counts"]["verdicts"], "listed": len(data["rows"])}


def gather(store: Store, title: str) -> dict[str, Any]:
    """Everything the page draws, in types that JSON knows."""
    body = store.query("SELECT (body -> '$.policy')::VARCHAR FROM recipes WHERE latest").rows
    counts = facts.counts(store)
    if not body or not counts["verdicts"]:
        raise StoreError("empty", f"{store.path}: no verdict yet; run lrrg annotate on it first")
    policy = Policy.model_validate_json(body[0][0])
    films = load_population(store)
    chosen = listed(store, policy)
    return {
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
        "agreement": trust(compare(store)),
        "failures": facts.failures(store),
        "provenance": facts.provenance(store),
        "rows": chosen.rows,
        "complete": chosen.complete,
    }
