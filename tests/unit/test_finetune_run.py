"""Whole training runs, on a model small enough for seconds: what they write, that they resume, what they refuse."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from lrrg.pipelines.cli import app
from lrrg.pipelines.errors import SettingsError
from lrrg.pipelines.finetune.config import Config
from lrrg.pipelines.finetune.data import read_corpus
from lrrg.pipelines.finetune.errors import TrainingError
from lrrg.pipelines.finetune.loader import validation
from lrrg.pipelines.finetune.model import ModelError, load
from lrrg.pipelines.finetune.processor import Processor
from lrrg.pipelines.finetune.train import Trained, train
from lrrg.pipelines.settings import ReadSettings
from lrrg.tests.reported import reported, small
from peft import PeftModel
from safetensors.torch import load_file
from transformers import Qwen2_5_VLForConditionalGeneration
from typer.testing import CliRunner

EVERY = {"steps": 4, "evaluate_every": 2}


@pytest.fixture(scope="module")
def splits(tmp_path_factory) -> Path:
    return reported(tmp_path_factory.mktemp("reported"))


@pytest.fixture(scope="module")
def straight(splits: Path, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("straight")
    run(splits, small(train=EVERY), out)
    return out


def run(splits: Path, config: Config, out: Path, *, resume: bool = False) -> Trained:
    return train(splits, config, out, ReadSettings(), resume=resume)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def adapter_on(base: Path, **sections) -> Config:
    lora = {"method": "lora", "rank": 2, "alpha": 4, **sections.pop("adapt", {})}
    return small(model={"path": str(base)}, adapt=lora, **sections)


def test_a_run_leaves_a_model_that_loads_and_says_what_it_is_of(splits: Path, straight: Path):
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(straight / "merged")
    processor = Processor.of_folder(straight / "merged")
    assert (processor.min_pixels, processor.max_pixels) == (56 * 56, 64 * 64)
    assert {name.split(".")[0] for name in weights(straight / "merged")} <= {"model", "visual", "lm_head"}
    told = json.loads((straight / "run.json").read_text())
    manifest = json.loads((splits / "manifest.json").read_text())
    assert told["data"]["cases_sha256"] == manifest["cases_sha256"]
    assert told["parameters"] == sum(each.numel() for each in model.parameters())
    assert told["packages"]["torch"] == torch.__version__
    steps = [json.loads(line)["step"] for line in (straight / "log.jsonl").read_text().splitlines()]
    assert max(steps) == 4


def test_a_stopped_run_goes_on_bit_for_bit(splits: Path, straight: Path, tmp_path: Path):
    shutil.copy(straight / "config.json", tmp_path)
    shutil.copytree(straight / "checkpoints" / "checkpoint-2", tmp_path / "checkpoints" / "checkpoint-2")
    run(splits, small(train=EVERY), tmp_path, resume=True)
    for name, tensor in weights(straight / "merged").items():
        assert torch.equal(tensor, weights(tmp_path / "merged")[name]), name


def test_a_whole_run_is_left_as_it_is(splits: Path, straight: Path, tmp_path: Path):
    out = tmp_path / "again"
    shutil.copytree(straight, out)
    before = {path.name: path.read_bytes() for path in (out / "run.json", out / "merged" / "model.safetensors")}
    again = run(splits, small(train=EVERY), out, resume=True)
    assert (again.fitted.steps, again.folders) == (4, [out / "merged"])
    (out / "run.json").unlink()  # as a kill leaves it between the last checkpoint and the end
    assert run(splits, small(train=EVERY), out, resume=True).fitted.steps == 4
    assert before == {path.name: path.read_bytes() for path in (out / "run.json", out / "merged" / "model.safetensors")}
    manifest = json.loads(before["run.json"])
    (out / "run.json").write_text(json.dumps({**manifest, "data": {"cases_sha256": "another"}}))
    with pytest.raises(SettingsError, match="another benchmark"):
        run(splits, small(train=EVERY), out, resume=True)


def test_the_verb_prints_nothing_but_its_result(splits: Path, tmp_path: Path):
    config = tmp_path / "run.toml"
    config.write_text(
        "tiny = { hidden = 64, layers = 1, vision_hidden = 32, vision_layers = 1 }\n"
        "images = { min_pixels = 3136, max_pixels = 4096 }\n"
        "train = { steps = 1, batch_size = 2 }\n"
    )
    words = ["finetune", "--splits", str(splits), "--config", str(config), "--out", str(tmp_path / "out"), "--json"]
    done = CliRunner().invoke(app, words)
    told = json.loads(done.stdout)
    assert (done.exit_code, told["steps"]) == (0, 1)
    assert told["written"] == [str(tmp_path / "out" / "merged")]
    assert isinstance(CliRunner().invoke(app, ["finetune"]).exception, SettingsError)


def test_two_runs_do_not_share_a_folder(splits: Path, straight: Path):
    with pytest.raises(SettingsError, match="holds a run"):
        run(splits, small(train=EVERY), straight)
    with pytest.raises(SettingsError, match="not begun with these settings"):
        run(splits, small(train={**EVERY, "seed": 9}), straight, resume=True)


def test_an_adapter_and_its_merged_model_answer_alike(splits: Path, straight: Path, tmp_path: Path):
    base = straight / "merged"
    config = adapter_on(base, strategy={"name": "dual_loop"}, train={"learning_rate": 0.05})
    done = run(splits, config, tmp_path)
    assert {folder.name for folder in done.folders} == {"adapter", "merged"}
    untouched = Qwen2_5_VLForConditionalGeneration.from_pretrained(base)
    adapted = PeftModel.from_pretrained(Qwen2_5_VLForConditionalGeneration.from_pretrained(base), tmp_path / "adapter")
    merged = Qwen2_5_VLForConditionalGeneration.from_pretrained(tmp_path / "merged")
    corpus = read_corpus(splits, config)
    batch = validation(config, corpus.validate, Processor.of_folder(base), ReadSettings())["high"][0]
    with torch.no_grad():
        plain, ours, theirs = (model.eval()(**batch).logits for model in (untouched, adapted, merged))
    assert torch.allclose(ours, theirs, atol=1e-4)
    assert not torch.allclose(ours, plain, atol=1e-2)


@pytest.mark.parametrize("part", ["language", "vision", "projector"])
def test_only_the_chosen_part_learns(splits: Path, straight: Path, part: str):
    base = straight / "merged"
    config = small(model={"path": str(base)}, adapt={"method": "full", "parts": [part]})
    corpus = read_corpus(splits, config)
    learning = {name for name, each in load(config, corpus).model.named_parameters() if each.requires_grad}
    kinds = {"projector" if "merger" in name else "vision" if "visual" in name else "language" for name in learning}
    assert kinds == {part}
    adapted = load(adapter_on(base, adapt={"parts": [part]}), corpus).model
    adapters = {name for name, each in adapted.named_parameters() if each.requires_grad}
    assert adapters
    assert all("lora_" in name for name in adapters)
    kinds = {"projector" if "merger" in name else "vision" if "visual" in name else "language" for name in adapters}
    assert kinds == {part}


def test_models_that_cannot_be_had_are_named(splits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    corpus = read_corpus(splits, small())
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    for path, code in [(str(tmp_path / "none"), "no-model"), (str(tmp_path), "wrong-model")]:
        with pytest.raises(ModelError, match=r"model\.path") as fault:
            load(adapter_on(Path(path)), corpus)
        assert fault.value.code == code


def test_films_that_do_not_fit_into_memory_name_the_knobs(
    splits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A real refusal by the operating system, while films are laid out side by side."""

    def hungry(processor: Processor, rows: object, **given: object) -> object:
        return np.ones(2**46, np.uint8)

    monkeypatch.setattr(Processor, "batch", hungry)
    with pytest.raises(TrainingError, match=r"train\.batch_size.*images\.max_pixels") as caught:
        run(splits, small(), tmp_path / "run")
    assert caught.value.code == "out-of-memory"
