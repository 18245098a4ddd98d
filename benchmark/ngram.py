"""BLEU, ROUGE-L and CIDEr as per-study sufficient statistics, equal to the COCO caption scorers on given tokens.

Sums of statistics over any set of studies give that set's corpus score, which is what makes a bootstrap over
patients fast: no score is recomputed from text.
"""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Tokens = Sequence[str]
ORDER = 4
TINY, SMALL = 1e-15, 1e-9
"""The COCO scorer's guards against empty counts; left out, scores differ in the ninth digit."""
ROUGE_BETA = 1.2
CIDER_SIGMA = 6.0


def ngrams(tokens: Tokens) -> Counter[tuple[str, ...]]:
    """Counts of all 1…4-grams."""
    return Counter(
        tuple(tokens[start : start + n]) for n in range(1, ORDER + 1) for start in range(len(tokens) - n + 1)
    )


def bleu_statistics(hypothesis: Tokens, reference: Tokens) -> NDArray[np.float64]:
    """Clipped matches of order 1…4, candidates of order 1…4, hypothesis length, reference length; shape (10,)."""
    counts = ngrams(hypothesis)
    matched = counts & ngrams(reference)
    matches = np.zeros(ORDER)
    for gram, count in matched.items():
        matches[len(gram) - 1] += count
    candidates = [max(0, len(hypothesis) - n) for n in range(ORDER)]
    return np.array([*matches, *candidates, len(hypothesis), len(reference)], float)


def bleu(sums: NDArray[np.float64], order: int = ORDER) -> NDArray[np.float64]:
    """Corpus BLEU-`order` from summed statistics.

    Args:
        sums: shape (…, 10), sums of `bleu_statistics` over studies.
        order: 1…4.

    Returns:
        Shape (…), in [0, 1], higher is better.

    Source:
        Papineni et al., ACL 2002; guards as in the COCO caption scorer.
    """
    matches, candidates = sums[..., :order], sums[..., ORDER : ORDER + order]
    score = np.prod((matches + TINY) / (candidates + SMALL), axis=-1) ** (1 / order)
    ratio = (sums[..., 8] + TINY) / (sums[..., 9] + SMALL)
    return score * np.exp(np.minimum(0, 1 - 1 / ratio))


def common_subsequence(first: Tokens, second: Tokens) -> int:
    """Length of the longest common subsequence, one machine word per 30 tokens (bit-parallel).

    >>> common_subsequence("the heart is normal".split(), "heart size is normal".split())
    3
    """
    places: dict[str, int] = {}
    for index, token in enumerate(first):
        places[token] = places.get(token, 0) | 1 << index
    open_bits = full = (1 << len(first)) - 1
    for token in second:
        met = open_bits & places.get(token, 0)
        open_bits = ((open_bits + met) | (open_bits - met)) & full
    return len(first) - open_bits.bit_count()


def rouge_l(hypothesis: Tokens, reference: Tokens) -> float:
    """ROUGE-L F-measure with recall weighted by 1.2, in [0, 1], higher is better; 0 where either side is empty.

    Source:
        Lin, ACL workshop 2004; beta as in the COCO caption scorer.
    """
    common = common_subsequence(hypothesis, reference)
    if not common:
        return 0.0
    precision, recall = common / len(hypothesis), common / len(reference)
    return (1 + ROUGE_BETA**2) * precision * recall / (recall + ROUGE_BETA**2 * precision)


class Cider:
    """CIDEr (the D variant that the COCO scorer computes) with document frequencies of one reference set.

    The score of a study depends on the whole reference set through the frequencies, so those are frozen here
    and the corpus score is the mean over studies.

    Source:
        Vedantam et al., CVPR 2015.
    """

    def __init__(self, references: Sequence[Tokens]) -> None:
        self._frequency = Counter(gram for tokens in references for gram in ngrams(tokens))
        self._log_documents = math.log(len(references)) if references else 0.0

    def __call__(self, hypothesis: Tokens, reference: Tokens) -> float:
        """Score of one study, in [0, 10], higher is better."""
        ours, theirs = self._vectors(hypothesis), self._vectors(reference)
        # The COCO scorer measures length in bigrams.
        delta = max(0, len(hypothesis) - 1) - max(0, len(reference) - 1)
        gauss = math.exp(-(delta**2) / (2 * CIDER_SIGMA**2))
        return 10 * gauss * sum(map(_clipped_cosine, ours, theirs)) / ORDER

    def _vectors(self, tokens: Tokens) -> list[dict[tuple[str, ...], float]]:
        vectors: list[dict[tuple[str, ...], float]] = [{} for _ in range(ORDER)]
        for gram, count in ngrams(tokens).items():
            rarity = self._log_documents - math.log(max(1, self._frequency[gram]))
            vectors[len(gram) - 1][gram] = count * rarity
        return vectors


def _clipped_cosine(ours: dict[tuple[str, ...], float], theirs: dict[tuple[str, ...], float]) -> float:
    dot = sum(min(value, theirs[gram]) * theirs[gram] for gram, value in ours.items() if gram in theirs)
    norms = math.sqrt(sum(v * v for v in ours.values())) * math.sqrt(sum(v * v for v in theirs.values()))
    return dot / norms if norms else dot
