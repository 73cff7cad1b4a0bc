"""Dropout at the speed of memory.

PyTorch draws a random number of its own for each entry on a CPU, one after the other, which takes longer than
the layers around it. Sixteen bits of a number are enough for one entry.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from holley_assets.gnn.autograd import apply

_LEVELS = 1 << 16
_LOWEST = -(1 << 15)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, probability: float) -> Tensor:
        dropped = round(probability * _LEVELS)
        ctx.scale = _LEVELS / (_LEVELS - dropped)
        numbers = torch.empty((x.numel() + 3) // 4, dtype=torch.int64).random_(-(1 << 63), None)
        ctx.drop = numbers.view(torch.int16)[: x.numel()].view(x.shape) < _LOWEST + dropped
        kept: Tensor = (x * ctx.scale).masked_fill_(ctx.drop, 0.0)
        return kept

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return (grad * ctx.scale).masked_fill_(ctx.drop, 0.0), None


def dropout(x: Float[Tensor, "*shape"], probability: float, training: bool) -> Float[Tensor, "*shape"]:
    """``torch.nn.functional.dropout``, with the probability rounded to 1/65536 on a CPU."""
    if not training or not 0.0 < probability < 1.0 or x.device.type != "cpu":
        return nn.functional.dropout(x, probability, training)
    return apply(_Dropout, x, probability)


class Dropout(nn.Dropout):
    """``torch.nn.Dropout`` by :func:`dropout`."""

    def forward(self, x: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        """Drop entries of ``x`` while training."""
        return dropout(x, self.p, self.training)
