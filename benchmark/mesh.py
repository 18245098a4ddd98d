"""From the human MeSH codes of the Indiana University reports to CheXpert findings. The mapping is our own."""

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .corpus import POSITIVE, UNMENTIONED
from .findings import FINDINGS
from .phrases import any_of, read_phrases

MAPPING = Path(__file__).with_name("mesh.toml")
UNCODED = "No Indexing"
"""What the data set writes where nobody coded a report."""


@cache
def _patterns() -> dict[int, re.Pattern[str]]:
    mapping, _ = read_phrases(MAPPING)
    return {FINDINGS.index(name): any_of(codes) for name, codes in mapping["findings"].items()}


def mapped() -> tuple[int, ...]:
    """Columns of the findings that MeSH codes can tell."""
    return tuple(sorted(_patterns()))


def mesh_labels(codes: Sequence[str]) -> NDArray[np.int8]:
    """Findings that a report's codes state (POSITIVE) or not (UNMENTIONED), int8, shape (14,).

    >>> from lrrg.benchmark.findings import FINDINGS
    >>> [FINDINGS[i] for i in np.flatnonzero(mesh_labels(["Opacity/lung/base/left"]) == POSITIVE)]
    ['Lung Opacity']
    """
    labels = np.full(len(FINDINGS), UNMENTIONED, np.int8)
    for finding, pattern in _patterns().items():
        if any(pattern.match(code.strip().lower()) for code in codes):
            labels[finding] = POSITIVE
    return labels
