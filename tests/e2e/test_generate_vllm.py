"""A real vLLM, given what training exports, writes the reports that transformers write."""

import json
from pathlib import Path

import pytest
from lrrg.pipelines import settings
from lrrg.pipelines.finetune.train import train
from lrrg.pipelines.generate.stage import Options, generate
from lrrg.pipelines.serving import served
from lrrg.pipelines.serving.models import resolve
from lrrg.tests.quiet import silent
from lrrg.tests.reported import natural, reported, small, telling
from lrrg.tests.served import skip_without_vllm

STUDIES = 100
SAME = 0.99
"""Rounding may turn a tie."""
VARIED = 10
"""Different texts among them at least: equal reports of a model that writes one text would prove nothing."""
TOKENS = 32


@pytest.mark.vllm
def test_vllm_writes_what_transformers_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    skip_without_vllm()
    monkeypatch.setenv("LRRG_SERVE__LOGS", str(tmp_path / "logs"))
    splits, chosen = reported(tmp_path), settings.load()
    telling(splits)
    natural(splits, STUDIES)
    train(splits, small(train={"steps": 120, "batch_size": 8, "learning_rate": 6e-3}), tmp_path / "base", chosen.read)
    lora = {"method": "lora", "parts": ["language"], "rank": 4, "alpha": 8}
    adapted = small(model={"path": str(tmp_path / "base" / "merged")}, adapt=lora, train={"steps": 20})
    train(splits, adapted, tmp_path / "lora", chosen.read)
    with served("reporter", chosen, str(tmp_path / "lora" / "adapter")) as server:
        for name, model in (("lora", server.model), ("base", f"{server.model}-base")):
            theirs = Options(served=model, max_tokens=TOKENS, max_pixels=64 * 64)
            generate(splits, server.url, tmp_path / f"{name}.vllm.jsonl", chosen, theirs, silent)
    assert read(tmp_path / "lora.vllm.jsonl", "revision") == {
        resolve("reporter", "cpu", str(tmp_path / "lora/adapter")).revision
    }
    for name in ("lora", "base"):
        generate(splits, str(tmp_path / name), tmp_path / f"{name}.jsonl", chosen, Options(max_tokens=TOKENS), silent)
        ours, theirs = texts(tmp_path / f"{name}.jsonl"), texts(tmp_path / f"{name}.vllm.jsonl")
        assert len(ours) == STUDIES
        assert len(set(ours.values())) >= VARIED
        different = {case: (text, theirs[case]) for case, text in ours.items() if text != theirs[case]}
        assert len(different) <= (1 - SAME) * STUDIES, different
    assert texts(tmp_path / "lora.jsonl") != texts(tmp_path / "base.jsonl")


def read(path: Path, name: str) -> set[str]:
    return {json.loads(line)[name] for line in path.read_text(encoding="utf-8").splitlines()}


def texts(path: Path) -> dict[str, str]:
    return {each["case_id"]: each["text"] for each in map(json.loads, path.read_text(encoding="utf-8").splitlines())}
