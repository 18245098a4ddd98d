"""Reports of one model beside their references, with tokens and labels computed once."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .ngram import Cider
from .resample import Sums
from .tokens import COMPLETE, Protocol

POSITIVE, NEGATIVE, UNCERTAIN, UNMENTIONED = 1, 0, -1, -2
Labeler = Callable[[str], NDArray[np.int8]]
"""Maps a report to its 14 finding values (POSITIVE, NEGATIVE, UNCERTAIN or UNMENTIONED), int8, shape (14,)."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """What metrics read.

    Attributes:
        hypotheses: generated reports, one a case; empty text stays and scores 0.
        references: radiologists' reports of the same cases.
        label: the finding labeler.
        protocol: how text becomes tokens.
        vocabulary: training words, where the protocol hides rare ones.
        population: references that CIDEr's document frequencies come from, one a study; several degraded versions of
            one study must not make its words look common. None takes `references`.
        priors: whether the patient has an earlier study, by case; None: every case has, so none can invent one.
        twins: row of the clean twin of each case, -1 where it has none; None: no case has.
    """

    hypotheses: Sequence[str]
    references: Sequence[str]
    label: Labeler
    protocol: Protocol = COMPLETE
    vocabulary: Collection[str] | None = None
    population: Sequence[str] | None = None
    priors: Sequence[bool] | None = None
    twins: Sequence[int] | None = None
    _labels: dict[str, NDArray[np.int8]] = field(default_factory=dict, repr=False)
    _statistics: dict[Callable[["Corpus"], Sums], Sums] = field(default_factory=dict, repr=False)

    @cached_property
    def tokens(self) -> list[tuple[list[str], list[str]]]:
        """Hypothesis and reference tokens of every case."""
        return list(zip(map(self._tokens, self.hypotheses), map(self._tokens, self.references), strict=True))

    @cached_property
    def cider(self) -> Cider:
        """CIDEr with this corpus's document frequencies."""
        return Cider([self._tokens(text) for text in self.population or self.references])

    @cached_property
    def has_prior(self) -> NDArray[np.bool_]:
        """Whether the patient has an earlier study, bool, shape (n,)."""
        return np.ones(len(self.hypotheses), bool) if self.priors is None else np.array(self.priors, bool)

    @cached_property
    def twin(self) -> NDArray[np.intp]:
        """Row of the clean twin of each case, -1 where it has none; shape (n,)."""
        return np.full(len(self.hypotheses), -1) if self.twins is None else np.array(self.twins)

    @cached_property
    def hypothesis_labels(self) -> NDArray[np.int8]:
        """Finding values of the hypotheses, int8, shape (n, 14)."""
        return self._label_all(self.hypotheses)

    @cached_property
    def reference_labels(self) -> NDArray[np.int8]:
        """Finding values of the references, int8, shape (n, 14)."""
        return self._label_all(self.references)

    def with_texts(self, change: Callable[[str], str]) -> "Corpus":
        """The same cases with every text changed; what was computed from the old texts is not carried over."""
        return replace(
            self,
            hypotheses=[change(text) for text in self.hypotheses],
            references=[change(text) for text in self.references],
            population=self.population and [change(text) for text in self.population],
            _labels={},
            _statistics={},
        )

    def statistics(self, compute: Callable[["Corpus"], Sums]) -> Sums:
        """Per-study statistics, shape (n, k), computed once however many metrics rest on them."""
        if compute not in self._statistics:
            self._statistics[compute] = compute(self)
        return self._statistics[compute]

    def _tokens(self, text: str) -> list[str]:
        return self.protocol.tokens(text, self.vocabulary)

    def _label_all(self, texts: Sequence[str]) -> NDArray[np.int8]:
        # References recur in every defect and severity, and weak models repeat themselves: label each text once.
        for text in set(texts) - self._labels.keys():
            self._labels[text] = self.label(text)
        return np.array([self._labels[text] for text in texts], np.int8).reshape(-1, 14)
