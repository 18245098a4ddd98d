"""`lrrg score`: predictions of report models against a materialised benchmark, with floors, intervals and endpoints."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...benchmark import honesty
from ...benchmark.baselines import CONSTANT, FLOORS, floors
from ...benchmark.cases import Case, Cell, aligned, counts, group, large_enough, twin_rows
from ...benchmark.confounding import Adjustment, adjusted_gaps, adjustment
from ...benchmark.corpus import Corpus
from ...benchmark.endpoints import Endpoint, primary_endpoints
from ...benchmark.labeler import label, signature
from ...benchmark.metrics import METRICS
from ...benchmark.score import Cells, Roles, Row, draw_scores, rows_of, twin_tests
from ...benchmark.tokens import PROTOCOLS, Protocol
from ..errors import SettingsError
from ..splits.files import read_materials
from ..view import Advance
from .model_metrics import Found, Source

METRICS_VERSION = 1
HEADLINE = ("bleu_4", "rouge_l", "cider", "micro_f1_14_uncertain_positive", "macro_f1_14_uncertain_positive")


@dataclass(frozen=True)
class Options:
    """What a score depends on beside cases and predictions; all of it is in the signature.

    Attributes:
        protocol: how text becomes tokens, a name of `PROTOCOLS`.
        reference: name of the plain fine-tuned model that robustness is measured against.
        draws: bootstrap samples.
        seed: of the draws.
    """

    protocol: str = "complete"
    reference: str | None = None
    draws: int = 10_000
    seed: int = 0


@dataclass(frozen=True)
class Benchmark:
    """A materialised benchmark, read back."""

    cases: Sequence[Case]
    fingerprints: Mapping[str, str]
    manifest: Mapping[str, Any]

    @property
    def scored(self) -> list[Case]:
        """Cases that belong to a track."""
        return [case for case in self.cases if case.tracks]


@dataclass(frozen=True)
class Scores:
    """Everything `lrrg score` found; the writers only lay it out."""

    rows: Sequence[Row]
    per_case: Sequence[tuple[str, str, str, float | None]]
    """(model, case_id, metric, value) of the headline metrics; None where one case alone has no value."""
    endpoints: Sequence[Endpoint]
    adjustment: Adjustment | None
    sizes: Mapping[Cell, tuple[int, int]]
    shown: frozenset[Cell]
    models: Sequence[str]
    signature: str
    options: Options
    outside: Sequence[str] = ()
    """Metrics of models outside that the report shows."""
    manifest: Mapping[str, Any] = field(default_factory=dict)


def score(
    splits: Path, predictions: Sequence[Path], options: Options, advance: Advance, sources: Sequence[Source] = ()
) -> Scores:
    """Score every prediction file, and the floors, on every cell of the benchmark.

    Args:
        splits: folder that `lrrg splits` wrote.
        predictions: JSONL files, one a model.
        options: see `Options`.
        advance: told after each metric.
        sources: of metrics that models outside compute.

    Raises:
        ModelMetricError: a model outside gave no usable values.
        SettingsError: a file is missing or malformed, two files name one model, or the reference is none of them.
        PredictionError: a case is missing, doubled or unknown.
    """
    protocol, benchmark = _protocol(options), read_benchmark(splits)
    cases = benchmark.scored
    texts = _texts(benchmark, predictions)
    if options.reference is not None and options.reference not in texts:
        raise SettingsError(f"--reference {options.reference}: no such model; there are {', '.join(sorted(texts))}")
    corpora = _corpora(benchmark, texts, protocol)
    outside = _outside(corpora, sources)
    cells = group(cases)
    shown = large_enough(cases, cells)
    unseen = frozenset(benchmark.manifest["unseen_defects"])
    roles, adjusted = Roles(CONSTANT, options.reference, unseen), adjustment(cases)
    rows: list[Row] = []
    resampled = {"draws": options.draws, "seed": options.seed}
    for metric in (*METRICS.values(), *(metric for found in outside for metric in found.metrics)):
        rows += rows_of(metric, draw_scores(metric, corpora, cases, cells, **resampled), shown, roles)
        if metric.name in HEADLINE:
            rows += twin_tests(metric, corpora, cases, cells, shown, **resampled)
            if adjusted and {Cell("T1", "high"), Cell("T1", "low")} <= shown:
                rows += adjusted_gaps(metric, corpora, cases, adjusted, **resampled)
        advance()
    return Scores(
        rows=sorted(rows),
        per_case=_per_case(corpora, cases),
        endpoints=_endpoints(corpora, cases, {cell: cells[cell] for cell in shown}, unseen, options),
        adjustment=adjusted,
        sizes={cell: counts(cases, members) for cell, members in cells.items()},
        shown=frozenset(shown),
        models=sorted(texts),
        signature=make_signature(benchmark, options, outside),
        options=options,
        outside=[name for found in outside for name in found.shown],
        manifest=benchmark.manifest,
    )


def _outside(corpora: Mapping[str, Corpus], sources: Sequence[Source]) -> list[Found]:
    """Metrics of models outside, each asked once about every distinct pair of reports."""
    pairs = {
        (hypothesis, reference)
        for corpus in corpora.values()
        for hypothesis, reference in zip(corpus.hypotheses, corpus.references, strict=True)
        if hypothesis.strip()
    }
    return [source(pairs) for source in sources]


def _per_case(corpora: Mapping[str, Corpus], cases: Sequence[Case]) -> list[tuple[str, str, str, float | None]]:
    found: list[tuple[str, str, str, float | None]] = []
    for model, corpus in corpora.items():
        for name in HEADLINE:
            metric = METRICS[name]
            values = metric.value(corpus.statistics(metric.statistics)).tolist()
            found += [
                (model, case.case_id, name, None if math.isnan(value) else value)
                for case, value in zip(cases, values, strict=True)
            ]
    return found


def _endpoints(
    corpora: Mapping[str, Corpus], cases: Sequence[Case], cells: Cells, unseen: frozenset[str], options: Options
) -> list[Endpoint]:
    """The declared endpoints; none without a reference model."""
    if options.reference is None:
        return []
    return primary_endpoints(
        corpora,
        cases,
        cells,
        reference=options.reference,
        unseen=unseen,
        draws=options.draws,
        seed=options.seed,
    )


def read_benchmark(splits: Path) -> Benchmark:
    """Read what `lrrg splits` wrote.

    Raises:
        SettingsError: the folder holds no benchmark, or its cases are not those of its manifest.
    """
    rows, manifest = read_materials(splits)
    return Benchmark([_case(row) for row in rows], {row["image_id"]: row["fingerprint"] for row in rows}, manifest)


def _case(row: Mapping[str, Any]) -> Case:
    same = ("case_id", "study_id", "subject_id", "reference", "regime", "split", "image_id", "view", "defect")
    return Case(
        **{name: row[name] for name in same},
        tracks=tuple(row["tracks"]),
        aspects=tuple(row["aspects"]),
        severity=row["severity"],
        pair=row["pair"],
        prior=row.get("prior") or "",
        covariates=row["covariates"],
    )


def _texts(benchmark: Benchmark, predictions: Sequence[Path]) -> dict[str, list[str]]:
    """Reports of the floors and of every file, by model; wrong files are refused before the floors begin to learn."""
    texts: dict[str, list[str]] = {}
    for path in predictions:
        model, answers = read_predictions(path)
        if model in (*texts, *FLOORS):
            raise SettingsError(f"{path}: model {model} is another file's or a floor's name; give each model one file")
        texts[model] = aligned(benchmark.scored, answers, str(path))
    return floors(benchmark.cases, benchmark.fingerprints, label) | texts


def read_predictions(path: Path) -> tuple[str, list[tuple[str, str]]]:
    """Model name and (case_id, text) of a JSONL file; the model is the records' `model`, else the file's stem.

    Raises:
        SettingsError: the file is missing, a line is no such record, or it mixes models.
    """
    if not path.is_file():
        raise SettingsError(f"{path}: no such predictions file")
    answers: list[tuple[str, str]] = []
    models: set[str] = set()
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
                answer, model = (record["case_id"], record["text"]), record.get("model") or path.stem
                if not all(isinstance(each, str) for each in (*answer, model)):
                    raise TypeError("case_id, text and model are strings")
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise SettingsError(f"{path}:{number}: expected a JSON object with case_id and text") from error
            answers.append(answer)
            models.add(model)
    if len(models) > 1:
        raise SettingsError(f"{path}: holds several models ({', '.join(sorted(models))}); give each model one file")
    return (models.pop() if models else path.stem), answers


def _protocol(options: Options) -> Protocol:
    if options.protocol not in PROTOCOLS:
        raise SettingsError(f"--protocol {options.protocol}: choose from {', '.join(PROTOCOLS)}")
    return PROTOCOLS[options.protocol]


def _corpora(benchmark: Benchmark, texts: Mapping[str, Sequence[str]], protocol: Protocol) -> dict[str, Corpus]:
    references = [case.reference for case in benchmark.scored]
    # The hold-out is scored with the test set's frequencies: T5 is then CIDEr as others compute it.
    population = list({case.study_id: case.reference for case in benchmark.scored if "T5" in case.tracks}.values())
    train = [case.reference for case in benchmark.cases if case.split == "train" and case.own]
    vocabulary = protocol.vocabulary(train) if protocol.minimum_count else None
    shared = (
        references,
        label,
        protocol,
        vocabulary,
        population,
        _priors(benchmark.scored),
        twin_rows(benchmark.scored),
    )
    return {model: Corpus(ours, *shared) for model, ours in texts.items()}


def _priors(cases: Sequence[Case]) -> list[bool]:
    return [bool(case.covariates.get("has_prior", 1)) for case in cases]


def make_signature(benchmark: Benchmark, options: Options, outside: Sequence[Found] = ()) -> str:
    """Every setting a number depends on, in one line; changes whenever one of them does."""
    manifest = benchmark.manifest
    parts = {
        "lrrg-metrics": METRICS_VERSION,
        "proto": options.protocol,
        "refs": manifest["spec"]["target"],
        "studies": manifest["test_studies_sha256"][:12],
        "cases": manifest["cases_sha256"][:12],
        "ladder": manifest["ladder"]["sha256"][:12],
        "spec": manifest["spec_sha256"][:12],
        "recipe": manifest["recipe_id"][:12],
        "labeler": signature(),
        "honesty": honesty.signature(),
        "reference": options.reference or "none",
        "draws": options.draws,
        "seed": options.seed,
        **{name: value for found in outside for name, value in found.signature.items()},
    }
    return "|".join(f"{name}:{value}" for name, value in parts.items())
