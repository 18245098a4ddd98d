"""Templated radiology reports of synthetic films: what they say follows from what the film shows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import numpy as np

from .ladder import Aspect
from .phantom_findings import Finding

Shape = Literal["full", "findings", "paragraph"]
"""Sections a report has: findings and impression, findings alone, or one paragraph without a heading."""

_DEVICES: Mapping[str, tuple[str, ...]] = {
    "endotracheal_tube": (
        "An endotracheal tube ends above the carina.",
        "The endotracheal tube tip lies above the carina.",
    ),
    "central_line": (
        "A right jugular catheter ends in the SVC.",
        "The right central line reaches the superior vena cava.",
    ),
    "pacemaker": (
        "A left chest pacemaker has leads in the right atrium and ventricle.",
        "A dual-lead pacemaker is in place with intact leads.",
    ),
}
_LUNGS: Mapping[str, tuple[str, ...]] = {
    "effusion": ("There is a {size} {side} pleural effusion.", "A {size} pleural effusion is present on the {side}."),
    "pneumothorax": ("There is a {side} pneumothorax without shift.", "A {size} {side} pneumothorax is seen."),
    "consolidation": (
        "Consolidation in the {side} lung may represent pneumonia.",
        "There is {side} sided consolidation, possibly pneumonia.",
    ),
    "nodule": ("A rounded nodule projects over the {side} lung.", "A pulmonary nodule is seen in the {side} lung."),
}
_LIMITS: Mapping[Aspect, str] = {
    "noise": "The film is grainy, which limits fine detail.",
    "blur": "Evaluation is limited by motion.",
    "exposure": "The film is poorly exposed, which limits evaluation.",
    "collimation": "The chest is not completely included on this film.",
    "positioning": "Evaluation is limited by patient positioning.",
    "artifact": "Overlying artifact limits evaluation.",
}
_REASONS = ("cough and fever", "shortness of breath", "chest pain", "preoperative assessment", "hypoxia", "a fall")
WIDTH = 79
"""Characters a line of MIMIC-CXR's reports, its leading space included."""

_Choice = TypeVar("_Choice")


@dataclass(frozen=True)
class Report:
    """A report's sections and the labels a careful reader takes from it; an unmentioned label is absent."""

    indication: str
    technique: str
    comparison: str
    findings: str
    impression: str
    shape: Shape
    labels: Mapping[str, int]

    def text(self, procedure: str) -> str:
        """The report as MIMIC-CXR lays it out: indented by one space, at most 79 characters a line."""
        head = {"EXAMINATION": procedure, "INDICATION": self.indication, "TECHNIQUE": self.technique}
        parts = [_wrapped(f"{name}:  {body}") for name, body in head.items()]
        parts.append(_wrapped(f"COMPARISON:  {self.comparison}"))
        if self.shape == "paragraph":
            parts.append(_wrapped(f"{self.findings}  {self.impression}"))
        else:
            parts.append(" FINDINGS: \n \n" + _wrapped(self.findings))
        if self.shape == "full":
            parts.append(" IMPRESSION: \n \n" + _wrapped(self.impression))
        return " " * 33 + "FINAL REPORT\n" + " \n".join(parts)


def report(
    findings: Collection[Finding],
    rng: np.random.Generator,
    *,
    portable: bool,
    prior: bool,
    limit: Aspect | None = None,
) -> Report:
    """Write a report that names exactly `findings`.

    Args:
        findings: what the films of the study show.
        rng: chooses among phrasings and section shapes.
        portable: whether the films were taken at the bedside.
        prior: whether an earlier study exists to compare with.
        limit: the technical fault the reader complains of, if any.
    """
    devices = [_pick(rng, _DEVICES[name]) for name in sorted(findings) if name in _DEVICES]
    lungs = [_pick(rng, _lung_sentences(name)) for name in sorted(findings) if name.partition("_")[0] in _LUNGS]
    sentences = devices + lungs + _absent(findings, rng)
    if limit:
        sentences.insert(0, _LIMITS[limit])
    return Report(
        indication=f"___ year old {_pick(rng, ('man', 'woman'))} with {_pick(rng, _REASONS)}.",
        technique="Portable AP chest." if portable else "Upright PA view of the chest.",
        comparison=_pick(rng, ("Chest radiograph of ___.", "___.")) if prior else "None.",
        findings="  ".join(sentences),
        impression=_impression((["Cardiomegaly."] if "cardiomegaly" in findings else []) + lungs, rng),
        shape=_shape(rng),
        labels=_labels(findings),
    )


def _pick(rng: np.random.Generator, choices: Sequence[_Choice]) -> _Choice:
    return choices[int(rng.integers(len(choices)))]


def _shape(rng: np.random.Generator) -> Shape:
    """Sections as often as the reports of MIMIC-CXR have them."""
    draw = rng.random()
    return "full" if draw < 0.83 else "findings" if draw < 0.95 else "paragraph"


def _lung_sentences(finding: str) -> tuple[str, ...]:
    kind, _, side = finding.partition("_")
    return tuple(text.format(side=side, size=size) for text in _LUNGS[kind] for size in ("small", "moderate"))


def _kinds(findings: Collection[Finding]) -> set[str]:
    return {finding.partition("_")[0] for finding in findings}


def _absent(findings: Collection[Finding], rng: np.random.Generator) -> list[str]:
    """Sentences on the heart and on what is not there."""
    kinds = _kinds(findings)
    large = ("The heart is enlarged.", "There is cardiomegaly.")
    normal = ("Heart size is normal.", "The cardiac silhouette is normal in size.")
    said = [_pick(rng, large if "cardiomegaly" in kinds else normal)]
    if "consolidation" not in kinds:
        said.append(_pick(rng, ("No focal consolidation.", "The lungs show no consolidation.")))
    if not kinds & {"effusion", "pneumothorax"}:
        said.append(
            _pick(rng, ("No pleural effusion or pneumothorax.", "There is no pneumothorax or pleural effusion."))
        )
    return said


def _impression(said: Sequence[str], rng: np.random.Generator) -> str:
    if not said:
        return _pick(rng, ("No acute cardiopulmonary process.", "No evidence of acute disease."))
    return said[0] if len(said) == 1 else "  ".join(f"{n}. {sentence}" for n, sentence in enumerate(said, 1))


def _labels(findings: Collection[Finding]) -> dict[str, int]:
    """1 positive, 0 negative, -1 uncertain, by CheXpert's fourteen names."""
    kinds = _kinds(findings)
    labels = {"Cardiomegaly": int("cardiomegaly" in kinds), "Consolidation": int("consolidation" in kinds)}
    if "consolidation" in kinds:
        labels["Pneumonia"] = -1
    if "nodule" in kinds:
        labels["Lung Lesion"] = 1
    pleura = {"Pleural Effusion": "effusion", "Pneumothorax": "pneumothorax"}
    none = not kinds & set(pleura.values())
    labels |= {label: int(kind in kinds) for label, kind in pleura.items() if none or kind in kinds}
    if set(findings) & set(_DEVICES):
        labels["Support Devices"] = 1
    if not any(value for label, value in labels.items() if label != "Support Devices"):
        labels["No Finding"] = 1
    return labels


def _wrapped(text: str) -> str:
    """Lines of at most `WIDTH` characters, each after one space; double spaces between sentences stay."""
    lines, line = [], ""
    for word in text.split(" "):
        if len(line) + 1 + len(word) > WIDTH:
            lines.append(line)
            line = ""
        line = f"{line} {word}"
    return "".join(f"{each.rstrip()}\n" for each in [*lines, line])
