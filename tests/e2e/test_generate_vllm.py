"""A real vLLM, given what training exports, writes the reports that transformers write."""

import json
from pathlib import Path
from typing import Any

import pytest
from lrrg.pipelines import settings
from lrrg.pipelines.finetune.train import train
from lrrg.pipelines.generate import Options, generate
from lrrg.pipelines.serving import served
from lrrg.tests.quiet import silent
from lrrg.tests.reported import reported, small, telling
from lrrg.tests.served import skip_without_vllm

STUDIES = 100
SAME = 0.99
"""Rounding may turn a tie."""
VARIED = 15
"""Different texts among them at least: equal reports of a model that writes one text would prove nothing."""


@pytest.mark.slow
@pytest.mark.vllm
@pytest.mark.timeout(1800)
def test_vllm_writes_what_transformers_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    skip_without_vllm()
    monkeypatch.setenv("LRRG_SERVE__LOGS", str(tmp_path / "logs"))
    splits, chosen = reported(tmp_path), settings.load()
    telling(splits)
    train(splits, small(train={"steps": 200, "batch_size": 8}), tmp_path / "base", chosen.read)
    lora = {"method": "lora", "parts": ["language"], "rank": 4, "alpha": 8}
    adapted = small(model={"path": str(tmp_path / "base" / "merged")}, adapt=lora, train={"steps": 20})
    train(splits, adapted, tmp_path / "lora", chosen.read)
    with served("reporter", chosen, str(tmp_path / "lora" / "adapter")) as server:
        for name, model in (("lora", server.model), ("base", f"{server.model}-base")):
            theirs = Options(served=model, max_tokens=48, max_pixels=64 * 64)
            generate(splits, server.url, tmp_path / f"{name}.vllm.jsonl", chosen, theirs, silent)
    for name in ("lora", "base"):
        ours = tmp_path / f"{name}.jsonl"
        generate(splits, str(tmp_path / name), ours, chosen, Options(max_tokens=48), silent)
        pairs = list(zip(texts(ours), texts(tmp_path / f"{name}.vllm.jsonl"), strict=True))
        assert len({each["study_id"] for each in records(ours)}) >= STUDIES
        assert len({text for text, _ in pairs}) >= VARIED
        assert sum(one == other for one, other in pairs) >= SAME * len(pairs), [
            each for each in pairs if each[0] != each[1]
        ]
    assert texts(tmp_path / "lora.jsonl") != texts(tmp_path / "base.jsonl")


def records(path: Path) -> list[dict[str, Any]]:
    return sorted(map(json.loads, path.read_text(encoding="utf-8").splitlines()), key=lambda each: each["case_id"])


def texts(path: Path) -> list[str]:
    return [each["text"] for each in records(path)]
