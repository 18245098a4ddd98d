"""A real Qwen2.5-VL small enough for proofs, with adapters on language and vision, and batches of its input."""

from typing import Any

import torch
from lrrg.pipelines.finetune.config import AdaptSection
from lrrg.pipelines.finetune.model import adapt
from lrrg.pipelines.finetune.qwen import Sizes, build
from lrrg.pipelines.finetune.tokenizer import train_tokenizer
from transformers.models.qwen2_5_vl import modeling_qwen2_5_vl as modeling

SIZES = Sizes(
    vision_hidden=32, vision_depth=2, vision_intermediate=64, hidden=32, layers=2, intermediate=64, key_value_heads=1
)
TOKENIZER = train_tokenizer(["the lungs are clear", "a small left pleural effusion"], 300)
SPECIAL = TOKENIZER.get_vocab()
PATCHES, TEXT = 4, 12
"""Patches a side of a film, tokens of a report."""


def whole(attention: str = "sdpa") -> Any:
    """Random weights, all of which learn."""
    base = build(TOKENIZER, SIZES, seed=0)
    base.set_attn_implementation(attention)
    return base.train()


def model(attention: str = "eager", *, dropout: float = 0.0, dtype: torch.dtype = torch.float32) -> Any:
    """Random weights; the adapters are no longer at zero, so that all of them have gradients."""
    base = whole(attention)
    section = AdaptSection(method="lora", parts=("language", "vision"), rank=4, alpha=8, dropout=dropout)
    adapted = adapt(base.to(dtype), section, seed=0).to(dtype)
    noise = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.05, generator=noise)
    return adapted.train()


def batch(rows: int, seed: int, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Random films and reports after a picture's tokens."""
    drawn = torch.Generator().manual_seed(seed)
    image = torch.full((rows, (PATCHES // 2) ** 2), SPECIAL["<|image_pad|>"])
    start, end = (torch.full((rows, 1), SPECIAL[f"<|vision_{side}|>"]) for side in ("start", "end"))
    report = torch.randint(20, 300, (rows, TEXT), generator=drawn)
    tokens = torch.cat([start, image, end, report], 1)
    labels = tokens.clone()
    labels[:, : image.shape[1] + 2] = -100
    return {
        "input_ids": tokens,
        "attention_mask": torch.ones_like(tokens),
        "mm_token_type_ids": (tokens == SPECIAL["<|image_pad|>"]).long(),
        "pixel_values": torch.randn(rows * PATCHES**2, 3 * 2 * 14 * 14, generator=drawn).to(dtype),
        "image_grid_thw": torch.tensor([[1, PATCHES, PATCHES]] * rows),
        "labels": labels,
    }


def doubled(monkeypatch: Any) -> None:
    """Take the places where the model falls back to float32 whatever its type; differences need every digit."""

    def norm(self: Any, hidden: torch.Tensor) -> torch.Tensor:
        return self.weight * hidden * torch.rsqrt(hidden.square().mean(-1, keepdim=True) + self.variance_epsilon)

    def turn(query: torch.Tensor, key: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> tuple[torch.Tensor, ...]:
        cos, sin = cos.unsqueeze(-2).to(query), sin.unsqueeze(-2).to(query)
        return tuple(side * cos + modeling.rotate_half(side) * sin for side in (query, key))

    def attend(
        module: Any,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        attention_mask: Any,
        scaling: float,
        **_: Any,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        key, value = (modeling.repeat_kv(side, module.num_key_value_groups) for side in (key, value))
        scores = query @ key.transpose(2, 3) * scaling
        weights = torch.softmax(scores if attention_mask is None else scores + attention_mask.to(scores), -1)
        return (weights @ value).transpose(1, 2).contiguous(), weights

    monkeypatch.setattr(modeling.Qwen2_5_VLRMSNorm, "forward", norm)
    monkeypatch.setattr(modeling, "apply_rotary_pos_emb_vision", turn)
    monkeypatch.setattr(modeling, "eager_attention_forward", attend)
