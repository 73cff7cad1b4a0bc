"""Rows of different lengths, laid end to end: sums over them, and scores of pairs, on CPU and GPU.

The kernels are those of embedding bags, forward and backward, which gather and reduce at once: nothing of the
size ``[num_entries, channels]`` is ever written.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import torch
from torch import Tensor, nn


def row_offsets(rows: Tensor, count: int) -> Tensor:
    """First entry of each of ``count`` rows, ``[count]``, where entries of ``rows`` are ordered by it."""
    counts = torch.bincount(rows, minlength=count)
    return counts.cumsum(0) - counts


def weighted_sum(x: Tensor, index: Tensor, offsets: Tensor, weight: Tensor) -> Tensor:
    """``Σ weight[i] · x[index[i]]`` over the entries ``i`` of each row, ``[rows, channels]``; no gradient here.

    Args:
        x: ``[num_x, channels]``.
        index, weight: grouped by row, ``[num_entries]``.
        offsets: first entry of each row, ``[rows]``.
    """
    if not len(index):
        return x.new_zeros(len(offsets), x.shape[1])
    return nn.functional.embedding_bag(index, x, offsets, mode="sum", per_sample_weights=weight)


def sampled_products(left: Tensor, right: Tensor, index: Tensor, offsets: Tensor, row: Tensor) -> Tensor:
    """``left[row[i]] · right[index[i]]`` for each ``i``, ``[num_entries]``; no gradient here."""
    if not len(index):
        return left.new_zeros(0)
    # The gradient of an embedding bag's weights is this very product; it is the fused kernel PyTorch has.
    return torch.ops.aten._embedding_bag_per_sample_weights_backward(left, right, index, offsets, row, 0, -1)


@dataclass(frozen=True)
class RaggedPairs:
    """Pairs of a row on the left and any number of rows on the right, laid end to end.

    Attributes:
        index: row of the right side of each pair, grouped by row of the left side, ``[num_pairs]``.
        offsets: first pair of each row of the left side, ``[rows]``.
        row: row of the left side of each pair, ascending, ``[num_pairs]``.
    """

    index: Tensor
    offsets: Tensor
    row: Tensor

    @functools.cached_property
    def by_index(self) -> Tensor:
        """Positions of the pairs when ordered by ``index``; found once for all gradients, ``[num_pairs]``."""
        # Sorting short integers takes a quarter of the time.
        short = len(self.index) > 0 and int(self.index.max()) <= torch.iinfo(torch.int16).max
        return torch.argsort(self.index.to(torch.int16 if short else torch.int32), stable=True)

    @functools.cached_property
    def row_by_index(self) -> Tensor:
        """``row`` in that order, ``[num_pairs]``."""
        return self.row[self.by_index]

    @classmethod
    def of_table(cls, index: Tensor) -> RaggedPairs:
        """Each row of the left side with the same number of others, ``[rows, count]``."""
        rows, count = index.shape
        row = torch.arange(rows, device=index.device)
        return cls(index.reshape(-1), row * count, row.repeat_interleave(count))


class _RaggedScores(torch.autograd.Function):
    """:func:`ragged_scores` with gradients."""

    @staticmethod
    def forward(ctx, left: Tensor, right: Tensor, pairs: RaggedPairs) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(left, right)
        ctx.pairs = pairs
        return sampled_products(left, right, pairs.index, pairs.offsets, pairs.row)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[no-untyped-def]
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


def ragged_scores(left: Tensor, right: Tensor, pairs: RaggedPairs) -> Tensor:
    """``left[row[i]] · right[index[i]]`` for each ``i`` of ``pairs``, without gathering either side.

    Args:
        left: ``[rows, dim]``.
        right: ``[num_right, dim]``.
    """
    return _RaggedScores.apply(left.contiguous(), right.contiguous(), pairs)


def ragged_rows(counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of ``counts`` ``[rows]`` entries laid end to end.

    Returns:
        The first entry of each row, ``[rows]``; the row of each entry and its place in that row, each
        ``[num_entries]``.
    """
    offsets = counts.cumsum(0) - counts
    rows = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    return offsets, rows, torch.arange(len(rows), device=counts.device) - offsets[rows]


def take_rows(values: Tensor, offsets: Tensor, rows: Tensor) -> RaggedPairs:
    """Each of ``rows`` with its entries in compressed rows; they become rows 0, 1, 2, ….

    Args:
        values: entries of all rows, ``[num_values]`` integers.
        offsets: first entry of each row; the last one is their number, ``[num_rows + 1]``.
        rows: which are taken; they may repeat.
    """
    starts, row, place = ragged_rows(offsets.diff()[rows])
    return RaggedPairs(values[place + offsets[rows][row]].long(), starts, row)


def ragged_logsumexp(values: Tensor, row: Tensor, num_rows: int) -> Tensor:
    """``ln Σ exp(values)`` over the entries of each row, ``[num_rows]``; 0 for a row without entries."""
    top = values.new_zeros(num_rows).scatter_reduce_(0, row, values.detach(), "amax", include_self=False)
    total = values.new_zeros(num_rows).index_add_(0, row, (values - top.index_select(0, row)).exp())
    return torch.where(total > 0, total, torch.ones_like(total)).log() + top
