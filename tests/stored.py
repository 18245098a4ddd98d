"""What tests of the store share: a policy with every kind of row, recipes, readings."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lrrg.agent.policy import Policy
from lrrg.agent.state import ASPECTS, Reading, Verdict
from lrrg.pipelines.recipe import Recipe, build_recipe
from lrrg.pipelines.records import CatalogRow
from lrrg.pipelines.store import Store
from lrrg.tools import Tool

MEASURES = tuple(f"{aspect}.{metric}" for aspect in ASPECTS for metric in ("one", "two"))
DOMAINS = ("linear", "presentation", "equalised")
VIEWS = {"AP": "frontal", "PA": "frontal", "LATERAL": "lateral"}


def policy(seed: int = 0) -> Policy:
    """A random policy that uses every transform, direction, kind of cut and kind of rule."""
    draw = random.Random(seed)

    def reference(domain: str, group: str, measure: str) -> dict[str, Any]:
        transform = draw.choice(("identity", "log", "log1p"))
        where = {"domain": domain, "group": group, "measure": measure, "transform": transform, "films": 9}
        return where | {"median": draw.gauss(0, 1), "scale": draw.uniform(0.2, 2)}

    def severity(domain: str, measure: str, on: str) -> dict[str, Any]:
        direction = draw.choice((-1, 1))
        cuts = sorted((draw.gauss(0, 2) for _ in range(3)), reverse=direction < 0)
        aspect = measure.partition(".")[0]
        return {"domain": domain, "aspect": aspect, "measure": measure, "on": on, "direction": direction, "cuts": cuts}

    def term(domain: str, measure: str, direction: int) -> dict[str, Any]:
        low, high = draw.uniform(-3, 0), draw.uniform(0, 6)
        row = {"domain": domain, "measure": measure, "direction": direction, "low": low, "high": high}
        return row | {"weight": draw.uniform(0, 0.6)}

    groups = ("frontal", "lateral", "unknown")
    return Policy.model_validate(
        {
            "name": f"random-{seed}",
            "version": 1,
            "views": VIEWS,
            "reference": [reference(d, g, m) for d in DOMAINS for g in groups for m in MEASURES[:-1]],
            "severities": [
                severity(d, m, on)
                for d in DOMAINS
                for m in MEASURES[1:]
                for on in ("z", "value")
                if (m, on) != (MEASURES[-1], "z")
            ],
            "terms": [term(d, m, direction) for d in DOMAINS for m in MEASURES[2:-1] for direction in (-1, 1)],
            "bias": {domain: draw.gauss(-2, 1) for domain in DOMAINS},
            "regimes": {"low": 0.4, "high": 0.7},
            "rules": [
                {"aspect": "noise", "severity": 3, "regime": "low"},
                {"aspect": "noise", "severity": 2, "regime": "borderline"},
                {"aspect": "blur", "severity": 3, "regime": "borderline"},
            ],
            "band": [0.3, 0.8],
        }
    )


def tools() -> list[Tool]:
    """Tools with the measures' names; never run."""

    def one(name: str) -> Tool:
        family, _, metric = name.partition(".")
        return Tool(lambda film: None, family, metric, 2, "grey levels", "lower", (0.0, 1.0), DOMAINS, name)

    return [one(name) for name in MEASURES]


def recipe(seed: int = 0, reader: int = 1) -> Recipe:
    """The recipe of a random policy."""
    return build_recipe(reader=reader, tools=tools(), policy=policy(seed).model_dump(mode="json"))


def reading(seed: int, view: str | None = "AP") -> Reading:
    """A random reading; some measures are absent, some are below what a logarithm takes."""
    draw = random.Random(seed)
    measures = {name: draw.gauss(1, 2) for name in MEASURES if draw.random() < 0.8}
    size = {"file_bytes": 1, "file_format": "JPEG", "width": 2, "height": 3, "bits": 8}
    return Reading(
        sha256=f"{seed:064x}",
        fingerprint=f"{seed:064x}",
        **size,
        intensity_domain=draw.choice(DOMAINS),
        view=view,
        notes=("rgb-collapsed",),
        measures=measures,
        elapsed_ms=1.5,
    )


def verdict(image_id: str, seed: int, view: str | None = "AP") -> Verdict:
    """An `ok` verdict on a random reading."""
    return Verdict(image_id, "ok", reading=reading(seed, view), rationale="because")


RECIPE = recipe()
IDS = [f"i{k:03d}" for k in range(40)]


def rows(ids: list[str]) -> list[CatalogRow]:
    """Frontal films of one folder."""
    return [CatalogRow(name, f"files/{name}.jpg", view_position="AP") for name in ids]


def table(store: Store) -> list[tuple[Any, ...]]:
    """The verdicts without what differs from run to run."""
    return store.query("SELECT * EXCLUDE (run_id, created_at) FROM verdict ORDER BY image_id, recipe_id").rows


def pending_ids(store: Store, **how: Any) -> list[str]:
    """Ids that are pending under `RECIPE`, in order."""
    return [each.image_id for each in store.pending(RECIPE.recipe_id, **how)]


@contextmanager
def catalogued(folder: Path, ids: list[str] = IDS) -> Iterator[Store]:
    """A database with films and `RECIPE`, open for writing."""
    with Store.open(folder / "lrrg.duckdb") as store:
        store.add_images(folder, rows(ids))
        store.register_recipe(RECIPE)
        yield store
