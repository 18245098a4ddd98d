"""The benchmark's files and scores from processes that differ in hash seed and in threads."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from lrrg.pipelines.score.stage import read_benchmark
from lrrg.tests.judged import judged_store

STAGES = """
import sys
from pathlib import Path
from lrrg.benchmark.spec import Spec
from lrrg.pipelines.score.stage import Options, score
from lrrg.pipelines.score.files import save
from lrrg.pipelines.splits.stage import materialise
from lrrg.pipelines.store import Store

database, out, *predictions = map(Path, sys.argv[1:])
with Store.open(database) as store:
    materialise(store, out / "splits", ("parquet", "r2gen", "sharegpt"), Spec(synthetic=("motion",)))
if predictions:
    options = Options(reference="sft", draws=100)
    save(score(out / "splits", predictions, options, lambda *_, **__: None), out / "scores", db=None, share=False)
"""

DRAWS = """
import numpy as np
from lrrg.benchmark.resample import draw
from lrrg.benchmark.statistics import interval

sums = np.column_stack([np.random.default_rng(0).normal(size=(3500, 41)), np.ones(3500)])
(drawn,) = draw([sums], lambda each: each[..., 0] / each[..., -1], draws=1000)
print(repr(interval(drawn)))
"""


def threads_of(count: str) -> dict[str, str]:
    """This process's environment with a number of threads for every library that multiplies matrices."""
    return {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), count)}


def test_threads_do_not_change_an_interval():
    found = {
        subprocess.run([sys.executable, "-c", DRAWS], env=threads_of(count), check=True, capture_output=True).stdout
        for count in ("1", "2", "3")
    }
    assert len(found) == 1


def run(database: Path, out: Path, predictions: list[Path], threads: str, hash_seed: str) -> dict[str, bytes]:
    """Both stages in a process of its own; the files by name."""
    environment = {**threads_of(threads), "PYTHONHASHSEED": hash_seed}
    paths = map(str, (database, out, *predictions))
    subprocess.run([sys.executable, "-c", STAGES, *paths], env=environment, check=True)
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}


@pytest.mark.slow
def test_every_byte_is_the_same_whatever_the_hash_seed_and_the_threads(tmp_path: Path):
    database = judged_store(tmp_path / "verdicts.duckdb")
    run(database, tmp_path / "first", [], "1", "0")
    predictions = []
    for model, kept in (("sft", 3), ("dual", 6)):
        predictions.append(tmp_path / f"{model}.jsonl")
        answers = [
            {"case_id": case.case_id, "text": " ".join(case.reference.split()[: kept * 4 - case.severity])}
            for case in read_benchmark(tmp_path / "first" / "splits").scored
        ]
        predictions[-1].write_text("".join(json.dumps(each) + "\n" for each in answers))
    one, other = (
        run(database, tmp_path / threads, predictions, threads, hash_seed)
        for threads, hash_seed in (("1", "1"), ("3", "2"))
    )
    assert one.keys() == other.keys()
    assert {"splits/cases.parquet", "scores/scores.parquet", "scores/severity_rouge_l.svg"} <= one.keys()
    assert [name for name in one if one[name] != other[name]] == []
