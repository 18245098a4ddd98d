"""A materialised benchmark with films on disk, small enough to train on and to write reports for in seconds."""

import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from lrrg.benchmark.spec import Spec
from lrrg.pipelines.finetune.config import Config
from lrrg.pipelines.splits.export import CASES, COLUMNS, MANIFEST
from lrrg.pipelines.splits.stage import materialise
from lrrg.pipelines.store import Store, read_parquet, write_parquet
from lrrg.tests.judged import judged_store

SIDES = (72, 64)
DEFECT = "defocus"


def reported(root: Path) -> Path:
    """Write films, database and splits below `root`; returns the folder of the splits."""
    database = judged_store(root / "verdicts.duckdb")
    films = root / "films"
    films.mkdir()
    with Store.open(database) as store:
        for number, (name,) in enumerate(store.query("SELECT path FROM image ORDER BY path").rows):
            (films / name).write_bytes(film(number))
        materialise(store, root / "splits", ("parquet",), Spec(synthetic=(DEFECT,)))
    return root / "splits"


def telling(splits: Path) -> None:
    """Draw the films anew, so that films of equal reports look alike: what a film shows can be learned."""
    rows = read_parquet(splits / CASES)
    for number, (path, report) in enumerate(sorted({(row["image_path"], row["reference"]) for row in rows})):
        Path(path).write_bytes(film(zlib.crc32(report.encode()), grain=number))


def natural(splits: Path, studies: int) -> None:
    """Leave of the scored cases the own films of so many studies, so that as many reports are to be written."""
    rows = read_parquet(splits / CASES)
    own = {row["case_id"] for row in rows if row["tracks"] and row["case_id"] == row["study_id"]}
    chosen = set(sorted(own)[:studies])
    kept = [tuple(row.values()) for row in rows if not row["tracks"] or row["case_id"] in chosen]
    write_parquet(splits / CASES, COLUMNS, kept)
    manifest = json.loads((splits / MANIFEST).read_text(encoding="utf-8"))
    manifest["files"][CASES] = hashlib.sha256((splits / CASES).read_bytes()).hexdigest()
    (splits / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")


def film(seed: int, grain: int | None = None) -> bytes:
    """A JPEG of smooth structure under noise, which follows from the seed as well or is another one."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.uniform(40, 220, (6, 5)).astype(np.float32), SIDES[::-1], interpolation=cv2.INTER_CUBIC)
    noise = rng if grain is None else np.random.default_rng(grain)
    grey = np.clip(coarse + noise.normal(0, 4, SIDES), 0, 255).astype(np.uint8)
    return cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()


def small(**sections: dict[str, Any]) -> Config:
    """Settings of a run that takes seconds: a model of 100,000 weights, films of 4 tokens."""
    given = {
        "tiny": {"hidden": 64, "layers": 1, "vision_hidden": 32, "vision_layers": 1, "vocabulary": 400},
        "images": {"min_pixels": 56 * 56, "max_pixels": 64 * 64, "side": 64},
        "train": {"steps": 4, "batch_size": 4, "learning_rate": 3e-3},
    }
    merged = {name: {**given.get(name, {}), **sections.get(name, {})} for name in {**given, **sections}}
    return Config.model_validate(merged)
