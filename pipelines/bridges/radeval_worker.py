"""RadEval's model-based metrics of report pairs (radeval 2.2.1); runs under an interpreter that has it and its models.

Models are taken from the caches that RadEval fills (Hugging Face's and RadGraph's); nothing is downloaded here.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import radeval  # pyright: ignore[reportMissingImports]
from appdirs import user_cache_dir  # pyright: ignore[reportMissingImports]
from exchange import Answer, CannotWork, Texts, run, sha256, versions
from huggingface_hub.constants import HF_HUB_CACHE  # pyright: ignore[reportMissingImports]

HUB = Path(HF_HUB_CACHE)
RADGRAPH = Path(user_cache_dir("radgraph")) / "0.1.18"
CHEXBERT = Path(user_cache_dir("chexbert"))
LEAST_WEIGHTS = 1_000_000
"""Bytes; smaller files of a model are its settings and word lists."""


class Source(NamedTuple):
    """Where RadEval's name leads.

    Attributes:
        columns: our name of each value that RadEval gives per pair.
        models: folders and files that must be there.
    """

    columns: dict[str, str]
    models: tuple[Path, ...] = ()


def hub(repository: str, cache: Path = HUB) -> Path:
    """Folder of a repository in a Hugging Face cache."""
    return cache / f"models--{repository.replace('/', '--')}" / "snapshots"


METRICS = {
    "radgraph": Source(
        {f"radgraph_{level}": f"radgraph_{level}" for level in ("simple", "partial", "complete")},
        (RADGRAPH / "radgraph-xl",),
    ),
    "radcliq": Source(
        {"radcliq_v1": "radcliq_v1"},
        (RADGRAPH / "radgraph", hub("distilroberta-base"), hub("StanfordAIMI/RRG_scorers", CHEXBERT)),
    ),
    "ratescore": Source(
        {"ratescore": "ratescore"}, (hub("Angelakeke/RaTE-NER-Deberta"), hub("FremyCompany/BioLORD-2023-C"))
    ),
    # Per pair RadEval gives each pair's own F1 under the name of the corpus figure.
    "srrbert": Source(
        {"srrbert_weighted_f1": "srrbert_example_f1"}, (hub("StanfordAIMI/SRR-BERT-Leaves-with-Statuses"),)
    ),
    "green": Source({"green": "green"}, (hub("StanfordAIMI/GREEN-radllama2-7b"),)),
    "rouge": Source({"rougeL": "radeval_rouge_l"}),
}


def weights(name: str) -> str:
    """One sha256 of all weights that a metric takes."""
    found: list[Path] = []
    for model in METRICS[name].models:
        files = [path for path in sorted(model.rglob("*")) if path.is_file() and path.stat().st_size >= LEAST_WEIGHTS]
        if not files:
            raise CannotWork(
                "missing-weights", f"{model}: no weights for {name}; run RadEval(metrics=[{name!r}]) once online"
            )
        found += files
    return sha256(*found)


def values(names: Sequence[str], hypotheses: list[str], references: list[str]) -> dict[str, Any]:
    """RadEval's values per pair by its own names."""
    # The vendored RadGraph imports itself by the package's old name, which case-sensitive disks do not have.
    sys.modules.setdefault("RadEval", radeval)
    evaluator = radeval.RadEval(metrics=list(names), per_sample=True, show_progress=False)
    if "radcliq" in names:
        _fix_word_weights(evaluator.radcliq_scorer, sorted(set(references)))
    return evaluator(refs=references, hyps=hypotheses)


def _fix_word_weights(scorer: Any, references: list[str]) -> None:
    """Weigh RadCliQ's words by their frequency in distinct references, not in as many copies as models were asked."""
    build = scorer._get_bert_scorer
    scorer._get_bert_scorer = lambda _: build(references)


def compute(pairs: Texts, options: argparse.Namespace) -> Answer:
    """Values of every pair under every metric asked for."""
    names = options.metrics.split(",")
    unknown = [name for name in names if name not in METRICS]
    if unknown:
        raise CannotWork("unknown-metric", f"{', '.join(unknown)}: choose from {', '.join(METRICS)}")
    found_weights = {name: weights(name) for name in names if METRICS[name].models}
    found = values(names, [hypothesis for hypothesis, _ in pairs], [reference for _, reference in pairs])
    columns = {theirs: ours for name in names for theirs, ours in METRICS[name].columns.items()}
    rows = [
        [float("nan") if value is None else value for value in row]
        for row in zip(*(found[theirs] for theirs in columns), strict=True)
    ]
    return Answer(list(columns.values()), rows, versions("radeval", "torch", "transformers"), found_weights)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--metrics", required=True, help=f"any of {','.join(METRICS)}")
    run(compute, options)
