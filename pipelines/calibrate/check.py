"""What a judge adds to the tools: AUROC of both and of either, calibration, and accuracy against cost."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...benchmark.statistics import Interval, auroc, cluster_bootstrap
from ..examples import Example
from ..policy.model import Floats
from .films import CLEAR
from .fit import WHO, Held, Who

Table = list[dict[str, Any]]
BINS = 10
SOME = 5
"""Films of each label below which a cell is not worth a row."""
FRACTIONS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
ORDERS = 50
"""Random orders that the curve is compared with."""


def gain(held: Held, by_source: dict[str, Held]) -> Table:
    """AUROC of tools, judge and agent for low against good films, with the agent's paired gain over the tools.

    Intervals are 95 %, over whole patients.
    """
    scopes = {"all": held}
    for domain in sorted({each.domain for each in held.films}):
        scopes[domain] = _chosen(held, [each.domain == domain for each in held.films])
    scopes |= {f"others -> {source}": found for source, found in by_source.items()}
    return [{"films": name, **_compared(each)} for name, each in scopes.items() if _worth(each)]


def finding(held: Held) -> str:
    """Whether the judge adds to the tools, in one line."""
    clear = _clear(held)
    found = _difference(clear, "agent", "tools")
    said = f"AUROC {found.value:+.3f} (95 % {found.low:+.3f} to {found.high:+.3f}) over the tools alone"
    films = f"{len(clear.films)} films of {len({each.film.patient for each in clear.films})} patients held out"
    if found.low > 0:
        return f"The judge adds to the tools: {said}; {films}."
    if found.high < 0:
        return f"The judge makes the tools worse: {said}; {films}."
    return f"The judge does not measurably add to the tools: {said}; {films}."


def calibration(held: Held) -> Table:
    """How true each one's quality is: Brier score and expected calibration error, 0 best.

    Source:
        Brier, Monthly Weather Review 78:1-3, 1950; Naeini, Cooper and Hauskrecht, AAAI 2015.
    """
    clear = _clear(held)
    good = ~_low(clear.films)
    found = []
    for who in WHO:
        bins = _binned(clear.quality[who], good)
        error = sum(abs(each["quality said"] - each["share good"]) * each["films"] for each in bins) / len(good)
        brier = float(np.mean((clear.quality[who] - good) ** 2))
        found.append({"who": who, "films": len(good), "Brier": round(brier, 4), "ECE": round(error, 4)})
    return found


def reliability(held: Held) -> Table:
    """The curve behind the expected calibration error: ten bins of quality each for tools, judge and agent."""
    clear = _clear(held)
    good = ~_low(clear.films)
    return [
        {"who": who, **{name: round(value, 4) if name != "films" else value for name, value in each.items()}}
        for who in WHO
        for each in _binned(clear.quality[who], good)
    ]


def cost(held: Held) -> Table:
    """AUROC against the share of films the judge sees, the least certain first; and in random order, for comparison."""
    clear = _clear(held)
    low, patients = _low(clear.films), _patients(clear)
    order = np.argsort(np.abs(clear.quality["tools"] - 0.5), kind="stable")
    rng = np.random.default_rng(0)
    shuffled = [rng.permutation(len(order)) for _ in range(ORDERS)]
    found = []
    for fraction in FRACTIONS:
        sent = round(fraction * len(order))
        mixed = _mixed(clear, order[:sent])
        area = cluster_bootstrap(_area(mixed, low), patients)
        chance = float(np.mean([auroc(-_mixed(clear, each[:sent]), low) for each in shuffled]))
        row = {"share judged": fraction, "films judged": sent, **_interval("AUROC", area)}
        found.append({**row, "AUROC in random order": round(chance, 4)})
    return found


def _mixed(held: Held, sent: NDArray[np.intp]) -> Floats:
    quality = held.quality["tools"].copy()
    quality[sent] = held.quality["agent"][sent]
    return quality


def _compared(held: Held) -> dict[str, Any]:
    clear = _clear(held)
    low, patients = _low(clear.films), _patients(clear)
    row: dict[str, Any] = {"good": int((~low).sum()), "low": int(low.sum())}
    for who in WHO:
        row |= _interval(who, cluster_bootstrap(_area(clear.quality[who], low), patients))
    return row | _interval("agent - tools", _difference(clear, "agent", "tools"))


def _difference(clear: Held, one: Who, other: Who) -> Interval:
    low = _low(clear.films)
    first, second = _area(clear.quality[one], low), _area(clear.quality[other], low)
    return cluster_bootstrap(lambda rows: first(rows) - second(rows), _patients(clear))


def _area(quality: Floats, low: NDArray[np.bool_]) -> Callable[[NDArray[np.intp]], float]:
    return lambda rows: auroc(-quality[rows], low[rows])


def _interval(name: str, found: Interval) -> dict[str, Any]:
    return {name: round(found.value, 3), f"{name} 95 %": f"{found.low:.3f} to {found.high:.3f}"}


def _binned(quality: Floats, good: NDArray[np.bool_]) -> Table:
    bins = np.minimum((quality * BINS).astype(int), BINS - 1)
    return [
        {
            "from": k / BINS,
            "films": int(inside.sum()),
            "quality said": float(quality[inside].mean()),
            "share good": float(good[inside].mean()),
        }
        for k in range(BINS)
        if (inside := bins == k).any()
    ]


def _clear(held: Held) -> Held:
    return _chosen(held, [each.film.label in CLEAR for each in held.films])


def _chosen(held: Held, mask: Sequence[bool]) -> Held:
    films = [each for each, chosen in zip(held.films, mask, strict=True) if chosen]
    return Held(films, {who: quality[np.array(mask, bool)] for who, quality in held.quality.items()})


def _worth(held: Held) -> bool:
    labels = [each.film.label for each in held.films]
    return min(labels.count("good"), labels.count("low")) >= SOME


def _low(films: Sequence[Example]) -> NDArray[np.bool_]:
    return np.array([each.film.label == "low" for each in films], bool)


def _patients(held: Held) -> NDArray[np.str_]:
    return np.array([each.film.patient for each in held.films])
