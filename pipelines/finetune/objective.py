"""What a report model is trained on: the cross-entropy of the report's tokens."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn.functional import cross_entropy

IGNORED = -100
"""Label of tokens that are read, not written: prompt, image and padding."""


def token_loss(call: Callable[..., Any], batch: Mapping[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Summed cross-entropy of the labelled tokens, shape (), and their number.

    Args:
        call: a Qwen2.5-VL, or what is called like it.
        batch: its inputs, and `labels`, int64, shape (B, T), `IGNORED` where nothing is to be written.
    """
    labels = batch["labels"]
    inputs = {name: tensor for name, tensor in batch.items() if name != "labels"}
    first = max(1, int((labels != IGNORED).any(0).nonzero()[0]))
    # Logits of the prompt are never looked at: with a real vocabulary they are most of a step's memory.
    kept = labels.shape[1] - first + 1
    logits = call(**inputs, logits_to_keep=kept, use_cache=False).logits[:, :-1]
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    targets = labels[:, first:]
    loss = cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="sum")
    return loss, (targets != IGNORED).sum()
