"""The experiment: what runs are given, that a stopped one goes on, and what its table says."""

import json
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lrrg.benchmark.labeler import label
from lrrg.benchmark.ladder import read_ladder
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.finetune.compare import task
from lrrg.pipelines.finetune.compare.config import SHIPPED, Comparison, read_comparison
from lrrg.pipelines.finetune.compare.films import NORMAL, STATED, Films, films, ladder, spoil
from lrrg.pipelines.finetune.compare.study import NORMALS, START, Study
from lrrg.pipelines.finetune.compare.table import LOSS, SCORES, SHOWN, Scores, by_row, score, table
from lrrg.pipelines.finetune.processor import Processor
from lrrg.pipelines.finetune.tokenizer import train_tokenizer
from lrrg.tests.quiet import quiet, silent

ROWS = [
    {"name": "clean only", "strategy": {"name": "sft_clean"}},
    {"name": "balanced", "augment": 0.5},
    {"name": "whole gradient", "strategy": {"name": "dual_loop", "mode": "finite_difference"}},
]


def small(**given: Any) -> Comparison:
    return Comparison.model_validate(
        {
            "films": {"start": 40, "validate": 10, "test": 30, "high": 30, "low": 6},
            "pretrain": {"steps": 2, "batch_size": 4, "hidden": 32, "layers": 1},
            "run": {"passes": 6, "batch_size": 4, "learning_rates": [1e-3, 3e-3], "seeds": [1, 2]},
            "baseline": "balanced",
            "rows": ROWS,
            **given,
        }
    )


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Films:
    return films("test", 0, 30, tmp_path_factory.mktemp("films"), quiet)


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


def test_what_a_film_shows_is_cut_when_it_is_drawn(drawn: Films):
    """Patches are not kept; a batch has those that the processor cuts from the same film."""
    comparison = small(films={"start": 10, "high": 24, "low": 6})
    processor = Processor(
        train_tokenizer(["system user assistant", *STATED.values()], 300), min_pixels=784, max_pixels=12544
    )
    data = task.Data(drawn, comparison, processor, 1)
    assert (len(data.high), len(data.copies), len(data.low["seen"]), len(data.low["natural"])) == (24, 24, 6, 6)
    assert not np.array_equal(data.low["seen"][0].grey, data.low["natural"][0].grey)
    whole = processor.row(task.QUESTION, data.copies[0].grey, drawn.reports[0])
    cut = task.drawn(*data.copies[0], processor)
    assert cut.tokens == whole.tokens
    assert torch.equal(cut.pixel_values, whole.pixel_values)


def test_validation_never_sees_what_is_tested(drawn: Films):
    for law in task.LAWS:
        seen = {name for films in task.watched(drawn, law).values() for defects in films for name, _ in defects}
        assert seen == set(task.HELD_OUT) | {name for key in drawn.keys for name, _ in task.defects_of(key, law)}
    assert not {*task.TESTED} & set(task.watched(drawn, "seen"))


def test_scores_are_those_of_the_benchmark(drawn: Films):
    """A model that is right on clean films and calls every other one normal, beside one that is always right."""
    names = list(task.tested(drawn))
    right = {name: list(drawn.reports) for name in names}
    fragile = {name: right[name] if name == "clean" else [NORMAL] * len(drawn) for name in names}
    assert score(drawn, right, {})[SHOWN[0]] == pytest.approx({name: 0.0 if "gap" in name else 1.0 for name in SCORES})
    losses = dict.fromkeys(names, 3.0) | {"clean": 1.0, "low": 2.0, "motion": 9.0}
    found = score(drawn, fragile, losses)
    assert found["rouge_l"]["clean"] == pytest.approx(1)
    assert found[SHOWN[0]]["clean"] == pytest.approx(1)
    assert found[SHOWN[0]]["gap"] == pytest.approx(1 - found[SHOWN[0]]["low"])
    assert found[SHOWN[0]]["unseen"] < 0.5
    unseen = (9 + 3 * (len(task.TESTED) - 1)) / len(task.TESTED)
    expected = {"clean": 1, "low": 2, "natural": 3, "seen": 3, "unseen": unseen, "gap": 1, "gap_natural": 2}
    assert found[LOSS] == pytest.approx(expected)


def test_differences_are_paired_by_run_with_each_rows_opponent():
    def run(clean: float) -> Scores:
        return {metric: dict.fromkeys(SCORES, clean) for metric in SHOWN}

    scores = {"base": [run(0.5), run(0.9)], "better": [run(0.6), run(1.0)], "other": [run(0.4), run(0.7)]}
    lines = table(scores, {"base": "base", "better": "base", "other": "better"})
    found = {line.row: line for line in lines if (line.metric, line.score) == (SHOWN[0], "clean")}
    assert (found["better"].difference, found["better"].half_width) == pytest.approx((10, 0), abs=1e-9)
    assert (found["better"].better_runs, found["better"].runs) == (2, 2)
    # Student's t with one degree of freedom: 12.706 times the standard error of -20 and -30.
    assert (found["other"].difference, found["other"].half_width) == pytest.approx((-25, 12.706 * 5))
    lost = next(line for line in lines if (line.row, line.metric, line.score) == ("better", LOSS, "clean"))
    assert lost.better_runs == 0  # less is better there
    assert (found["base"].mean, found["base"].difference, found["base"].half_width) == pytest.approx((70, 0, 0))
    tables = by_row(lines)
    assert list(tables) == list(SHOWN)
    assert [row[0] for row in tables["rouge_l"]] == ["base", "better", "other"]
    assert len(tables["rouge_l"][0]) == 2 + len(SCORES)
    fewer = table({"base": scores["base"], "late": [run(0.6)] * 3}, {"base": "base", "late": "base"})
    assert {(line.row, line.runs) for line in fewer} == {("base", 2), ("late", 2)}


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
        ("group_dro", True, 0.5, False),
        ("momentum_sam", True, 0.5, False),
    ]:
        assert needed in said
    # What is compared differs in one thing only: the law of its films never.
    laws = {row.name: row.law for row in chosen.rows}
    assert all(laws[row] == laws[opponent] for row, opponent in chosen.opponents.items())
    assert set(laws.values()) == set(task.LAWS)


def test_longer_experiment_has_the_same_films_and_rows_that_answer_each_other():
    chosen, longer = read_comparison(), read_comparison(SHIPPED.with_name("longer.toml"))
    assert (longer.films, longer.pretrain) == (chosen.films, chosen.pretrain)
    assert longer.run.passes > chosen.run.passes
    laws = {row.name: row.law for row in longer.rows}
    assert all(laws[row] == laws[opponent] for row, opponent in longer.opponents.items())


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"baseline": "nobody"}, "baseline"),
        ({"run": {"seeds": [1, 100]}}, "share a seed"),
        ({"rows": [*ROWS, {"name": "lost", "against": "nobody"}]}, "nobody"),
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
            if label == "runs" and done == 8:
                raise Stopped

        return nullcontext(advance)

    with pytest.raises(Stopped):
        Study(small(), tmp_path, stopping).run(1)
    runs = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").glob("*.predictions.jsonl")}
    assert 2 <= len(runs) < 6  # after six tuning runs; what was begun is ended
    lines = Study(small(), tmp_path, silent).run(2)
    assert {line.row for line in lines} == {START, NORMALS, *(row["name"] for row in ROWS)}
    assert all(line.runs == 2 for line in lines)
    assert all(path.stat().st_mtime_ns == made for path, made in runs.items())
    assert len((tmp_path / "table.jsonl").read_text(encoding="utf-8").splitlines()) == len(lines)
    record = json.loads(next(iter(runs)).read_text(encoding="utf-8").splitlines()[0])
    assert {"model", "condition", "key", "text", "rate"} <= record.keys()
    with pytest.raises(SettingsError, match="other films"):
        Study(small(run={"passes": 8, "seeds": [1, 2]}), tmp_path, silent)
