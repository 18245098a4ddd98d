"""Metrics whose values a model outside gives: their scales as data, and how their answers enter scoring.

Nothing here runs a model. Values of (hypothesis, reference) pairs and labels of texts come in ready; they are averaged
and resampled like every other metric.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, partial
from typing import NamedTuple

from .corpus import Corpus, Labeler
from .metrics import LABELS, Better, Metric, averaged, ratio
from .resample import Sums

Pair = tuple[str, str]
"""Hypothesis and reference."""


class Scale(NamedTuple):
    """Direction and range of a metric."""

    better: Better
    bounds: tuple[float, float]


RADCLIQ = (-1.4407, 2.4501)
"""RadCliQ-v1 where RadGraph F1, rescaled BERTScore and CheXbert similarity are all 1, and where they are all 0, by the
coefficients of Yu et al., Patterns 4 (2023) 100802. It is a regression on radiologists' error counts and has no hard
end: a pair worse than unrelated can exceed the second."""
MOST_ERRORS = 5
"""Errors of one kind that a judge counts at most, so that one runaway reply cannot outweigh a cell."""
ERROR_KINDS = 6
SCALES: Mapping[str, Scale] = {
    **dict.fromkeys(("radgraph_simple", "radgraph_partial", "radgraph_complete"), Scale("higher", (0.0, 1.0))),
    "radcliq_v1": Scale("lower", RADCLIQ),
    "ratescore": Scale("higher", (0.0, 1.0)),
    "srrbert_example_f1": Scale("higher", (0.0, 1.0)),
    "green": Scale("higher", (0.0, 1.0)),
    "radeval_rouge_l": Scale("higher", (0.0, 1.0)),
    "judge_errors": Scale("lower", (0.0, float(MOST_ERRORS * ERROR_KINDS))),
}
"""By metric. RadCliQ and the judge's errors count what is wrong: lower is better, and they are never turned around."""


def value_metric(name: str, values: Mapping[Pair, float]) -> Metric:
    """Mean of a model's values over studies; an empty hypothesis, which no model is asked about, gets the worst.

    Args:
        name: of `SCALES`.
        values: by (hypothesis, reference); every pair with a hypothesis must be there.
    """
    scale = SCALES[name]
    worst = scale.bounds[scale.better == "lower"]
    return Metric(name, partial(_values, values=values, worst=worst), ratio, scale.better, scale.bounds)


def _values(corpus: Corpus, values: Mapping[Pair, float], worst: float) -> Sums:
    pairs = zip(corpus.hypotheses, corpus.references, strict=True)
    return averaged([values[pair] if pair[0].strip() else worst for pair in pairs])


def label_metrics(prefix: str, label: Labeler) -> list[Metric]:
    """The label metrics (micro, macro and example F1) by another labeler, as `PREFIX_micro_f1_…`."""

    @cache
    def relabelled(corpus: Corpus) -> Corpus:
        return replace(corpus, label=label, _labels={}, _statistics={})

    def statistics(corpus: Corpus, metric: Metric) -> Sums:
        return relabelled(corpus).statistics(metric.statistics)

    return [
        replace(metric, name=f"{prefix}_{metric.name}", statistics=partial(statistics, metric=metric))
        for metric in LABELS
    ]
