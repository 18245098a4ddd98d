"""The metrics: what each computes from a corpus, in statistics that add up over studies, with direction and range."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from . import honesty, ngram
from .corpus import POSITIVE, UNCERTAIN, Corpus
from .findings import ABNORMALITIES, NO_FINDING, SUBSETS, SUPPORT_DEVICES
from .resample import Score, Sums
from .statistics import quotient

Better = Literal["higher", "lower", "neither"]


@dataclass(frozen=True)
class Metric:
    """A corpus score as a function of summed per-study statistics.

    Attributes:
        statistics: maps a corpus to per-study statistics, float64, shape (n, k).
        value: maps summed statistics, shape (…, k), to scores, shape (…); NaN where nothing can be said.
        better: direction.
        bounds: smallest and largest value.
        summary: one line on what the number is, for the documentation.
    """

    name: str
    statistics: Callable[[Corpus], Sums]
    value: Score
    better: Better = "higher"
    bounds: tuple[float, float] = (0.0, 1.0)
    summary: str = ""


def ratio(sums: Sums) -> NDArray[np.float64]:
    """Column 0 over column 1; NaN where the denominator is empty."""
    return quotient(sums[..., 0], sums[..., 1])


def averaged(values: Sequence[float] | NDArray[np.float64]) -> Sums:
    """Statistics of a mean: (value, 1) a study."""
    column = np.asarray(values, float)
    return np.column_stack([column, np.ones(len(column))])


def positives(labels: NDArray[np.int8], *, uncertain: bool) -> NDArray[np.bool_]:
    """Which findings count as present; `uncertain` says whether uncertain mentions do."""
    return (labels == POSITIVE) | (uncertain & (labels == UNCERTAIN))


def _bleu(corpus: Corpus) -> Sums:
    return np.array([ngram.bleu_statistics(*pair) for pair in corpus.tokens]).reshape(-1, 10)


def _rouge(corpus: Corpus) -> Sums:
    return averaged([ngram.rouge_l(*pair) for pair in corpus.tokens])


def _cider(corpus: Corpus) -> Sums:
    return averaged([corpus.cider(*pair) for pair in corpus.tokens])


def _counts(corpus: Corpus, subset: tuple[int, ...], uncertain: bool) -> Sums:
    """True positives, false positives and false negatives by finding, shape (n, 3 * findings)."""
    ours = positives(corpus.hypothesis_labels, uncertain=uncertain)[:, subset]
    theirs = positives(corpus.reference_labels, uncertain=uncertain)[:, subset]
    return np.hstack([ours & theirs, ours & ~theirs, ~ours & theirs]).astype(float)


def _f1(true: Sums, false: Sums, missed: Sums) -> NDArray[np.float64]:
    return quotient(2 * true, 2 * true + false + missed)


def micro_f1(sums: Sums) -> NDArray[np.float64]:
    """F1 of all findings pooled."""
    true, false, missed = (part.sum(-1) for part in np.split(sums, 3, axis=-1))
    return _f1(true, false, missed)


def macro_f1(sums: Sums) -> NDArray[np.float64]:
    """Mean F1 over the findings that occur on either side; a finding nobody mentions says nothing."""
    scores = _f1(*np.split(sums, 3, axis=-1))
    return quotient(np.nansum(scores, axis=-1), (~np.isnan(scores)).sum(-1))


def _example_f1(corpus: Corpus, subset: tuple[int, ...], uncertain: bool) -> Sums:
    """F1 of each study's finding set; two empty sets agree perfectly."""
    counts = _counts(corpus, subset, uncertain)
    scores = _f1(*(part.sum(-1) for part in np.split(counts, 3, axis=-1)))
    return averaged(np.where(np.isnan(scores), 1.0, scores))


def _lengths(corpus: Corpus) -> Sums:
    return np.array([(len(ours), len(theirs)) for ours, theirs in corpus.tokens], float).reshape(-1, 2)


def _empty(corpus: Corpus) -> Sums:
    return averaged([not text.strip() for text in corpus.hypotheses])


def _repeated(corpus: Corpus) -> Sums:
    """Trigrams of the hypothesis that stood in it before, and all its trigrams."""
    grams = [[tuple(ours[i : i + 3]) for i in range(len(ours) - 2)] for ours, _ in corpus.tokens]
    return np.array([(len(each) - len(set(each)), len(each)) for each in grams], float).reshape(-1, 2)


def _collapse(corpus: Corpus) -> Sums:
    """Abnormal studies that the hypothesis calls normal, and abnormal studies; a device alone is no abnormality."""
    abnormal = positives(corpus.reference_labels, uncertain=False)[:, ABNORMALITIES].any(1)
    normal = positives(corpus.hypothesis_labels, uncertain=False)[:, NO_FINDING]
    return np.column_stack([normal & abnormal, abnormal]).astype(float)


def _label_metrics() -> list[Metric]:
    found: list[Metric] = []
    for (size, subset), uncertain in ((item, flag) for item in SUBSETS.items() for flag in (True, False)):
        policy = "positive" if uncertain else "negative"
        suffix, of = f"{size}_uncertain_{policy}", f"rule14, {size} findings, uncertain mentions {policy}"
        counts = partial(_counts, subset=subset, uncertain=uncertain)
        examples = partial(_example_f1, subset=subset, uncertain=uncertain)
        found += [
            Metric(f"micro_f1_{suffix}", counts, micro_f1, summary=f"F1 of all findings pooled; {of}"),
            Metric(f"macro_f1_{suffix}", counts, macro_f1, summary=f"mean F1 over the findings that occur; {of}"),
            Metric(f"example_f1_{suffix}", examples, ratio, summary=f"mean F1 of each report's finding set; {of}"),
        ]
    return found


LEXICAL = [
    *(
        Metric(
            f"bleu_{order}",
            _bleu,
            partial(ngram.bleu, order=order),
            summary=f"corpus BLEU-{order}: clipped n-gram precision up to order {order}, brevity penalty",
        )
        for order in range(1, 5)
    ),
    Metric("rouge_l", _rouge, ratio, summary="mean F of the longest common subsequence, recall weighted by 1.2"),
    Metric(
        "cider",
        _cider,
        ratio,
        bounds=(0.0, 10.0),
        summary="mean rarity-weighted n-gram cosine (CIDEr-D); document frequencies from the references, one a study",
    ),
]
LABELS = _label_metrics()
BEHAVIOUR = [
    Metric(
        "normal_collapse",
        _collapse,
        ratio,
        better="lower",
        summary="of studies with an abnormality in the reference, the share that is reported as No Finding",
    ),
    Metric(
        "length_ratio",
        _lengths,
        ratio,
        better="neither",
        bounds=(0.0, float("inf")),
        summary="tokens of all reports over tokens of all references: verbosity",
    ),
    Metric("repetition", _repeated, ratio, better="lower", summary="share of trigrams their report held before"),
    Metric("empty", _empty, ratio, better="lower", summary="share of reports without text; they score 0 elsewhere"),
]
HONESTY = [
    Metric(
        "false_findings",
        partial(honesty.false_findings, subset=ABNORMALITIES),
        ratio,
        better="lower",
        summary="share of stated abnormalities that the reference neither states nor suspects",
    ),
    Metric(
        "false_devices",
        partial(honesty.false_findings, subset=(SUPPORT_DEVICES,)),
        ratio,
        better="lower",
        summary="the same of stated support devices",
    ),
    Metric(
        "false_priors",
        honesty.false_priors,
        ratio,
        better="lower",
        summary="of first examinations, the share whose report speaks of an earlier one or of change",
    ),
    Metric(
        "false_measurements",
        honesty.false_measurements,
        ratio,
        better="lower",
        summary="of references without a length in mm or cm, the share whose report gives one",
    ),
    Metric(
        "limitation_mentioned",
        honesty.limitations,
        ratio,
        better="neither",
        summary="share of reports that own up to a limitation of the film: a hit on low films, a false alarm on high",
    ),
    Metric(
        "bleu_4_content",
        lambda corpus: _bleu(honesty.content_only(corpus)),
        ngram.bleu,
        summary="bleu_4 without the sentences on limitations, on both sides",
    ),
    Metric(
        "rouge_l_content",
        lambda corpus: _rouge(honesty.content_only(corpus)),
        ratio,
        summary="rouge_l without the sentences on limitations, on both sides",
    ),
]
CONSISTENCY = [
    Metric(
        "twin_consistency",
        partial(honesty.consistency, subset=SUBSETS["13"]),
        ratio,
        summary="mean overlap (Jaccard) of the findings stated for a film and for its better twin",
    ),
    Metric(
        "twin_right_consistency",
        partial(honesty.right_consistency, subset=SUBSETS["13"]),
        ratio,
        summary="the same overlap times the finding F1 of the better twin's report: agreeing on nonsense earns nothing",
    ),
    Metric(
        "twin_flip_rate",
        partial(honesty.flips, subset=SUBSETS["13"]),
        ratio,
        better="lower",
        summary="of findings that both twins' reports decide, the share present in one and absent in the other",
    ),
]
METRICS = {metric.name: metric for metric in (*LEXICAL, *LABELS, *BEHAVIOUR, *HONESTY, *CONSISTENCY)}
