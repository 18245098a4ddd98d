"""What the demo's report models came to, as a table for a terminal and in plain words."""

from collections.abc import Sequence
from typing import NamedTuple

from ...benchmark.baselines import CONSTANT, PRIOR, RETRIEVAL, TEMPLATE
from ..view import grid, out, table
from .training import BASE, DEFECTS, LABELS, MODELS, Gap

BLIND = {
    CONSTANT: "one normal report for all",
    TEMPLATE: "a template by view",
    RETRIEVAL: "the report of the nearest training film",
    PRIOR: "the patient's last report again",
}
"""What each floor writes."""
WHOLE = "T5"
ORDER = (BASE, *MODELS)
TITLE = "Report models trained for a minute: label F1, what defects take (95 %)"
HEADERS = ("model", "whole test", f"{DEFECTS[0]} (seen)", f"{DEFECTS[1]} (unseen)")


class Standing(NamedTuple):
    """One model; points of label F1 with their 95 % interval."""

    model: str
    label_f1: str
    """On the whole test split."""
    lost_to_seen: str = ""
    """Of it, on films with the defect that training draws; empty for floors, which look at no film."""
    lost_to_unseen: str = ""
    """The same with the defect that training never saw."""


def told(gaps: Sequence[Gap], as_json: bool) -> None:
    """Print what the models came to: every number for a program, a narrow table and plain words for a person."""
    if as_json:
        grid(Gap._fields, gaps, TITLE, as_json)
        return
    table(HEADERS, standings(gaps), TITLE)
    for line in plainly(gaps):
        out.print(line, highlight=False)


def standings(gaps: Sequence[Gap]) -> list[Standing]:
    """One row a model, floors first, then in the order in which they were trained."""
    found = {(gap.model, gap.cases, gap.quantity): gap for gap in gaps if gap.metric == LABELS}
    floors = sorted({gap.model for gap in gaps if gap.model in BLIND})
    trained = [model for model in ORDER if any(gap.model == model for gap in gaps)]
    lost = [(f"T4 {defect}", "drop") for defect in DEFECTS]
    return [
        Standing(model, *(_points(found.get((model, *each))) for each in [(WHOLE, "value"), *(lost if look else ())]))
        for look, models in ((False, floors), (True, trained))
        for model in models
    ]


def plainly(gaps: Sequence[Gap]) -> list[str]:
    """How each model stands to the best floor, and whether the dual loop lost less than plain fine-tuning."""
    whole = {gap.model: gap for gap in gaps if gap.metric == LABELS and (gap.cases, gap.quantity) == (WHOLE, "value")}
    floor = max((gap for name, gap in whole.items() if name in BLIND), key=lambda gap: gap.value)
    models = [whole[name] for name in ORDER if name in whole]
    return [*(_against(gap, floor) for gap in models), *map(_difference, _differences(gaps))]


def _against(gap: Gap, floor: Gap) -> str:
    ours, theirs = f"{100 * gap.value:.0f}", f"{100 * floor.value:.0f} ({floor.model}: {BLIND[floor.model]})"
    overlap = gap.low <= floor.high and floor.low <= gap.high
    if gap.value > floor.value:
        return f"{gap.model}: {ours}, above the best floor's {theirs}{', but the intervals overlap' * overlap}."
    stands = "NOT above" if overlap else "BELOW"
    return f"{gap.model}: {ours}, {stands} the best floor's {theirs}: no sign that it gains by looking at films."


def _differences(gaps: Sequence[Gap]) -> list[Gap]:
    return [
        gap
        for gap in gaps
        if gap.model == "dual_loop" and gap.metric == LABELS and gap.quantity == "difference_in_differences"
    ]


def _difference(gap: Gap) -> str:
    shown = "a difference" if gap.low > 0 or gap.high < 0 else "no difference shown"
    points = [round(100 * each) for each in (gap.value, gap.low, gap.high)]
    less, (value, low, high) = ("less", points) if gap.value > 0 else ("more", (-points[0], -points[2], -points[1]))
    return f"dual_loop loses {value} {less} than sft to {gap.cases[3:]} ({low} to {high} {less}): {shown}."


def _points(gap: Gap | None) -> str:
    return "" if gap is None else f"{100 * gap.value:.0f} ({100 * gap.low:.0f} to {100 * gap.high:.0f})"
