"""The demo's last chapter: it trains, reports and scores, or says why not."""

from pathlib import Path

import pytest
from lrrg.pipelines import settings, story_training
from lrrg.tests.quiet import no_warning, silent
from lrrg.tests.reported import reported


def test_without_the_extra_the_demo_says_so_and_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    monkeypatch.setattr(story_training, "find_spec", lambda name: None)
    assert story_training.tell_training(tmp_path, settings.load(), silent, said.extend) is None
    assert said == ["no report model is trained: pip install 'lrrg[train]'"]
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_two_models_are_trained_and_compared_with_intervals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = tmp_path / story_training.FOLDER
    folder.mkdir()
    reported(folder)
    sections = {**story_training.SECTIONS, "images": {"min_pixels": 3136, "max_pixels": 4096}}
    monkeypatch.setattr(story_training, "SECTIONS", {**sections, "train": {"steps": 2, "batch_size": 4}})
    told = story_training.tell_training(tmp_path, settings.load(), silent, no_warning)
    assert told is not None
    found = {(gap.model, gap.cases, gap.quantity) for gap in told.gaps}
    assert {("sft", "T5", "value"), ("dual_loop", "T4 defocus", "drop"), ("floor_retrieval", "T5", "value")} <= found
    assert all(gap.low <= gap.value <= gap.high for gap in told.gaps if gap.quantity == "value")
    assert all((model / "run.json").is_file() for model in told.models)
