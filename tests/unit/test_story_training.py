"""The demo's last chapter: it trains, reports and scores, or says why not."""

import json
from pathlib import Path

import pytest
from lrrg.pipelines import settings
from lrrg.pipelines.demo import training as story_training
from lrrg.pipelines.demo.films import write_films
from lrrg.pipelines.demo.outcome import plainly, standings, told
from lrrg.pipelines.demo.training import DEFECTS, LABELS, Gap
from lrrg.pipelines.generate.stage import Generated
from lrrg.pipelines.splits.files import read_materials
from lrrg.tests.quiet import no_warning, silent
from lrrg.tests.reported import reported


def test_without_the_extra_the_demo_says_so_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    monkeypatch.setattr(story_training, "find_spec", lambda name: None)
    assert story_training.tell_training(tmp_path, settings.load(), silent, said.extend) is None
    assert said == ["no report model is trained: pip install 'lrrg[train]'"]
    assert not list(tmp_path.iterdir())


def number(model: str, cases: str, quantity: str, value: float, width: float = 0.1) -> Gap:
    return Gap(model, cases, quantity, LABELS, value, value - width, value + width, 36)


def test_the_table_fits_a_terminal_and_is_plain_about_floors(capsys: pytest.CaptureFixture[str]):
    models = {"sft": 0.62, "dual_loop": 0.3, "floor_constant_normal": 0.31, "floor_retrieval": 0.38}
    gaps = [number(model, "T5", "value", value) for model, value in models.items()]
    gaps += [number(model, f"T4 {defect}", "drop", 0.05) for model in ("sft", "dual_loop") for defect in DEFECTS]
    gaps.append(number("dual_loop", f"T4 {DEFECTS[1]}", "difference_in_differences", -0.02))
    floor = "38 (floor_retrieval: the report of the nearest training film)"
    told(gaps, as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [row.model for row in standings(gaps)] == [*list(models)[2:], *list(models)[:2]]
    assert standings(gaps)[2][1:] == ("62 (52 to 72)", "5 (-5 to 15)", "5 (-5 to 15)")
    assert plainly(gaps) == [
        f"sft: 62, above the best floor's {floor}.",
        f"dual_loop: 30, NOT above the best floor's {floor}: no sign that it gains by looking at films.",
        "dual_loop loses 2 more than sft to scatter (-8 to 12 more): no difference shown.",
    ]
    told(gaps, as_json=True)
    assert [json.loads(line)["model"] for line in capsys.readouterr().out.splitlines()] == [gap.model for gap in gaps]


def test_films_to_teach_with_are_a_benchmark_to_train_on(tmp_path: Path):
    splits = write_films(tmp_path, 4, 1, lambda done: None)
    cases = read_materials(splits).rows
    assert {(case["split"], case["regime"], len(case["tracks"])) for case in cases} == {("train", "high", 0)}
    assert all(case["reference"] and case["indication"] and Path(case["image_path"]).is_file() for case in cases)
    assert {bool(case["prior"]) for case in cases} == {True, False}
    again = write_films(tmp_path / "again", 4, 1, lambda done: None)
    hashes = [read_materials(each).manifest["cases_sha256"] for each in (splits, again)]
    assert hashes[0] == hashes[1]


def test_an_interrupted_report_writer_ends_the_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked: list[str] = []

    def interrupted(splits: Path, model: str, *_: object) -> Generated:
        asked.append(Path(model).name)
        return Generated(asked[-1], 2, 3, 130)

    monkeypatch.setattr(story_training, "_train", lambda *_: None)
    monkeypatch.setattr(story_training, "_teach", lambda *_: None)
    monkeypatch.setattr(story_training, "generate", interrupted)
    with pytest.raises(SystemExit) as ended:
        story_training.tell_training(tmp_path, settings.load(), silent, no_warning)
    assert (ended.value.code, asked) == (130, ["base"])


@pytest.mark.slow
def test_models_are_taught_trained_and_compared_with_intervals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / story_training.FOLDER
    folder.mkdir()
    reported(folder)
    few = {"train": {"steps": 2, "batch_size": 4}}
    monkeypatch.setattr(story_training, "TEACHING", {**story_training.TEACHING, **few})
    monkeypatch.setattr(story_training, "TUNING", {**story_training.TUNING, **few})
    monkeypatch.setattr(story_training, "FILMS", 6)
    chapter = story_training.tell_training(tmp_path, settings.load(), silent, no_warning)
    assert chapter is not None
    found = {(gap.model, gap.cases, gap.quantity) for gap in chapter.gaps}
    assert {("base", "T5", "value"), ("sft", "T5", "value"), ("dual_loop", "T4 defocus", "drop")} <= found
    assert all(gap.low <= gap.value <= gap.high for gap in chapter.gaps if gap.quantity == "value")
    assert all((model / "run.json").is_file() for model in chapter.models)
    assert "floor_retrieval" in {row.model for row in standings(chapter.gaps)}
    before = [path.stat().st_mtime_ns for path in sorted(folder.rglob("*.safetensors"))]
    story_training.tell_training(tmp_path, settings.load(), silent, no_warning)
    assert [path.stat().st_mtime_ns for path in sorted(folder.rglob("*.safetensors"))] == before
