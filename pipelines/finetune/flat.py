"""The patch embedding as the matrix product it is: as a convolution it takes a quarter of a small model's CPU time."""

from typing import Any

import torch
from torch import nn
from torch.nn.functional import linear


class FlatConvolution(nn.Module):
    """A convolution whose kernel is as large as its input, with that convolution's own weight, under the same name."""

    def __init__(self, convolution: nn.Conv3d) -> None:
        """Take over the weight.

        Raises:
            ValueError: the convolution has a bias or is grouped.
        """
        super().__init__()
        if convolution.bias is not None or convolution.groups != 1:
            raise ValueError("only a plain convolution without bias can be flattened")
        self.weight = convolution.weight

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """Patches, shape (P, channels, frames, side, side), to shape (P, width)."""
        return linear(patches.flatten(1), self.weight.flatten(1))


def flatten_patch_embedding(model: Any) -> Any:
    """A Qwen2.5-VL with its patch embedding flattened, in place; names and shapes of its weights stay."""
    embedding = model.model.visual.patch_embed
    embedding.proj = FlatConvolution(embedding.proj)
    return model
