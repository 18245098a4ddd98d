"""What scoring costs on a test set of MIMIC-CXR's size, on synthetic reports."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ...benchmark.cases import Case, Cell, group
from ...benchmark.corpus import Corpus
from ...benchmark.labeler import label
from ...benchmark.metrics import METRICS
from ...benchmark.resample import draw
from ...benchmark.score import cell_sums

STUDIES, PATIENTS = 2347, 289
"""Studies and patients of the official test split that have findings and impression."""
TIMED = ("bleu_4", "micro_f1_14_uncertain_positive", "macro_f1_14_uncertain_positive")
SENTENCES = (
    "The lungs are clear without focal consolidation.",
    "There is no pleural effusion or pneumothorax.",
    "The cardiac silhouette is moderately enlarged.",
    "Small bilateral pleural effusions with adjacent atelectasis.",
    "Mild pulmonary edema may be present.",
    "A right internal jugular catheter ends in the superior vena cava.",
    "Patchy opacity in the left lower lobe is concerning for pneumonia.",
    "The mediastinal contours are within normal limits.",
    "No acute displaced rib fracture is seen.",
    "Bibasilar atelectasis is unchanged.",
)


class Cost(NamedTuple):
    """CPU time of one step."""

    step: str
    amount: int
    unit: str
    cpu_seconds: float


def bench_score(draws: int = 10_000) -> list[Cost]:
    """Time labelling, per-study statistics and the patient bootstrap; CPU seconds of this process."""
    corpus, cases = cohort()
    costs: list[Cost] = []

    def timed(step: str, amount: int, unit: str, work: Callable[[], Any]) -> Any:
        started = time.process_time()
        result = work()
        costs.append(Cost(step, amount, unit, time.process_time() - started))
        return result

    timed("rule14 labels", 2 * STUDIES, "reports", lambda: (corpus.hypothesis_labels, corpus.reference_labels))
    statistics = {
        name: timed(
            f"{name} statistics", STUDIES, "studies", lambda name=name: corpus.statistics(METRICS[name].statistics)
        )
        for name in ("rouge_l", "cider", *TIMED)
    }
    cells = {Cell("T5"): group(cases)[Cell("T5")]}
    for name in TIMED:
        sums = cell_sums(statistics[name], cases, cells)[Cell("T5")]
        timed(
            f"{name} bootstrap",
            draws,
            "draws",
            lambda name=name, sums=sums: draw([sums], METRICS[name].value, draws=draws),
        )
    return costs


def cohort() -> tuple[Corpus, list[Case]]:
    """Reports of a test split with the published number of studies and patients, and its skew."""
    rng = np.random.default_rng(0)
    weights = rng.pareto(1.2, PATIENTS) + 0.2
    patients = np.concatenate(
        [np.arange(PATIENTS), rng.choice(PATIENTS, STUDIES - PATIENTS, p=weights / weights.sum())]
    )
    references = [
        " ".join(rng.permutation(SENTENCES)[: rng.integers(2, 8)]) + f" Study {row}." for row in range(STUDIES)
    ]
    hypotheses = [
        " ".join(rng.permutation(SENTENCES)[: rng.integers(2, 8)]) + f" Case {row}." for row in range(STUDIES)
    ]
    cases = [
        Case(f"s{row}", f"s{row}", f"p{patient}", text, ("T5",), "high")
        for row, (patient, text) in enumerate(zip(patients, references, strict=True))
    ]
    return Corpus(hypotheses, references, label), cases
