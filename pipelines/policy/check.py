"""How far a fitted policy holds: on patients and on whole sources it has not seen, and on spoiled films."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence, Set
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...agent.policy import Policy, assess
from ...benchmark.ladder import TOOL_SEVERITIES, Ladder
from ...benchmark.statistics import auroc, cluster_bootstrap
from ..examples import Example
from .fit import FITTED, FOLDS, MIN_GOOD, Fitted, fit, qualities, without
from .model import Model, patient_folds
from .plan import TRANSFORM, VIEWS
from .reference import reference

Mask = NDArray[np.bool_]
Rows = list[dict[str, Any]]

STEPS = {severity: tool for tool, severity in TOOL_SEVERITIES.items()}
BINS = 10
SOME = 5
"""Films of each label below which a cell is not worth a row."""


class Judged(NamedTuple):
    """One film judged by a model that never saw its patient (or its source)."""

    example: Example
    quality: float
    low: float
    """The regimes of that model."""
    high: float


def check(films: Sequence[Example], spoiled: Sequence[Example]) -> dict[str, Rows]:
    """Everything that is known about films the fit had not seen; every figure comes from refitting without them.

    Returns:
        `patients`: five-fold, by patient; `sources`: each source held out, and each alone against the rest;
        `calibration`: reliability of the quality on held-out patients.
    """
    held = by_patient(films, spoiled)
    return {
        "patients": _table(held),
        "sources": by_source(films, spoiled),
        "calibration": [row for domain in FITTED for row in _reliability(domain, held)],
    }


def patients_table(films: Sequence[Example]) -> Rows:
    """The table `patients` of `check` alone, of fits to hand labels without spoiled films."""
    return _table(by_patient(films, []))


def _table(held: Sequence[Judged]) -> Rows:
    return [row for domain in FITTED for row in _cells(domain, held)]


def by_patient(films: Sequence[Example], spoiled: Sequence[Example]) -> list[Judged]:
    """Judge every film by the fold that left its patient out."""
    part = patient_folds(np.array([each.film.patient for each in films]), FOLDS)
    found = []
    for k in range(FOLDS):
        held = [film for film, fold in zip(films, part, strict=True) if fold == k]
        found += _judge(fit(*without(held, films, spoiled)), held)
    return found


def by_source(films: Sequence[Example], spoiled: Sequence[Example]) -> Rows:
    """Hold every source out, then fit on it alone: what one place teaches must carry to another."""
    found: Rows = []
    sources = {each.film.source for each in films}
    for source in sorted(sources):
        there = {source}
        if _enough(films, there, SOME) and _enough(films, sources - there, MIN_GOOD):
            found += _transfer(f"others -> {source}", films, spoiled, there)
    for source in sorted(sources):
        rest = sources - {source}
        if _enough(films, {source}, MIN_GOOD) and _enough(films, rest, SOME):
            found += _transfer(f"{source} -> others", films, spoiled, rest)
    return found


def _enough(films: Sequence[Example], sources: Set[str], number: int) -> bool:
    """Whether these sources have so many good and so many low films in every domain."""
    kinds = Counter((each.domain, each.film.label) for each in films if each.film.source in sources)
    return all(kinds[domain, label] >= number for domain in FITTED for label in ("good", "low"))


def _transfer(title: str, films: Sequence[Example], spoiled: Sequence[Example], test: Set[str]) -> Rows:
    fitted = fit(*([each for each in rows if each.film.source not in test] for rows in (films, spoiled)))
    held = [each for each in films if each.film.source in test]
    own = fitted._replace(models={name: _own(fitted, name, held) for name in FITTED})
    found = []
    for domain in FITTED:
        there = [each for each in held if each.domain == domain]
        shipped = _summary(_judge(fitted, there))
        flagged = _summary(_judge(own, there))["good called low"]
        found.append({"domain": domain, "fit -> test": title, **shipped, "with own reference": flagged})
    return found


def _own(fitted: Fitted, domain: str, held: Sequence[Example]) -> Model:
    """The model with the quantiles of the held-out films themselves, whatever their quality."""
    rows = reference([each for each in held if each.domain == domain], TRANSFORM, VIEWS)
    return fitted.models[domain]._replace(reference=rows)


def _judge(fitted: Fitted, films: Sequence[Example]) -> list[Judged]:
    low, high = fitted.regimes.low, fitted.regimes.high
    return [Judged(*pair, low, high) for pair in zip(films, qualities(fitted.models, films).tolist(), strict=True)]


def _cells(domain: str, held: Sequence[Judged]) -> Rows:
    """One row for all, for every source and for AP and PA by themselves."""
    judged = [each for each in held if each.example.domain == domain]
    scopes: dict[str, Callable[[Example], bool]] = {"all": lambda _: True}
    for source in sorted({each.example.film.source for each in judged}):
        scopes[source] = lambda each, name=source: each.film.source == name
    for view in ("AP", "PA"):
        scopes[view] = lambda each, name=view: each.film.view.upper() == name
    found = []
    for scope, belongs in scopes.items():
        chosen = [each for each in judged if belongs(each.example)]
        labels = [each.example.film.label for each in chosen]
        if min(labels.count("good"), labels.count("low")) >= SOME:
            found.append({"domain": domain, "films": scope, **_summary(chosen)})
    return found


def _summary(judged: Sequence[Judged]) -> dict[str, Any]:
    labels = np.array([each.example.film.label for each in judged])
    quality = np.array([each.quality for each in judged])
    flagged = np.array([each.quality < each.low for each in judged])
    passed = np.array([each.quality >= each.high for each in judged])
    good, low = labels == "good", labels == "low"
    clear = good | low
    patients = np.array([each.example.film.patient for each in judged])[clear]

    def area(rows: NDArray[np.intp]) -> float:
        return auroc(-quality[clear][rows], low[clear][rows])

    found = cluster_bootstrap(area, patients)
    return {
        "good": int(good.sum()),
        "low": int(low.sum()),
        "AUROC": round(found.value, 3),
        "95 %": f"{found.low:.3f} to {found.high:.3f}",
        "good called low": _fraction(flagged, good),
        "good called high": _fraction(passed, good),
        "low called low": _fraction(flagged, low),
        "low called high": _fraction(passed, low),
    }


def _fraction(hit: Mask, among: Mask) -> float:
    return round(float(hit[among].mean()), 3) if among.any() else float("nan")


def _reliability(domain: str, judged: Iterable[Judged]) -> Rows:
    """Expected calibration error and its bins over good and low films.

    Source:
        Naeini, Cooper and Hauskrecht, AAAI 2015.
    """
    clear = [each for each in judged if each.example.domain == domain and each.example.film.label in ("good", "low")]
    quality = np.array([each.quality for each in clear])
    good = np.array([each.example.film.label == "good" for each in clear])
    bins = np.minimum((quality * BINS).astype(int), BINS - 1)
    found: Rows = []
    error = 0.0
    for k in range(BINS):
        inside = bins == k
        if inside.any():
            gap = float(quality[inside].mean() - good[inside].mean())
            error += abs(gap) * float(inside.mean())
            found.append(_bin(domain, f"{k / BINS:.1f} to {(k + 1) / BINS:.1f}", quality[inside], good[inside]))
    return [*found, _bin(domain, f"ECE {error:.3f}", quality, good)]


def _bin(domain: str, title: str, quality: NDArray[np.float64], good: Mask) -> dict[str, Any]:
    said, true = round(float(quality.mean()), 3), round(float(good.mean()), 3)
    return {"domain": domain, "quality": title, "films": len(good), "quality said": said, "share good": true}


def check_severities(policy: Policy, films: Sequence[Example], spoiled: Sequence[Example], ladder: Ladder) -> Rows:
    """Share of the reporting half's films that reach severity 1, 2 and 3 of the aspect a defect belongs to.

    `step` is the defect's severity in the tool benchmark's count (0 good films, 4 worse than severity 3).
    """
    found: Rows = []
    for domain in FITTED:
        clean = [each for each in films if _reports(each, domain) and each.film.label == "good"]
        aspects = sorted({row.aspect for row in policy.severities if row.domain == domain}) if clean else []
        found += [_reach(policy, aspect, "none", 0, clean) for aspect in aspects]
        worse = [each for each in spoiled if _reports(each, domain)]
        for defect, severity in sorted({(each.defect, each.severity) for each in worse}):
            alike = [each for each in worse if (each.defect, each.severity) == (defect, severity)]
            found.append(_reach(policy, ladder[defect].aspect, defect, STEPS.get(severity, 0), alike))
    return found


def _reports(each: Example, domain: str) -> bool:
    return each.domain == domain and each.film.reporting


def _reach(policy: Policy, aspect: str, defect: str, step: int, films: Sequence[Example]) -> dict[str, Any]:
    graded = [assess(policy, each.measures, each.domain, each.film.view) for each in films]
    reached = [each.severities.get(aspect, 0) for each in graded]
    shares = {f"severity {k}": round(float(np.mean([each >= k for each in reached])), 2) for k in (1, 2, 3)}
    flagged = round(float(np.mean([each.regime == "low" for each in graded])), 2)
    head = {"domain": films[0].domain, "aspect": aspect, "defect": defect, "step": step, "films": len(films)}
    return {**head, **shares, "regime low": flagged}
