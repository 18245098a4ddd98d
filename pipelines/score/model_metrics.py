"""Optional metrics of `lrrg score` that a model outside computes, and what they add to the signature."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...benchmark.corpus import UNMENTIONED
from ...benchmark.findings import FINDINGS
from ...benchmark.metrics import Metric
from ...benchmark.model_metrics import SCALES, Pair, label_metrics, value_metric
from ..errors import ModelMetricError, SettingsError
from ..settings import load
from .bridge import WORKERS, Answer, ask


@dataclass(frozen=True)
class Found:
    """What a source of metrics gives back.

    Attributes:
        metrics: ready for scoring on the pairs that were asked about.
        signature: what their values depend on, by name.
        shown: names of those that the report shows.
    """

    metrics: Sequence[Metric]
    signature: Mapping[str, str]
    shown: Sequence[str]


CHEXBERT_SHOWN = tuple(
    f"chexbert_{mean}_f1_{size}_uncertain_positive" for size in (14, 5) for mean in ("micro", "macro")
)
Source = Callable[[Collection[Pair]], Found]
"""Values the distinct (hypothesis, reference) pairs, hypotheses not empty."""


@dataclass(frozen=True)
class Chexbert:
    """CheXbert's 14 labels of both reports, scored like those of `rule14` but under names of their own.

    Attributes:
        checkpoint: `chexbert.pth`, with `vocab.txt` beside it.
        python: interpreter that has torch and transformers.
    """

    checkpoint: Path
    python: str

    def __call__(self, pairs: Collection[Pair]) -> Found:
        """Label metrics by CheXbert.

        Raises:
            ModelMetricError: see its codes.
        """
        answer = ask(
            WORKERS / "chexbert_worker.py", self.python, ["--checkpoint", str(self.checkpoint.resolve())], pairs
        )
        labels = {
            **_labels(answer, "hypothesis", [hypothesis for hypothesis, _ in answer.values]),
            **_labels(answer, "reference", [reference for _, reference in answer.values]),
        }
        nothing = np.full(len(FINDINGS), UNMENTIONED, np.int8)
        metrics = label_metrics("chexbert", lambda text: labels[text] if text.strip() else nothing)
        return Found(metrics, {"chexbert": _signature(answer)}, CHEXBERT_SHOWN)


@dataclass(frozen=True)
class RadEval:
    """Values that RadEval computes, by its names of metrics.

    Attributes:
        names: any of radgraph, radcliq, ratescore, srrbert, green, rouge.
        python: interpreter that has radeval and its models.
    """

    names: Sequence[str]
    python: str

    def __call__(self, pairs: Collection[Pair]) -> Found:
        """One metric a value that RadEval gives.

        Raises:
            ModelMetricError: see its codes.
        """
        answer = ask(WORKERS / "radeval_worker.py", self.python, ["--metrics", ",".join(self.names)], pairs)
        unknown = [name for name in answer.columns if name not in SCALES]
        if unknown:
            raise ModelMetricError("malformed", f"RadEval gave {', '.join(unknown)}, whose scale is not declared")
        metrics = [value_metric(name, answer.column(name)) for name in answer.columns]
        return Found(metrics, {"radeval": f"{'+'.join(self.names)}@{_signature(answer)}"}, list(answer.columns))


def sources(
    chexbert: Path | None, radeval: str | None, python: str | None, judge: str | None, model: str | None
) -> list[Source]:
    """The sources that the command line names.

    Args:
        chexbert: checkpoint.
        radeval: names of RadEval's metrics, comma-separated.
        python: interpreter that has the models of both.
        judge: URL of a model server.
        model: that it serves.

    Raises:
        SettingsError: an option lacks its other half.
        RefusedURL: the server is neither on this machine nor allowed.
    """
    if python is None and (chexbert or radeval):
        raise SettingsError("--chexbert and --radeval run elsewhere: name the interpreter with --bridge-python")
    if python is not None and not (chexbert or radeval):
        raise SettingsError(f"--bridge-python {python}: nothing is asked of it; name --chexbert or --radeval too")
    if (judge is None) != (model is None):
        raise SettingsError("--llm-judge and --llm-judge-model go together")
    found: list[Source] = []
    if chexbert and python:
        found.append(Chexbert(chexbert, python))
    if radeval and python:
        found.append(RadEval(radeval.split(","), python))
    if judge and model:
        from ...agent.server import Limits
        from .report_judge import ReportJudge

        found.append(ReportJudge(judge, model, Limits(**load().client.model_dump())))
    return found


def _labels(answer: Answer, side: str, texts: Sequence[str]) -> dict[str, NDArray[np.int8]]:
    places = [answer.columns.index(f"{side}:{name}") for name in FINDINGS]
    rows = zip(texts, answer.values.values(), strict=True)
    return {text: np.array([values[place] for place in places], np.int8) for text, values in rows}


def _signature(answer: Answer) -> str:
    """`torch-2.13.0,…#chexbert-1f0c…`: versions, then the first digits of the weights' hashes."""
    versions = ",".join(f"{name}-{version}" for name, version in sorted(answer.versions.items()))
    weights = ",".join(f"{name}-{digest[:12]}" for name, digest in sorted(answer.sha256.items()))
    return f"{versions}#{weights}" if weights else versions
