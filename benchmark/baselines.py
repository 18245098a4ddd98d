"""Floors: report writers that look at little or nothing. A model that does not beat them has learned the average."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from .cases import Case
from .corpus import POSITIVE, Labeler
from .findings import FINDINGS, NO_FINDING

CONSTANT, TEMPLATE, RETRIEVAL = "floor_constant_normal", "floor_template", "floor_retrieval"
PRIOR = "floor_prior"
FLOORS = (CONSTANT, TEMPLATE, RETRIEVAL, PRIOR)
NORMAL = "The lungs are clear. There is no pleural effusion or pneumothorax. The heart size is normal."
SENTENCES = {
    "Atelectasis": "There is bibasilar atelectasis.",
    "Cardiomegaly": "The heart is enlarged.",
    "Consolidation": "There is focal consolidation.",
    "Edema": "There is pulmonary edema.",
    "Enlarged Cardiomediastinum": "The mediastinum is widened.",
    "Fracture": "There is a rib fracture.",
    "Lung Lesion": "There is a pulmonary nodule.",
    "Lung Opacity": "There are patchy opacities.",
    "Pleural Effusion": "There is a pleural effusion.",
    "Pleural Other": "There is pleural thickening.",
    "Pneumonia": "There is pneumonia.",
    "Pneumothorax": "There is a pneumothorax.",
    "Support Devices": "A support device is in place.",
}


def floors(cases: Sequence[Case], fingerprints: Mapping[str, str], label: Labeler) -> dict[str, list[str]]:
    """Reports of the floors for the scored cases, learned from the training cases alone.

    `floor_prior` repeats the report of the patient's preceding examination, which a model is told as well; where there
    is none it is the constant.

    Args:
        cases: of the whole benchmark.
        fingerprints: perceptual hash by image id; a degraded film is looked up by its clean one, because a floor
            must not degrade.
        label: the finding labeler.

    Returns:
        Texts by floor, each in the order of the cases that have a track.
    """
    # One case a study: a report that two films share is still one report.
    train = [case for case in cases if case.split == "train" and case.own]
    scored = [case for case in cases if case.tracks]
    constant = constant_normal(train, label)
    by_view = templates(train, label)
    nearest = _nearest(train, scored, fingerprints)
    return {
        CONSTANT: [constant] * len(scored),
        TEMPLATE: [by_view.get(case.view, NORMAL) for case in scored],
        RETRIEVAL: [nearest.get(case.image_id, constant) for case in scored],
        PRIOR: [case.prior or constant for case in scored],
    }


def constant_normal(train: Sequence[Case], label: Labeler) -> str:
    """The normal training report that occurs most often; the shortest of equals."""
    counts = Counter(" ".join(case.reference.split()) for case in train)
    normal = [text for text in counts if label(text)[NO_FINDING] == POSITIVE]
    return min(normal, key=lambda text: (-counts[text], len(text), text), default=NORMAL)


def templates(train: Sequence[Case], label: Labeler) -> dict[str, str]:
    """By view position: one sentence a finding that more than half of the training reports of that view state."""
    by_view: dict[str, list[Case]] = defaultdict(list)
    for case in train:
        by_view[case.view].append(case)
    found: dict[str, str] = {}
    for view, cases in by_view.items():
        prevalence = np.mean([label(case.reference) == POSITIVE for case in cases], axis=0)
        stated = [SENTENCES[FINDINGS[i]] for i in np.flatnonzero(prevalence > 0.5) if i != NO_FINDING]
        found[view] = " ".join(stated) or NORMAL
    return found


def _nearest(train: Sequence[Case], scored: Sequence[Case], fingerprints: Mapping[str, str]) -> dict[str, str]:
    """By image: the report of the training film whose perceptual hash differs in the fewest bits."""
    known = [case for case in train if fingerprints.get(case.image_id)]
    if not known:
        return {}
    table = np.stack([_bits(fingerprints[case.image_id]) for case in known])
    asked = sorted({case.image_id for case in scored if fingerprints.get(case.image_id)})
    return {
        image_id: known[int(np.bitwise_count(table ^ _bits(fingerprints[image_id])).sum(1).argmin())].reference
        for image_id in asked
    }


def _bits(fingerprint: str) -> np.ndarray:
    return np.frombuffer(bytes.fromhex(fingerprint), np.uint64)
