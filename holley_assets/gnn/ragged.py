"""Rows of different lengths, laid end to end: sums over them, and scores of pairs, on CPU and GPU.

The kernels are those of embedding bags, forward and backward, which gather and reduce at once: nothing of the
size ``[num_entries, channels]`` is ever written.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from holley_assets.gnn.autograd import apply


def row_offsets(rows: Int[Tensor, "entries"], count: int) -> Int[Tensor, "{count}"]:
    """First entry of each of ``count`` rows, where entries of ``rows`` are ordered by it."""
    counts = torch.bincount(rows, minlength=count)
    return counts.cumsum(0) - counts


def weighted_sum(
    x: Float[Tensor, "nodes channels"],
    index: Int[Tensor, "entries"],
    offsets: Int[Tensor, "rows"],
    weight: Float[Tensor, "entries"],
) -> Float[Tensor, "rows channels"]:
    """``Σ weight[i] · x[index[i]]`` over the entries ``i`` of each row; no gradient here.

    Args:
        index, weight: grouped by row.
        offsets: first entry of each row.
    """
    if not len(index):
        return x.new_zeros(len(offsets), x.shape[1])
    return nn.functional.embedding_bag(index, x, offsets, mode="sum", per_sample_weights=weight)


def sampled_products(
    left: Float[Tensor, "rows channels"],
    right: Float[Tensor, "nodes channels"],
    index: Int[Tensor, "entries"],
    offsets: Int[Tensor, "rows"],
    row: Int[Tensor, "entries"],
) -> Float[Tensor, "entries"]:
    """``left[row[i]] · right[index[i]]`` for each ``i``; no gradient here."""
    if not len(index):
        return left.new_zeros(0)
    # The gradient of an embedding bag's weights is this very product; it is the fused kernel PyTorch has.
    backward = torch.ops.aten._embedding_bag_per_sample_weights_backward
    products: Tensor = backward(left, right, index, offsets, row, 0, -1)
    return products


@dataclass(frozen=True)
class RaggedPairs:
    """Pairs of a row on the left and any number of rows on the right, laid end to end.

    Attributes:
        index: row of the right side of each pair, grouped by row of the left side.
        offsets: first pair of each row of the left side.
        row: row of the left side of each pair, ascending.
    """

    index: Int[Tensor, "pairs"]
    offsets: Int[Tensor, "rows"]
    row: Int[Tensor, "pairs"]

    @functools.cached_property
    def by_index(self) -> Int[Tensor, "pairs"]:
        """Positions of the pairs when ordered by ``index``; found once for all gradients."""
        # Sorting short integers takes a quarter of the time.
        short = len(self.index) > 0 and int(self.index.max()) <= torch.iinfo(torch.int16).max
        return torch.argsort(self.index.to(torch.int16 if short else torch.int32), stable=True)

    @functools.cached_property
    def row_by_index(self) -> Int[Tensor, "pairs"]:
        """``row`` in that order."""
        return self.row[self.by_index]

    @classmethod
    def of_table(cls, index: Int[Tensor, "rows count"]) -> RaggedPairs:
        """Each row of the left side with the same number of others."""
        rows, count = index.shape
        row = torch.arange(rows, device=index.device)
        return cls(index.reshape(-1), row * count, row.repeat_interleave(count))


class _RaggedScores(torch.autograd.Function):
    """:func:`ragged_scores` with gradients."""

    @staticmethod
    def forward(ctx: Any, left: Tensor, right: Tensor, pairs: RaggedPairs) -> Tensor:
        ctx.save_for_backward(left, right)
        ctx.pairs = pairs
        return sampled_products(left, right, pairs.index, pairs.offsets, pairs.row)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        left, right = ctx.saved_tensors
        pairs: RaggedPairs = ctx.pairs
        grad = grad.contiguous()
        grad_left = grad_right = None
        if ctx.needs_input_grad[0]:
            grad_left = weighted_sum(right, pairs.index, pairs.offsets, grad)
        if ctx.needs_input_grad[1]:
            offsets = row_offsets(pairs.index, len(right))
            grad_right = weighted_sum(left, pairs.row_by_index, offsets, grad[pairs.by_index])
        return grad_left, grad_right, None


def ragged_scores(
    left: Float[Tensor, "rows channels"], right: Float[Tensor, "nodes channels"], pairs: RaggedPairs
) -> Float[Tensor, "pairs"]:
    """``left[row[i]] · right[index[i]]`` for each ``i`` of ``pairs``, without gathering either side."""
    return apply(_RaggedScores, left.contiguous(), right.contiguous(), pairs)


def ragged_rows(
    counts: Int[Tensor, "rows"],
) -> tuple[Int[Tensor, "rows"], Int[Tensor, "entries"], Int[Tensor, "entries"]]:
    """Rows of ``counts`` entries laid end to end.

    Returns:
        The first entry of each row; the row of each entry and its place in that row.
    """
    offsets = counts.cumsum(0) - counts
    rows = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    return offsets, rows, torch.arange(len(rows), device=counts.device) - offsets[rows]


def take_rows(
    values: Int[Tensor, "entries"], offsets: Int[Tensor, "starts"], rows: Int[Tensor, "taken"]
) -> RaggedPairs:
    """Each of ``rows`` with its entries in compressed rows; they become rows 0, 1, 2, ….

    Args:
        values: entries of all rows.
        offsets: first entry of each row; the last one is their number.
        rows: which are taken; they may repeat.
    """
    starts, row, place = ragged_rows(offsets.diff()[rows])
    return RaggedPairs(values[place + offsets[rows][row]].long(), starts, row)


def ragged_logsumexp(
    values: Float[Tensor, "entries"], row: Int[Tensor, "entries"], num_rows: int
) -> Float[Tensor, "{num_rows}"]:
    """``ln Σ exp(values)`` over the entries of each row; 0 for a row without entries."""
    top = values.new_zeros(num_rows).scatter_reduce_(0, row, values.detach(), "amax", include_self=False)
    total = values.new_zeros(num_rows).index_add_(0, row, (values - top.index_select(0, row)).exp())
    return torch.where(total > 0, total, torch.ones_like(total)).log() + top
