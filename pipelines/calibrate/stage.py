"""The stage behind `lrrg calibrate`: what a judge's scores are worth beside the tools, and a policy that says so."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ...agent.policy import Policy, load
from ...agent.rows import Judged
from ..settings import Settings
from ..view import Progress
from .check import Table, calibration, cost, finding, gain, reliability
from .file import read_calibration
from .films import Asked, ask_about, asked, patients_of, unseen
from .fit import Join, by_patient, by_source, section, sources

CURVES = ("reliability", "cost")
"""Tables that are curves."""


@dataclass(frozen=True)
class Order:
    """What to calibrate on, and how.

    Attributes:
        db: database annotated with the judge, or to be so.
        films: folder of labelled films that the judge is asked about first; None for what readers said in `db`.
        trained: list of the patients the judge learnt from, whose films are left out.
        refit: whether the policy was fitted on these very films: tools are then fitted anew without each patient.
        calibration: file with the temperature and shift of each aspect.
    """

    db: Path
    films: Path | None = None
    trained: Path | None = None
    refit: bool = False
    calibration: Path | None = None


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        policy: the policy with its section for the judge.
        finding: whether the judge adds to the tools, in one line.
        tables: one a name.
        notes: what was left out.
    """

    policy: Policy
    finding: str
    tables: Mapping[str, Table]
    notes: tuple[str, ...]


def calibrate(order: Order, settings: Settings, progress: Progress) -> Outcome:
    """Fit and check how a judge's scores join the tools' log-odds.

    Every figure comes from films judged by fits that saw neither them nor any other film of their patient.

    Raises:
        SettingsError: no labelled film with scores, too few good or low ones, or a file is not what it should be.
        JudgeUnavailable: the judge cannot be reached.
        StoreError: the database cannot be read or written.
    """
    policy, heard = load(settings.agent.policy), read_calibration(order.calibration) if order.calibration else {}
    patients = patients_of(order.trained)
    known = ask_about(order.films, order.db, settings, progress) if order.films else None
    found = asked(order.db, known)
    samples, learnt = unseen(found.samples, patients)
    others = tuple(each.example for each in learnt)
    join = Join(None if order.refit else policy, others, heard)
    with progress("fit and hold out", None):
        held = by_patient(samples, join)
        away = {name: each for name in sorted(sources(samples)) if (each := by_source(samples, name, join))}
        made = section(found, samples, held, join)
    tables = {
        "gain": gain(held, away),
        "calibration": calibration(held),
        "reliability": reliability(held),
        "cost": cost(held),
        "weights": _weights(made),
    }
    notes = _notes(found, len(learnt))
    return Outcome(Policy(**{**dict(policy), "judge": made}), finding(held), tables, notes)


def write_outcome(outcome: Outcome, policy: Path, curves: Path | None) -> None:
    """Write the policy, and the curves as CSV files into a folder."""
    policy.write_text(outcome.policy.text(), encoding="utf-8")
    if curves is None:
        return
    curves.mkdir(parents=True, exist_ok=True)
    for name in CURVES:
        path = curves / f"{name}.csv"
        with path.open("w", newline="", encoding="utf-8") as stream:
            lines = csv.DictWriter(stream, fieldnames=tuple(outcome.tables[name][0]))
            lines.writeheader()
            lines.writerows(outcome.tables[name])


def _weights(made: Judged) -> Table:
    rows = [{"feature": "log-odds by the tools", "log-odds a unit": made.tools, "temperature": "", "shift": ""}]
    return rows + [
        {"feature": f"judge: {aspect}", "log-odds a unit": weight, **made.calibration(aspect)._asdict()}
        for aspect, weight in made.weights.items()
    ]


def _notes(found: Asked, learnt: int) -> tuple[str, ...]:
    said = {
        "labelled films have no judge's scores": found.unjudged,
        "films of patients the judge learnt from are left out": learnt,
    }
    return tuple(f"{count} {what}" for what, count in said.items() if count)
