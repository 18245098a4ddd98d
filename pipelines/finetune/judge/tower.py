"""Qwen's vision tower on grey pictures of one size, fast on a CPU, and a start from which it learns fine detail.

A judge's pictures are grey and come in batches of one size. That allows what the general code cannot do: the three
equal colour channels and two equal frames of a patch are one grey patch of 196 numbers, and all pictures of a batch go
through attention together. The weights are the tower's own; only the patch embedding is another one while training,
and `GreyPatches.write` turns it into Qwen's without loss.
"""

from collections.abc import Collection
from math import isqrt
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import rms_norm
from transformers import Qwen2_5_VLForConditionalGeneration
from transformers.vision_utils import get_vision_position_ids

from ..qwen import MERGE, PATCH

PIXELS = PATCH * PATCH
MIDDLE = 0.45
"""Grey, in [0, 1], that is taken as zero."""
MEAN = np.array([0.48145466, 0.4578275, 0.40821073])
DEVIATION = np.array([0.26862954, 0.26130258, 0.27577711])
"""Of Qwen's image preprocessing, by channel."""
RANDOM_SHARE = 0.25
LOW_SHARE = 0.75
CONSTANT = 3.0


def patches(pictures: NDArray[np.uint8]) -> Tensor:
    """Grey patches in the processor's order: float32, (B, N, 196), for uint8 (B, S, S); S is a multiple of 28."""
    batch, side, _ = pictures.shape
    half = side // (PATCH * MERGE)
    grey = torch.from_numpy(np.ascontiguousarray(pictures)).float().div_(255).sub_(MIDDLE)
    blocks = grey.view(batch, half, MERGE, PATCH, half, MERGE, PATCH).permute(0, 1, 4, 2, 5, 3, 6)
    return blocks.reshape(batch, -1, PIXELS)


class GreyPatches(nn.Module):
    """Patch embedding W g + b of a grey patch g, started from a whitened cosine transform.

    Random filters see brightness first, and noise and blur remain at chance for as long as exposure is learnt. A
    cosine transform whose coefficients are divided by their deviation shows every scale equally from the first step;
    a quarter of the channels stays random, for what is flat and large.
    """

    def __init__(self, channels: int, sample: Tensor | None = None) -> None:
        super().__init__()
        self.linear = nn.Linear(PIXELS, channels)
        if sample is not None:
            self._start(sample, channels)

    def _start(self, sample: Tensor, channels: int) -> None:
        basis = torch.from_numpy(_cosines(channels - round(RANDOM_SHARE * channels) - 1)).float()
        spread = (sample.reshape(-1, PIXELS) @ basis.T).std(0).clamp_min(0.01)
        with torch.no_grad():
            self.linear.weight[: len(basis)] = basis / spread[:, None]
            self.linear.bias.zero_()
            self.linear.weight[len(basis)] = 0
            self.linear.bias[len(basis)] = CONSTANT

    def forward(self, grey: Tensor) -> Tensor:
        """Embed grey patches: (…, 196) to (…, channels)."""
        return self.linear(grey)

    @torch.no_grad()
    def read(self, convolution: nn.Conv3d) -> None:
        """Take over Qwen's embedding as it acts on grey pictures: what `write` wrote comes back."""
        kernel = convolution.weight.double().sum(2).flatten(2).numpy()
        weight = (kernel / DEVIATION[:, None]).sum(1)
        bias = MIDDLE * weight.sum(1) - (kernel * (MEAN / DEVIATION)[:, None]).sum((1, 2))
        self.linear.weight.copy_(torch.from_numpy(weight).float())
        self.linear.bias.copy_(torch.from_numpy(bias).float())

    def write(self, convolution: nn.Conv3d) -> None:
        """Write this embedding into Qwen's, which has no bias and sees three channels and two frames.

        The channels differ in mean and deviation, so a weighted sum of them that ignores the grey value is constant;
        that carries the bias.
        """
        weight = self.linear.weight.detach().double().numpy()
        bias = self.linear.bias.detach().double().numpy() - MIDDLE * weight.sum(1)
        colour = weight[:, None, :] * (DEVIATION / 6)[None, :, None]
        bias = bias + weight.sum(1) * MEAN.mean()
        responses = np.stack([1 / DEVIATION, -MEAN / DEVIATION])
        constant = np.linalg.lstsq(responses, np.array([0.0, 1.0]), rcond=None)[0] / (2 * PIXELS)
        colour = colour + bias[:, None, None] * constant[None, :, None]
        both = np.repeat(colour[:, :, None, :], 2, axis=2).reshape(convolution.weight.shape)
        with torch.no_grad():
            convolution.weight.copy_(torch.from_numpy(both).float())


def _cosines(number: int) -> NDArray[np.float64]:
    """Rows of the two-dimensional cosine transform, (number, 196): the lowest, and a few spread over the others."""
    index = np.arange(PATCH)
    one = np.sqrt(2 / PATCH) * np.cos(np.pi * (2 * index[None] + 1) * index[:, None] / (2 * PATCH))
    one[0] /= np.sqrt(2)
    basis = np.einsum("ui,vj->uvij", one, one).reshape(PIXELS, PIXELS)
    vertical, horizontal = np.divmod(np.arange(PIXELS), PATCH)
    order = np.argsort(np.maximum(vertical, horizontal) + 0.01 * (vertical + horizontal), kind="stable")
    low = round(LOW_SHARE * number)
    high = np.linspace(low, PIXELS - 1, number - low).astype(int)
    return basis[order[np.concatenate([np.arange(low), high])]]


class Tower(nn.Module):
    """The vision tower of `model` on batches of grey patches: (B, N, 196) to (B, N / 4, hidden)."""

    def __init__(
        self, model: Qwen2_5_VLForConditionalGeneration, embedding: GreyPatches, sides: Collection[int]
    ) -> None:
        """Take over the weights; pictures will be of `sides` patches a side."""
        super().__init__()
        self.visual: Any = model.model.visual
        self.embedding = embedding
        self.heads: int = self.visual.blocks[0].attn.num_heads
        self._turns = {side: self._positions(side) for side in sides}

    @torch.no_grad()
    def _positions(self, side: int) -> tuple[Tensor, Tensor]:
        """Cosine and sine of the rotary positions of a picture of `side` x `side` patches: (N, 2, 1, width) each.

        The second axis is query and key; the query's hold the scale of the attention as well.
        """
        where = get_vision_position_ids(torch.tensor([[1, side, side]]), MERGE, kwargs={})
        found = self.visual.rotary_pos_emb(torch.zeros(1, 1), where)
        scale = torch.tensor([found[0].shape[-1] ** -0.5, 1.0])[:, None, None]
        cosine, sine = (each.float()[:, None, None] * scale for each in found)
        return cosine, sine

    def forward(self, grey: Tensor) -> Tensor:
        """See a batch of pictures of one size."""
        batch, number, _ = grey.shape
        hidden = self.embedding(grey)
        cosine, sine = (each.to(hidden.dtype) for each in self._turns[isqrt(number)])
        for block in self.visual.blocks:
            hidden = hidden + self._attention(block.attn, norm(block.norm1, hidden), cosine, sine)
            hidden = hidden + block.mlp(norm(block.norm2, hidden))
        return self.visual.merger(hidden.reshape(batch * number, -1)).view(batch, number // MERGE**2, -1)

    def _attention(self, attention: Any, hidden: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        batch, number, _ = hidden.shape
        states = attention.qkv(hidden).view(batch, number, 3, self.heads, -1)
        query, key = turn(states[:, :, :2], cosine, sine).unbind(2)
        # Spelled out: on a CPU the backward pass of the fused kernel costs more than the matrices.
        scores = torch.matmul(query.transpose(1, 2), key.permute(0, 2, 3, 1))
        mixed = torch.matmul(scores.softmax(-1, dtype=hidden.dtype), states[:, :, 2].transpose(1, 2))
        return attention.proj(mixed.transpose(1, 2).reshape(batch, number, -1))


def norm(layer: Any, hidden: Tensor) -> Tensor:
    """A layer's norm in the type of its input: the general code works in float32 and costs twice the time."""
    weight: Tensor = layer.weight
    return rms_norm(hidden, weight.shape, weight.to(hidden.dtype), layer.variance_epsilon)


def turn(states: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotary positions applied to queries or keys."""
    first, second = states.chunk(2, -1)
    return states * cosine + torch.cat((-second, first), -1) * sine
