"""Fit a policy: a quality model per intensity domain, regimes, and cut points of severities."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from ...agent.policy import Policy, Regimes, Severity, Term
from ..errors import SettingsError
from ..examples import Example
from .cuts import severities
from .model import Floats, Model, fit_model, log_odds, patient_folds
from .plan import FIT_DEFECTS, FIT_SEVERITIES, MODEL, RULES, VIEWS

Row = TypeVar("Row", Severity, Term)

FITTED = ("presentation", "equalised")
"""Domains that are fitted; `linear` takes what `presentation` has, because no labelled films of it exist."""
FLAGGED = 0.03
"""Share of good films, in any source, that may fall below `regimes.low` on held-out patients."""
SURE = 0.1
"""Quality that `regimes.low` never exceeds: a few dozen good films bound it loosely; low should mean nine to one."""
PASSED = 0.05
"""Share of low films that may reach `regimes.high` on held-out patients."""
MIN_GOOD = 10
FOLDS = 5


class Fitted(NamedTuple):
    """A quality model per domain, and the regimes on its scale."""

    models: Mapping[str, Model]
    regimes: Regimes


def fit_policy(name: str, films: Sequence[Example], spoiled: Sequence[Example]) -> Policy:
    """Fit everything a policy holds.

    Args:
        name: of the policy.
        films: hand-labelled films as they came; the quality models and regimes come from all of them.
        spoiled: films spoiled on purpose; severities are cut on the development half of the patients.

    Raises:
        SettingsError: too few good or low films in a domain.
    """
    fitted = fit(films, spoiled)
    scales = [row for model in fitted.models.values() for row in model.reference]
    terms = [term for domain in FITTED for term in _terms(domain, fitted.models[domain])]
    grades = severities(films, spoiled, scales)
    low, high = fitted.regimes.low, fitted.regimes.high
    return Policy(
        name=name,
        version=1,
        views=VIEWS,
        reference=tuple(scales),
        severities=(*_borrowed(grades), *grades),
        terms=(*_borrowed(terms), *terms),
        bias={"linear": _bias(fitted, "presentation"), **{domain: _bias(fitted, domain) for domain in FITTED}},
        regimes=fitted.regimes,
        rules=RULES,
        # Half-way from each regime's threshold to certainty: clear of it on both sides, or a judge should look.
        band=(round(low / 2, 3), round((1 + high) / 2, 3)),
    )


def fit(films: Sequence[Example], spoiled: Sequence[Example]) -> Fitted:
    """Fit the quality models, and set the regimes on patients that were held out for it."""
    models = {domain: fit_model(of(domain, films, spoiled)) for domain in FITTED}
    names = np.array([each.film.patient for each in films])
    part, quality = patient_folds(names, FOLDS), np.zeros(len(films))
    for k in range(FOLDS):
        held = [film for film, fold in zip(films, part, strict=True) if fold == k]
        inner = {domain: fit_model(of(domain, *without(held, films, spoiled))) for domain in FITTED}
        quality[part == k] = qualities(inner, held)
    return Fitted(models, set_regimes(films, quality))


def of(domain: str, films: Iterable[Example], spoiled: Iterable[Example]) -> list[Example]:
    """The films of a domain that the model learns from: all labelled ones, and some kinds of spoiled ones.

    Raises:
        SettingsError: not enough of them.
    """
    found = [each for each in films if each.domain == domain]
    labels = [each.film.label for each in found]
    if min(labels.count("good"), labels.count("low")) < MIN_GOOD:
        counted = f"{labels.count('good')} good and {labels.count('low')} low films"
        raise SettingsError(f"{domain}: {counted} to learn from; need {MIN_GOOD} of each, also with patients held out")
    return found + [each for each in spoiled if each.domain == domain and _teaches(each)]


def _teaches(each: Example) -> bool:
    """Equalisation undoes a loss of contrast: nothing is left of it to learn from."""
    invisible = each.domain == "equalised" and each.defect == "low_contrast"
    return each.defect in FIT_DEFECTS and each.severity in FIT_SEVERITIES and not invisible


def without(
    held: Iterable[Example], films: Iterable[Example], spoiled: Iterable[Example]
) -> tuple[list[Example], list[Example]]:
    """Both lists less the patients of `held`."""
    patients = {each.film.patient for each in held}
    left = ([each for each in rows if each.film.patient not in patients] for rows in (films, spoiled))
    first, second = left
    return first, second


def qualities(models: Mapping[str, Model], films: Sequence[Example]) -> Floats:
    """Quality of each film by its domain's model: float64, shape (n,)."""
    found = np.zeros(len(films))
    for domain, model in models.items():
        chosen = np.array([each.domain == domain for each in films], bool)
        if chosen.any():
            found[chosen] = 1 / (1 + np.exp(log_odds(model, [each for each in films if each.domain == domain])))
    return found


def set_regimes(films: Sequence[Example], quality: Floats) -> Regimes:
    """The highest `low` that flags few good films of every source, the lowest `high` that few low films reach."""
    labels = np.array([each.film.label for each in films])
    cells = np.array([f"{each.domain} {each.film.source}" for each in films])
    domains = np.array([each.domain for each in films])
    good = [quality[(labels == "good") & (cells == cell)] for cell in np.unique(cells)]
    low = [quality[(labels == "low") & (domains == domain)] for domain in np.unique(domains)]
    enough = [each for each in good if len(each) >= MIN_GOOD] or [quality[labels == "good"]]
    lower = min(SURE, *(float(np.quantile(each, FLAGGED)) for each in enough))
    upper = max(float(np.quantile(each, 1 - PASSED)) for each in low if len(each))
    return Regimes(low=round(lower, 3), high=round(max(lower, upper), 3))


def _bias(fitted: Fitted, domain: str) -> float:
    return round(fitted.models[domain].bias, 5)


def _terms(domain: str, model: Model) -> list[Term]:
    return [
        Term(
            domain=domain,  # pyright: ignore[reportArgumentType]
            measure=name,
            direction=MODEL[name].direction,
            low=MODEL[name].low,
            high=MODEL[name].high,
            weight=round(weight, 5),
        )
        for name, weight in model.weights.items()
        if round(weight, 4) > 0
    ]


def _borrowed(rows: Iterable[Row]) -> list[Row]:
    return [row.model_copy(update={"domain": "linear"}) for row in rows if row.domain == "presentation"]
