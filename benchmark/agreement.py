"""How far one labeler agrees with other labels of the same reports, finding by finding."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .corpus import NEGATIVE, POSITIVE, UNCERTAIN, UNMENTIONED
from .findings import FINDINGS
from .metrics import positives

Labels = NDArray[np.int8]
VALUES = (POSITIVE, NEGATIVE, UNCERTAIN, UNMENTIONED)


class Agreement(NamedTuple):
    """One finding, or all of them pooled. None where nothing was counted.

    Precision, recall and the first F1 take uncertain mentions for absent, the second F1 for present.
    """

    finding: str
    stated: int
    """Reports whose other labels state the finding."""
    found: int
    """Reports in which the labeler under test finds it."""
    precision: float | None
    recall: float | None
    f1_uncertain_negative: float | None
    f1_uncertain_positive: float | None
    kappa: float | None
    """Cohen's kappa of the four values (positive, negative, uncertain, unmentioned), or of stated or not where the
    other labels only say that."""


def agreement(ours: Labels, theirs: Labels, findings: tuple[int, ...]) -> list[Agreement]:
    """Agreement on each finding and, last, on all of them pooled (`micro`).

    Args:
        ours: values of the labeler under test, int8, shape (n, 14).
        theirs: the other labels of the same reports, in the same order.
        findings: columns that both know.

    Returns:
        Scores in [0, 1], kappa in [-1, 1], higher is better.

    Source:
        Cohen, Educ Psychol Meas 1960 (kappa).
    """
    rows = [_agreement(FINDINGS[each], ours[:, each], theirs[:, each]) for each in findings]
    columns = list(findings)
    return [*rows, _agreement("micro", ours[:, columns].ravel(), theirs[:, columns].ravel())]


def _agreement(name: str, ours: Labels, theirs: Labels) -> Agreement:
    stated, found = theirs == POSITIVE, ours == POSITIVE
    precision, recall, certain = _scores(found, stated)
    *_, counted = _scores(positives(ours, uncertain=True), positives(theirs, uncertain=True))
    only_stated = not np.isin(theirs, (NEGATIVE, UNCERTAIN)).any()
    comparable = np.where(found, POSITIVE, UNMENTIONED) if only_stated else ours
    return Agreement(
        name, int(stated.sum()), int(found.sum()), precision, recall, certain, counted, kappa(comparable, theirs)
    )


def _scores(ours: NDArray[np.bool_], theirs: NDArray[np.bool_]) -> tuple[float | None, float | None, float | None]:
    """Precision, recall and F1."""
    both, found, stated = int((ours & theirs).sum()), int(ours.sum()), int(theirs.sum())
    return _share(both, found), _share(both, stated), _share(2 * both, found + stated)


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def kappa(ours: Labels, theirs: Labels) -> float | None:
    """Cohen's kappa of two labelings, shape (n,) each; None where both only ever say one and the same."""
    shares = [((ours == value).mean(), (theirs == value).mean()) for value in VALUES]
    chance = float(sum(first * second for first, second in shares))
    return _share(float((ours == theirs).mean()) - chance, 1 - chance)
