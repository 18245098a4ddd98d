"""Qwen's language model on conversations that all have one layout, fast on a CPU.

The general code attends through a fused kernel whose backward pass on a CPU costs more than the rest of the language
model, and carries every position through the last layer. Here attention is spelled out, and the last layer asks for the
positions alone whose next token somebody wants to know. The weights are the model's own.
"""

from typing import Any

import torch
from torch import Tensor, nn

from .tower import norm, turn


class Language(nn.Module):
    """The language model of `model` on embedded conversations: (B, T, hidden) to (B, T - first, hidden)."""

    def __init__(self, model: Any, turns: Tensor) -> None:
        """Take over the weights; `turns`, (3, 1, L), are the rotary positions of the longest conversation."""
        super().__init__()
        self.model: Any = model
        self.width: int = model.layers[0].self_attn.head_dim
        with torch.no_grad():
            self._turns = [each[0, :, None] for each in model.rotary_emb(torch.zeros(1, 1), turns)]
        length = turns.shape[-1]
        self._future = torch.full((length, length), -torch.inf).triu(1)

    def forward(self, embedded: Tensor, first: int) -> Tensor:
        """Hidden states from position `first` on."""
        hidden = embedded
        for index, layer in enumerate(self.model.layers):
            start = first if index == len(self.model.layers) - 1 else 0
            seen = self._attention(layer.self_attn, norm(layer.input_layernorm, hidden), start)
            hidden = hidden[:, start:] + seen
            hidden = hidden + layer.mlp(norm(layer.post_attention_layernorm, hidden))
        return norm(self.model.norm, hidden)

    def _attention(self, attention: Any, hidden: Tensor, start: int) -> Tensor:
        """Each key serves the queries of several heads, which stand one below the other: (B, keys, heads * T, D)."""
        batch, length, _ = hidden.shape
        key, value = (each(hidden).view(batch, length, -1, self.width) for each in (attention.k_proj, attention.v_proj))
        query = attention.q_proj(hidden[:, start:]).view(batch, length - start, -1, self.width)
        cosine, sine = (each[:length].to(query.dtype) for each in self._turns)
        query, key = turn(query, cosine[start:], sine[start:]) * self.width**-0.5, turn(key, cosine, sine)
        shared = key.shape[2]
        stacked = query.transpose(1, 2).reshape(batch, shared, -1, self.width)
        scores = torch.matmul(stacked, key.permute(0, 2, 3, 1)).unflatten(2, (-1, length - start))
        weights = (scores + self._future[start:length, :length].to(scores.dtype)).softmax(-1, dtype=hidden.dtype)
        mixed = torch.matmul(weights.flatten(2, 3).to(value.dtype), value.transpose(1, 2))
        mixed = mixed.view(batch, -1, length - start, self.width).transpose(1, 2)
        return attention.o_proj(mixed.reshape(batch, length - start, -1))
