"""What a step of the dual loop, PCGrad and Fish costs against plain fine-tuning on the same tokens, in one run."""

import os
import time
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import torch

from .config import AdaptSection, StrategySection
from .dualloop import Strategy
from .gradients import Batch, Objective
from .model import adapt
from .objective import IGNORED, token_loss
from .qwen import MERGE, PATCH, Sizes, build
from .tokenizer import IMAGE, VISION_END, VISION_START, train_tokenizer

PLAIN = "plain, one batch"
HALVES = "plain, two half batches"
WAYS: dict[str, dict[str, Any]] = {
    PLAIN: {"name": "sft_mix"},
    HALVES: {"name": "sft_balanced"},
    "dual loop, first order": {"name": "dual_loop"},
    "dual loop, differences": {"name": "dual_loop", "mode": "finite_difference"},
    "dual loop, differences, consistency": {"name": "dual_loop", "mode": "finite_difference", "consistency": 0.1},
    "dual loop, central, consistency": {
        "name": "dual_loop",
        "mode": "finite_difference",
        "consistency": 0.1,
        "central": True,
    },
    "PCGrad": {"name": "pcgrad"},
    "Fish": {"name": "fish"},
}
SIZES = Sizes(vision_hidden=256, vision_depth=4, vision_intermediate=512, hidden=256, layers=4, intermediate=768)
RANK = 8
SIDE = 8
"""Patches along the side of a film, of which `SIDE / 2` squared are its tokens."""
REPORT = 112
"""Tokens of a report."""

HANDS_BACK = "MALLOC_MMAP_THRESHOLD_"
"""Variable of glibc: from so many bytes on, memory is the system's again as soon as it is freed."""


class StepCost(NamedTuple):
    """Cost of one way.

    Attributes:
        cpu_ms: CPU time of a step, the least of some, ways taken in turns.
        time: relative to `HALVES`, which holds as many tokens in memory at once.
        time_to_batch: relative to `PLAIN`.
        peak_mb: memory in use that steps add to a fresh model at their peak, optimizer states included; measured in a
            process of its own.
        memory: relative to `HALVES`.
    """

    way: str
    cpu_ms: float
    time: float
    time_to_batch: float
    peak_mb: float
    memory: float


class Sized(NamedTuple):
    """What was measured on."""

    weights: int
    adapter_weights: int
    films_a_step: int
    tokens_a_step: int


def bench_finetune(rounds: int = 5, films: int = 16) -> tuple[Sized, list[StepCost]]:
    """Measure every way.

    Args:
        rounds: steps a way; the least CPU time counts.
        films: a step, both regimes together.
    """
    torch.set_num_threads(1)
    model = _model()
    steps = {way: _steps(model, way, films) for way in WAYS}
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds + 1):
        for way, step in steps.items():
            started = time.process_time()
            next(step)
            times[way].append(time.process_time() - started)
    least = {way: 1000 * min(found[1:]) for way, found in times.items()}  # the first step makes optimizer states
    peaks = {way: _in_its_own_process(way, films) for way in WAYS}
    costs = [
        StepCost(way, each, each / least[HALVES], each / least[PLAIN], peaks[way], peaks[way] / peaks[HALVES])
        for way, each in least.items()
    ]
    weights = [sum(p.numel() for p in model.parameters() if p.requires_grad == learns) for learns in (False, True)]
    tokens = films * ((SIDE // MERGE) ** 2 + 2 + REPORT)
    return Sized(weights[0], weights[1], films, tokens), costs


def _in_its_own_process(way: str, films: int) -> float:
    """The peak in a process that hands back what it frees: else half of it is holes in the heap."""
    os.environ[HANDS_BACK] = str(2**17)
    try:
        with get_context("spawn").Pool(1) as pool:
            return pool.apply(_peak, (way, films))
    finally:
        del os.environ[HANDS_BACK]


def _peak(way: str, films: int) -> float:
    """Megabytes that steps add at their peak to a model that has made none."""
    torch.set_num_threads(1)
    steps = _steps(_model(), way, films)
    held = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the peak
    for _ in range(3):
        next(steps)
    return _resident("VmHWM") - held


def _resident(name: str) -> float:
    lines = Path(f"/proc/{os.getpid()}/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1024


def _model() -> Any:
    tokenizer = train_tokenizer([], 300)
    section = AdaptSection(method="lora", parts=("language", "vision"), rank=RANK, alpha=2 * RANK, dropout=0.0)
    return adapt(build(tokenizer, SIZES, seed=0), section, seed=0).train()


def _steps(model: Any, way: str, films: int) -> Iterator[None]:
    """Endless steps; plain fine-tuning on one batch has both regimes in it."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-5)
    strategy = Strategy(Objective(model, token_loss), StrategySection(**WAYS[way]), 0.5, optimizer)
    sides = ([_batch(films, 1)], []) if way == PLAIN else ([_batch(films // 2, 1)], [_batch(films // 2, 2)])
    while True:
        strategy.step(*sides)
        optimizer.step()
        optimizer.zero_grad()
        yield


def _batch(rows: int, seed: int) -> Batch:
    """Random films and reports."""
    drawn = torch.Generator().manual_seed(seed)
    special = train_tokenizer([], 300).get_vocab()
    image = torch.full((rows, (SIDE // MERGE) ** 2), special[IMAGE])
    start, end = (torch.full((rows, 1), special[side]) for side in (VISION_START, VISION_END))
    report = torch.randint(20, 250, (rows, REPORT), generator=drawn)
    tokens = torch.cat([start, image, end, report], 1)
    labels = tokens.clone()
    labels[:, :-REPORT] = IGNORED
    return {
        "input_ids": tokens,
        "attention_mask": torch.ones_like(tokens),
        "mm_token_type_ids": (tokens == special[IMAGE]).long(),
        "pixel_values": torch.randn(rows * SIDE**2, 3 * 2 * PATCH**2, generator=drawn),
        "image_grid_thw": torch.tensor([[1, SIDE, SIDE]] * rows),
        "labels": labels,
    }
