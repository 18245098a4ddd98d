"""What a report says that the film cannot: false findings, priors, measurements, devices; and what it owns up to."""

from collections.abc import Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .corpus import NEGATIVE, POSITIVE, UNCERTAIN, Corpus
from .phrases import any_of, read_phrases, sentences
from .resample import Sums

Topic = Literal["prior", "measurement", "limitation"]
"""An earlier examination or change (to say that there is none is not to), a length with its unit, or a limitation of
the film."""
LEXICON = Path(__file__).with_name("honesty.toml")
DISTINCT_TEXTS = 200_000
"""Texts whose answer is kept: references recur in every model, defect and severity."""


class Lexicon:
    """The compiled phrases: what counts as said and what is taken out before, by topic."""

    def __init__(self, path: Path) -> None:
        topics, self.sha256 = read_phrases(path)
        self._said = {name: any_of(topics[name]["said"]) for name in get_args(Topic)}
        self._denied = {name: any_of(phrases) for name in self._said if (phrases := topics[name]["denied"])}

    def says(self, topic: Topic, sentence: str) -> bool:
        """Whether a lower-case sentence speaks of a topic."""
        denied = self._denied.get(topic)
        return bool(self._said[topic].search(denied.sub(";", sentence) if denied else sentence))


@cache
def lexicon() -> Lexicon:
    """The shipped phrases."""
    return Lexicon(LEXICON)


def signature() -> str:
    """Start of the phrases' hash: part of the signature of every number."""
    return lexicon().sha256[:12]


@lru_cache(maxsize=DISTINCT_TEXTS)
def says(topic: Topic, text: str) -> bool:
    """Whether a report speaks of a topic in any sentence."""
    return any(lexicon().says(topic, sentence) for sentence in sentences(text))


@lru_cache(maxsize=DISTINCT_TEXTS)
def without_limitations(text: str) -> str:
    """The report without the sentences that speak of limitations: naming them is no easy n-gram win."""
    if not says("limitation", text):
        return text
    return " ".join(f"{each}." for each in sentences(text) if not lexicon().says("limitation", each))


def flags(topic: Topic, texts: Sequence[str]) -> NDArray[np.bool_]:
    """Which reports speak of a topic, bool, shape (n,)."""
    return np.array([says(topic, text) for text in texts], bool)


def content_only(corpus: Corpus) -> Corpus:
    """The same corpus with limitation sentences stripped from both sides."""
    return corpus.with_texts(without_limitations)


def false_findings(corpus: Corpus, subset: Sequence[int]) -> Sums:
    """Findings stated that the reference neither states nor suspects, and findings stated."""
    ours = corpus.hypothesis_labels[:, subset] == POSITIVE
    false = ours & ~np.isin(corpus.reference_labels[:, subset], (POSITIVE, UNCERTAIN))
    return np.column_stack([false.sum(1), ours.sum(1)]).astype(float)


def false_priors(corpus: Corpus) -> Sums:
    """First examinations of a patient whose report speaks of an earlier one, and first examinations."""
    first = ~corpus.has_prior
    return np.column_stack([first & flags("prior", corpus.hypotheses), first]).astype(float)


def false_measurements(corpus: Corpus) -> Sums:
    """Reports with a measurement where the reference has none, and references without one."""
    without = ~flags("measurement", corpus.references)
    return np.column_stack([without & flags("measurement", corpus.hypotheses), without]).astype(float)


def limitations(corpus: Corpus) -> Sums:
    """Reports that own up to a limitation, and reports."""
    return np.column_stack([flags("limitation", corpus.hypotheses), np.ones(len(corpus.hypotheses))]).astype(float)


def consistency(corpus: Corpus, subset: Sequence[int]) -> Sums:
    """Overlap (Jaccard) of the findings stated for a film and for its clean twin, and films that have one."""
    return _of_twins(corpus, _overlap(*_twins(corpus, subset)))


def right_consistency(corpus: Corpus, subset: Sequence[int]) -> Sums:
    """The same overlap, times how right the report of the clean twin is: agreeing on nonsense earns nothing."""
    ours, twins = _twins(corpus, subset)
    truth = corpus.reference_labels[:, subset] == POSITIVE
    stated = twins.sum(1) + truth.sum(1)
    right = np.where(stated > 0, 2 * (twins & truth).sum(1) / np.maximum(stated, 1), 1.0)
    return _of_twins(corpus, _overlap(ours, twins) * right)


def flips(corpus: Corpus, subset: Sequence[int]) -> Sums:
    """Findings that turn from present to absent or back between the twins, and findings both reports decide."""
    ours = corpus.hypothesis_labels[:, subset]
    twins = corpus.hypothesis_labels[corpus.twin][:, subset]
    decided = np.isin(ours, (POSITIVE, NEGATIVE)) & np.isin(twins, (POSITIVE, NEGATIVE)) & (corpus.twin >= 0)[:, None]
    return np.column_stack([(decided & (ours != twins)).sum(1), decided.sum(1)]).astype(float)


def _twins(corpus: Corpus, subset: Sequence[int]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    stated = corpus.hypothesis_labels[:, subset] == POSITIVE
    return stated, stated[corpus.twin]


def _overlap(ours: NDArray[np.bool_], twins: NDArray[np.bool_]) -> NDArray[np.float64]:
    union = (ours | twins).sum(1)
    return np.where(union > 0, (ours & twins).sum(1) / np.maximum(union, 1), 1.0)


def _of_twins(corpus: Corpus, values: NDArray[np.float64]) -> Sums:
    has_twin = corpus.twin >= 0
    return np.column_stack([values * has_twin, has_twin]).astype(float)
