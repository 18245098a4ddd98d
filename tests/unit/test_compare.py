"""The experiment: what runs are given, that a stopped one goes on, and what its table says."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lrrg.benchmark.labeler import label
from lrrg.benchmark.ladder import read_ladder
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.finetune.compare import task
from lrrg.pipelines.finetune.compare.config import Comparison, read_comparison
from lrrg.pipelines.finetune.compare.films import NORMAL, STATED, Films, films, ladder, spoil
from lrrg.pipelines.finetune.compare.study import Study
from lrrg.pipelines.finetune.compare.table import SCORES, SHOWN, by_row, score, table

ROWS = [
    {"name": "clean only", "strategy": {"name": "sft_clean"}},
    {"name": "balanced", "augment": 0.5},
    {"name": "whole gradient", "strategy": {"name": "dual_loop", "mode": "finite_difference"}},
]


def small(**given: Any) -> Comparison:
    return Comparison.model_validate(
        {
            "films": {"train": 40, "validate": 10, "test": 30, "high": 30, "low": 6},
            "pretrain": {"steps": 2, "batch_size": 4, "hidden": 32, "layers": 1},
            "run": {"passes": 6, "batch_size": 4, "learning_rates": [1e-3, 3e-3], "seeds": [1, 2]},
            "baseline": "balanced",
            "rows": ROWS,
            **given,
        }
    )


def quiet(label: str, total: int | None) -> Any:
    return nullcontext(lambda *done, **counts: None)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Films:
    return films("test", 0, 30, tmp_path_factory.mktemp("films"), lambda *done, **counts: None)


def test_reports_say_what_the_labeler_reads():
    for finding, text in STATED.items():
        positive = int((label(text) == 1).sum())
        assert positive, finding
        assert not np.array_equal(label(text), label(NORMAL))


def test_defects_of_training_and_test_are_apart():
    shipped = read_ladder()
    assert all(shipped[defect].seen for defect in task.SEEN)
    assert not any(shipped[defect].seen for defect in task.UNSEEN)
    assert not set(task.HELD_OUT) & set(task.TESTED)
    keys = [f"train{number}" for number in range(200)]
    assert {name for key in keys for name, _ in task.defects_of(key, "seen")} == set(task.SEEN)
    assert {name for key in keys for name, _ in task.copy_of(key)} == set(task.SEEN)
    assert {name for key in keys for name, _ in task.defects_of(key, "natural")} == {*task.SEEN, *task.TESTED}


def test_every_defect_shows_on_a_thumbnail(drawn: Films):
    severities = ladder()
    for defect in (*task.SEEN, *task.UNSEEN):
        spoilt = spoil(drawn.grey[0], [(defect, task.SEVERITY)], "k", severities)
        assert spoilt.shape == drawn.grey[0].shape
        assert np.abs(spoilt.astype(int) - drawn.grey[0]).mean() > 1, defect


def test_scores_are_those_of_the_benchmark(drawn: Films):
    """A model that is right on clean films and calls every other one normal, beside one that is always right."""
    names = list(task.conditions(drawn, test=True))
    right = {name: list(drawn.reports) for name in names}
    fragile = {name: right[name] if name == "clean" else [NORMAL] * len(drawn) for name in names}
    both = score(drawn, {"right": right, "fragile": fragile}, "right", 100)
    assert both["rouge_l", "fragile"]["clean"] == pytest.approx(1)
    found = {row: both[SHOWN[0], row] for row in ("right", "fragile")}
    assert found["right"] == pytest.approx({name: 0.0 if "gap" in name else 1.0 for name in SCORES})
    assert found["fragile"]["clean"] == pytest.approx(1)
    assert found["fragile"]["gap"] == pytest.approx(1 - found["fragile"]["low"])
    assert found["fragile"]["unseen"] < 0.5


def test_differences_are_paired_by_run(drawn: Films):
    names = list(task.conditions(drawn, test=True))

    def run(wrong: int) -> dict[str, list[str]]:
        return {name: [NORMAL] * wrong + list(drawn.reports[wrong:]) for name in names}

    lines = table(drawn, {"base": [run(2), run(12)], "better": [run(1), run(11)]}, "base", 100)
    line = next(line for line in lines if line.row == "better" and line.score == "clean")
    assert line.difference > 0
    assert (line.better_runs, line.runs) == (2, 2)
    base = next(line for line in lines if line.row == "base" and line.score == "clean")
    assert (base.difference, base.half_width) == (0, 0)
    tables = by_row(lines)
    assert list(tables) == list(SHOWN)
    assert [row[0] for row in tables["rouge_l"]] == ["base", "better"]
    assert len(tables["rouge_l"][0]) == 1 + len(SCORES)


def test_shipped_experiment_has_every_row_that_is_always_shown():
    chosen = read_comparison()
    said = [(row.strategy.name, row.augment > 0, row.low_share, row.average) for row in chosen.rows]
    for needed in [
        ("sft_clean", False, 0.5, False),
        ("sft_balanced", False, 0.5, False),
        ("sft_balanced", True, 0.5, False),
        ("sft_balanced", True, 0.7, False),
        ("sft_balanced", True, 0.5, True),
        ("dual_loop", False, 0.5, False),
        ("dual_loop", True, 0.5, False),
        ("fish", True, 0.5, False),
        ("pcgrad", True, 0.5, False),
    ]:
        assert needed in said


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"baseline": "nobody"}, "baseline"),
        ({"run": {"seeds": [1, 100]}}, "share a seed"),
        ({"films": {"train": 40}}, "fewer"),
    ],
)
def test_an_experiment_that_would_mislead_is_refused(given: dict[str, Any], named: str, tmp_path: Path):
    path = tmp_path / "x.toml"
    with pytest.raises(ValueError, match=named):
        small(**given)
    path.write_text("rows = []", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"x\.toml"):
        read_comparison(path)


@pytest.mark.slow
def test_a_stopped_experiment_goes_on(tmp_path: Path):
    class Stopped(Exception):
        pass

    def stopping(label: str, total: int | None) -> Any:
        done = 0

        def advance(*_: int, **counts: int) -> None:
            nonlocal done
            done += 1
            if label == "runs" and done == 4:
                raise Stopped

        return nullcontext(advance)

    with pytest.raises(Stopped):
        Study(small(), tmp_path, stopping).run()
    runs = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*.predictions.jsonl")}
    assert len(runs) == 4
    lines = Study(small(), tmp_path, quiet).run()
    assert {line.row for line in lines} == {row["name"] for row in ROWS}
    assert all(line.runs == 2 for line in lines)
    assert all(path.stat().st_mtime_ns == made for path, made in runs.items())
    assert len((tmp_path / "table.jsonl").read_text(encoding="utf-8").splitlines()) == len(lines)
    record = json.loads(next(iter(runs)).read_text(encoding="utf-8").splitlines()[0])
    assert {"model", "condition", "key", "text", "rate"} <= record.keys()
    with pytest.raises(SettingsError, match="other films"):
        Study(small(run={"passes": 8, "seeds": [1, 2]}), tmp_path, quiet)
