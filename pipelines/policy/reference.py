"""Reference quantiles: what each measure is on films of a kind, so that a number becomes a robust z."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ...agent.policy import DOMAINS, TRANSFORMS, UNKNOWN, Policy, Reference, Transform
from ..errors import SettingsError
from ..examples import Example

MIN_FILMS = 20
"""A view group with fewer films of its own takes the quantiles of all of them."""
QUARTILES_OF_NORMAL = 1.349
"""Interquartile range of a normal variable of deviation 1."""
FLOORS: Mapping[Transform, float] = {"identity": 0.01, "log": 0.05, "log1p": 0.005}
"""Smallest scale: a measure that hardly varies among the reference films must not explode."""


def reference(
    examples: Iterable[Example], transforms: Mapping[str, Transform], views: Mapping[str, str]
) -> tuple[Reference, ...]:
    """Median and robust spread of every measure, by intensity domain and view group.

    The group `unknown` holds all films. A domain without films gets no rows; the detector domain (`linear`) borrows
    those of `presentation` then, because a film needs a window before it can be looked at.

    Args:
        examples: the films to refer to: good ones, or all of an archive (median and quartiles bear some bad ones).
        transforms: what to do to each measure first; only these measures get rows.
        views: view group by view position in upper case.
    """
    films = list(examples)
    groups = sorted({UNKNOWN, *views.values()})
    rows: dict[str, list[Reference]] = {}
    for domain in DOMAINS:
        of_domain = [each for each in films if each.domain == domain]
        rows[domain] = [
            row
            for group in groups
            for name, transform in sorted(transforms.items())
            if (row := _row(of_domain, domain, group, name, transform, views))
        ]
    borrowed = rows["linear"] or [row.model_copy(update={"domain": "linear"}) for row in rows["presentation"]]
    return (*borrowed, *rows["presentation"], *rows["equalised"])


def own_reference(policy: Policy, examples: Sequence[Example]) -> Policy:
    """The policy with the quantiles of an archive's own films; domains that it lacks keep theirs.

    Raises:
        SettingsError: too few films.
    """
    counts = {domain: sum(each.domain == domain for each in examples) for domain in DOMAINS}
    if max(counts.values()) < MIN_FILMS:
        raise SettingsError(f"a reference needs {MIN_FILMS} readable films of one kind, found {max(counts.values())}")
    enough = [each for each in examples if counts[each.domain] >= MIN_FILMS]
    transforms: dict[str, Transform] = {row.measure: row.transform for row in policy.reference}
    made = {(row.domain, row.group, row.measure): row for row in reference(enough, transforms, policy.views)}
    rows = tuple(made.get((row.domain, row.group, row.measure), row) for row in policy.reference)
    # Built anew: a copy would keep what the policy has already worked out from its old rows.
    return Policy(**{**dict(policy), "name": f"{policy.name}-own", "reference": rows})


def _row(
    films: Sequence[Example], domain: str, group: str, name: str, transform: Transform, views: Mapping[str, str]
) -> Reference | None:
    alike = [each for each in films if group in (UNKNOWN, views.get(each.film.view.upper(), UNKNOWN))]
    chosen = alike if len(alike) >= MIN_FILMS else films
    values = [TRANSFORMS[transform](each.measures[name]) for each in chosen if name in each.measures]
    if not values:
        return None
    lower, median, upper = np.quantile(values, [0.25, 0.5, 0.75])
    scale = max(float(upper - lower) / QUARTILES_OF_NORMAL, FLOORS[transform])
    return Reference(
        domain=domain,  # pyright: ignore[reportArgumentType]
        group=group,
        measure=name,
        transform=transform,
        median=round(float(median), 5),
        scale=round(scale, 5),
        films=len(values),
    )
