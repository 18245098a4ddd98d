"""The benchmark as files: Parquet, R2Gen's annotation.json, ShareGPT/Qwen-VL JSONL, and the manifest that names them.

Same cases, same bytes: rows are sorted, JSON keys are sorted, and nothing here depends on a clock.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ... import __version__, prompts
from ...benchmark.cases import Case
from ...benchmark.ladder import Ladder
from ...benchmark.spec import Spec
from ..errors import SettingsError
from ..files import sha256, write_json
from ..question import CONTEXT, PROMPT, ask
from ..store import write_parquet

FORMATS = ("parquet", "r2gen", "sharegpt")
CASES, MANIFEST = "cases.parquet", "manifest.json"
R2GEN_SPLITS = {"train": "train", "validate": "val", "test": "test"}
ANNOTATION, DATASETS = "annotation.json", "dataset_info.json"
CHATS = ("train", "train_holdout", "validate", "test")
FURTHER = {ANNOTATION, DATASETS, *(f"{split}.jsonl" for split in CHATS)}
"""Files beside the cases, by the formats asked for."""
COLUMNS = {
    "case_id": "VARCHAR",
    "split": "VARCHAR",
    "tracks": "VARCHAR[]",
    "study_id": "VARCHAR",
    "subject_id": "VARCHAR",
    "image_id": "VARCHAR",
    "image_path": "VARCHAR",
    "fingerprint": "VARCHAR",
    "view": "VARCHAR",
    "other_views": "VARCHAR[]",
    "regime": "VARCHAR",
    "aspects": "VARCHAR[]",
    "defect": "VARCHAR",
    "severity": "TINYINT",
    "pair": "VARCHAR",
    "reference": "VARCHAR",
    "indication": "VARCHAR",
    "history": "VARCHAR",
    "technique": "VARCHAR",
    "comparison": "VARCHAR",
    "prior": "VARCHAR",
    "covariates": "MAP(VARCHAR, DOUBLE)",
}


@dataclass(frozen=True)
class Materialised:
    """A built benchmark and what its files repeat.

    Attributes:
        views: view position of every film in the catalog, by study and image: films that are not shown are named.
    """

    cases: Sequence[Case]
    paths: Mapping[str, str]
    reports: Mapping[str, Mapping[str, Any]]
    spec: Spec
    recipe: Mapping[str, Any]
    ladder: Ladder
    defects: Sequence[str]
    fingerprints: Mapping[str, str]
    views: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        files: sha256 by name.
        splits: cases by split.
        tracks: cases by track.
        test_studies_sha256: of the test studies' ids.
        cases_sha256: of the cases, wherever their films lie.
    """

    files: Mapping[str, str]
    splits: Mapping[str, int]
    tracks: Mapping[str, int]
    test_studies_sha256: str
    cases_sha256: str


def export(benchmark: Materialised, out: Path, formats: Sequence[str]) -> Exported:
    """Write the benchmark to the folder `out`.

    Parquet is always written: it is what scoring reads. Files of an earlier benchmark that are not written anew go:
    its hold-out was another one, and who trained on them would train on patients of this one's.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name in FURTHER & _described(out):
        (out / name).unlink(missing_ok=True)
    rows = [_row(case, benchmark) for case in benchmark.cases]
    written = [out / CASES]
    write_parquet(out / CASES, COLUMNS, [tuple(row.values()) for row in rows])
    if "r2gen" in formats:
        written.append(_r2gen(rows, out))
    if "sharegpt" in formats:
        written += _sharegpt(rows, out, benchmark.spec)
    exported = Exported(
        files={path.name: sha256(path) for path in written},
        splits=_count(case.split for case in benchmark.cases),
        tracks=_count(track for case in benchmark.cases for track in case.tracks),
        test_studies_sha256=studies_hash(benchmark.cases),
        cases_sha256=cases_hash(rows),
    )
    write_json(out / MANIFEST, _manifest(benchmark, exported))
    return exported


def check_formats(formats: Iterable[str]) -> None:
    """See that a benchmark can be written so, before it is built.

    Raises:
        SettingsError: an unknown format.
    """
    if unknown := set(formats) - set(FORMATS):
        raise SettingsError(f"--format {','.join(sorted(unknown))}: choose from {','.join(FORMATS)}")


def _described(out: Path) -> set[str]:
    """Files that the manifest in a folder names; none where there is no manifest of ours."""
    try:
        return set(json.loads((out / MANIFEST).read_text(encoding="utf-8"))["files"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return set()


def studies_hash(cases: Iterable[Case]) -> str:
    """sha256 of the sorted ids of the studies of T5: two papers with equal hashes scored the same studies."""
    ids = sorted({case.study_id for case in cases if "T5" in case.tracks})
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()


def cases_hash(rows: Iterable[Mapping[str, Any]]) -> str:
    """sha256 of the cases without their films' paths: the same on every machine that holds the same data."""
    digest = hashlib.sha256()
    for row in rows:
        placeless = {name: value for name, value in row.items() if name != "image_path"}
        digest.update(json.dumps(placeless, sort_keys=True).encode())
    return digest.hexdigest()


def _row(case: Case, benchmark: Materialised) -> dict[str, Any]:
    report = benchmark.reports[case.study_id]
    return {
        "case_id": case.case_id,
        "split": case.split,
        "tracks": list(case.tracks),
        "study_id": case.study_id,
        "subject_id": case.subject_id,
        "image_id": case.image_id,
        "image_path": benchmark.paths[case.image_id],
        "fingerprint": benchmark.fingerprints[case.image_id],
        "view": case.view,
        "other_views": _other_views(case, benchmark.views[case.study_id]),
        "regime": case.regime,
        "aspects": list(case.aspects),
        "defect": case.defect,
        "severity": case.severity,
        "pair": case.pair,
        "reference": case.reference,
        **{name: report[name] for name in CONTEXT},
        "prior": case.prior or None,
        "covariates": dict(sorted(case.covariates.items())),
    }


def _other_views(case: Case, views: Mapping[str, str]) -> list[str]:
    """Of the study's films that are not shown, one a film."""
    return sorted(view for image_id, view in views.items() if image_id != case.image_id)


def _own_cases(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """One row a study: neither synthetic nor a twin's second film."""
    return [row for row in rows if row["case_id"] == row["study_id"]]


def _r2gen(rows: Sequence[Mapping[str, Any]], out: Path) -> Path:
    """R2Gen's `annotation.json`: `val` for validate, one film a study; hold-out patients are in no split of it."""
    splits: dict[str, list[dict[str, Any]]] = {name: [] for name in R2GEN_SPLITS.values()}
    for row in _own_cases(rows):
        if row["split"] in R2GEN_SPLITS:
            split = R2GEN_SPLITS[row["split"]]
            item = {"id": row["image_id"], "study_id": row["study_id"], "subject_id": row["subject_id"], "split": split}
            splits[split].append({**item, "report": row["reference"], "image_path": [row["image_path"]]})
    path = out / ANNOTATION
    write_json(path, splits)
    return path


def _sharegpt(rows: Sequence[Mapping[str, Any]], out: Path, spec: Spec) -> list[Path]:
    """Chat records with images, as LLaMA-Factory (by `dataset_info.json`) and ms-swift read them."""
    prompt = prompts.load(PROMPT)
    info: dict[str, Any] = {}
    written: list[Path] = []
    for split in CHATS:
        path = out / f"{split}.jsonl"
        records = [_chat(row, prompt, spec) for row in _own_cases(rows) if row["split"] == split]
        lines = (json.dumps(each, ensure_ascii=False, sort_keys=True) + "\n" for each in records)
        path.write_text("".join(lines), encoding="utf-8")
        written.append(path)
        info[f"lrrg_{split}"] = {
            "file_name": path.name,
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "images": "images"},
            "tags": {
                "role_tag": "role",
                "content_tag": "content",
                "user_tag": "user",
                "assistant_tag": "assistant",
                "system_tag": "system",
            },
        }
    write_json(out / DATASETS, info)
    return [*written, out / DATASETS]


def _chat(row: Mapping[str, Any], prompt: prompts.Prompt, spec: Spec) -> dict[str, Any]:
    asked = ask(row, spec.target, prompt)
    return {
        "messages": [
            {"role": "system", "content": asked.system},
            {"role": "user", "content": f"<image>{asked.user}"},
            {"role": "assistant", "content": row["reference"]},
        ],
        "images": [row["image_path"]],
        "regime": row["regime"],
        "study_id": row["study_id"],
    }


def _manifest(benchmark: Materialised, exported: Exported) -> dict[str, Any]:
    prompt, ladder = prompts.load(PROMPT), benchmark.ladder
    return {
        "benchmark": "LRRG (Low-quality Radiology Report Generation)",
        "lrrg_version": __version__,
        "spec": asdict(benchmark.spec),
        "spec_sha256": benchmark.spec.sha256,
        "recipe_id": benchmark.recipe["recipe_id"],
        "policy": benchmark.recipe["policy"],
        "prompt": {"name": prompt.name, "sha256": prompt.sha256},
        "ladder": {"name": ladder.name, "version": ladder.version, "sha256": ladder.sha256},
        "unseen_defects": sorted(name for name in benchmark.defects if not ladder[name].seen),
        "test_studies_sha256": exported.test_studies_sha256,
        "cases_sha256": exported.cases_sha256,
        "cases_by_split": exported.splits,
        "cases_by_track": exported.tracks,
        "studies": len({case.study_id for case in benchmark.cases}),
        "patients": len({case.subject_id for case in benchmark.cases}),
        "files": exported.files,
    }


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
