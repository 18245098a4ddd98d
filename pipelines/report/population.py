"""Every verdict of the latest recipe as columns: what the report's counts and distributions are made of."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...agent.policy import Policy, Reference
from ..store import Store
from .facts import PORTABLE

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]
ABSENT = 255
"""Code of what a film does not have."""
FACETS = ("status", "regime", "route", "view", "split", "portable", "domain")
REGIMES = ("high", "borderline", "low")
STATUSES = ("ok", "needs_review", "unreadable", "failed")
_FIXED = {"regime": REGIMES, "status": STATUSES, "split": ("train", "validate", "test")}
_COLUMNS = f"""
SELECT
    l.status, l.regime, l.quality, l.route,
    coalesce(l.view_position, 'unknown') AS "view",
    coalesce(l.official_split, 'unknown') AS split,
    {PORTABLE} AS portable,
    v.intensity_domain AS domain,
    coalesce(g."group", 'unknown') AS "group",
    hash(map_keys(v.measures)) AS keys,
    map_values(v.measures) AS "values"
FROM labels AS l
JOIN image AS i USING (image_id)
JOIN verdict AS v USING (image_id, recipe_id)
LEFT JOIN policy_view AS g ON g.recipe_id = l.recipe_id AND g."view" = upper(v."view")
ORDER BY l.image_id
"""
_KEYS = """
SELECT hash(map_keys(measures)), any_value(map_keys(measures)) FROM verdict
WHERE recipe_id = latest_recipe() AND measures IS NOT NULL GROUP BY ALL
"""
TRANSFORMS = {
    "identity": lambda values: values,
    "log": lambda values: np.log(np.maximum(values, 1e-6)),
    "log1p": lambda values: np.log(1 + np.maximum(values, 0)),
}
"""The policy's transforms on whole columns."""


@dataclass(frozen=True)
class Population:
    """Verdicts in the order of their image ids.

    Attributes:
        names: what each code of a facet stands for.
        codes: by facet, uint8 shape (n,); `ABSENT` where a film has none.
        quality: float shape (n,), NaN where there is no verdict on quality.
        measures: raw values by measure, float shape (n,), NaN where absent.
        groups: view group of the policy, shape (n,).
    """

    names: dict[str, tuple[str, ...]]
    codes: dict[str, Codes]
    quality: Floats
    measures: dict[str, Floats]
    groups: NDArray[Any]

    def __len__(self) -> int:
        return len(self.quality)

    def of_domain(self, domain: str) -> NDArray[np.bool_]:
        """Which films are of an intensity domain."""
        known = self.names["domain"]
        return self.codes["domain"] == (known.index(domain) if domain in known else ABSENT - 1)

    def z(self, policy: Policy, domain: str, measure: str) -> Floats:
        """Robust z of a measure on the films of a domain; NaN elsewhere and without a reference."""
        found = np.full(len(self), np.nan)
        for row in policy.reference:
            if (row.domain, row.measure) == (domain, measure):
                chosen = self.of_domain(domain) & (self.groups == row.group)
                found[chosen] = _z(self.measures[measure][chosen], row)
        return found


def _z(values: Floats, row: Reference) -> Floats:
    return (TRANSFORMS[row.transform](values) - row.median) / row.scale


def load_population(store: Store) -> Population:
    """Read the labels and raw measures of the latest recipe."""
    found = store.arrays(_COLUMNS)
    coded = {facet: _coded(found[facet], _FIXED.get(facet, ())) for facet in FACETS}
    return Population(
        names={facet: names for facet, (names, _) in coded.items()},
        codes={facet: codes for facet, (_, codes) in coded.items()},
        quality=np.ma.filled(found["quality"].astype(float), np.nan),
        measures=_measures(found, {int(key): names for key, names in store.query(_KEYS).rows}),
        groups=np.ma.getdata(found["group"]).astype(str),
    )


def _coded(column: NDArray[Any], fixed: tuple[str, ...]) -> tuple[tuple[str, ...], Codes]:
    """Names, those known beforehand first, and a code a film."""
    missing = np.ma.getmaskarray(column)
    plain = np.where(missing, "", np.ma.getdata(column)).astype(str)
    seen, place = np.unique(plain, return_inverse=True)
    rest = [str(name) for name in seen if name and name not in fixed]
    names = (*fixed, *sorted(rest, key=lambda name: (name == "unknown", name)))
    if len(names) >= ABSENT - 1:
        names = (*names[: ABSENT - 2], "other")
    code = {name: min(index, ABSENT - 2) for index, name in enumerate(names)} | {"": ABSENT}
    table = np.array([code.get(str(name), ABSENT - 2) for name in seen], np.uint8)
    return names, table[place]


def _measures(found: dict[str, NDArray[Any]], keys: dict[int, list[str]]) -> dict[str, Floats]:
    """One column a measure from the films' lists of values; films with the same list of names go together."""
    number = len(found["keys"])
    names = sorted({name for listed in keys.values() for name in listed})
    columns = {name: np.full(number, np.nan) for name in names}
    signature = np.ma.filled(found["keys"], 0)
    lists = np.ma.getdata(found["values"])
    for key, listed in keys.items():
        films = np.flatnonzero(signature == key)
        if len(films) and listed:
            values = np.stack(list(lists[films]))
            for place, name in enumerate(listed):
                columns[name][films] = values[:, place]
    return columns
