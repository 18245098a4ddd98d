"""Lists of tensors as one vector, which is what gradients and parameters are to an optimizer."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import torch

# pyright: reportPrivateImportUsage=false
# torch documents its functions on lists of tensors and exports them with an underscore.

Tensors = list[torch.Tensor]


def dot(first: Sequence[torch.Tensor], second: Sequence[torch.Tensor]) -> torch.Tensor:
    """Inner product, shape ()."""
    return torch.stack([(a * b).sum() for a, b in zip(first, second, strict=True)]).sum()


def norm(vector: Sequence[torch.Tensor]) -> torch.Tensor:
    """Euclidean length, shape ()."""
    return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(part) for part in vector]))


def mix(first: Tensors, weight: float, second: Tensors, other_weight: float) -> Tensors:
    """`weight * first + other_weight * second`; `first` is overwritten, so that no third copy is held."""
    torch._foreach_mul_(first, weight)
    torch._foreach_add_(first, second, alpha=other_weight)
    return first


def add(total: Tensors, more: Tensors) -> None:
    """Add `more` to `total` in place."""
    torch._foreach_add_(total, more)


def divide(total: Tensors, by: torch.Tensor) -> None:
    """Divide `total` in place by a number, shape ()."""
    torch._foreach_div_(total, by)


def approach(start: Tensors, end: Tensors, share: float) -> None:
    """Move `start` in place by `share` of the way to `end`."""
    torch._foreach_lerp_(start, end, share)


@contextmanager
def shifted(parameters: Tensors, direction: Tensors, by: float) -> Iterator[None]:
    """Parameters at `parameters + by * direction` for a while.

    They come back from a saved copy, bit for bit, whatever happens within: to subtract what was added would drift.
    """
    kept = [parameter.detach().clone() for parameter in parameters]
    with torch.no_grad():
        torch._foreach_add_(parameters, direction, alpha=by)
    try:
        yield
    finally:
        with torch.no_grad():
            torch._foreach_copy_(parameters, kept)


class Cosine(NamedTuple):
    """Mean cosine of two vectors over blocks, and its derivatives.

    Attributes:
        value: shape (), in [-1, 1]; 0 where no block counts.
        by_first: derivative with respect to the first vector.
        by_second: with respect to the second.
    """

    value: torch.Tensor
    by_first: Tensors
    by_second: Tensors


def cosine(first: Tensors, second: Tensors, blocks: Sequence[Sequence[int]]) -> Cosine:
    """Mean cosine over blocks of tensors.

    Args:
        first: a vector; every tensor in exactly one block.
        second: the other.
        blocks: positions of the tensors of each block. A block in which a vector is zero does not count: half of
            every fresh low-rank adapter has no gradient.
    """
    by_first, by_second = [torch.zeros_like(part) for part in first], [torch.zeros_like(part) for part in second]
    values: Tensors = []
    for block in blocks:
        ours, theirs = [first[index] for index in block], [second[index] for index in block]
        lengths = norm(ours), norm(theirs)
        if lengths[0] == 0 or lengths[1] == 0:
            continue
        product = lengths[0] * lengths[1]
        value = dot(ours, theirs) / product
        values.append(value)
        for index, a, b in zip(block, ours, theirs, strict=True):
            by_first[index] = b / product - value * a / lengths[0] ** 2
            by_second[index] = a / product - value * b / lengths[1] ** 2
    if not values:
        return Cosine(torch.zeros_like(norm(first)), by_first, by_second)
    for part in (*by_first, *by_second):
        part /= len(values)
    return Cosine(torch.stack(values).mean(), by_first, by_second)
