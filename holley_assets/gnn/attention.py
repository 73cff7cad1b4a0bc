"""Graph attention with edge features and repeated neighbours, as sparse products on CPU and GPU.

PyG's ``GATConv`` gathers a ``[num_edges, heads, channels]`` message tensor, weights it and scatters it.
With half a million fitment edges and 256 channels that tensor is half a gigabyte, twice a layer and once
more in the backward pass, and moving it is nearly all of the time. Here the weighted sum over the
neighbours is one embedding bag a head, whose forward and backward kernels never write a message down.
The mathematics is ``GATConv``'s (Veličković et al. 2018, arXiv:1710.10903), with two additions:

* edge features enter the attention logit linearly, before the LeakyReLU, as ``edge_dim`` does in PyG;
* a neighbour may stand for ``n`` identical ones: ``ln n`` is added to its logit after the LeakyReLU, since
  ``n · exp(e) = exp(e + ln n)``. Attention over ``n`` copies and over one such neighbour agree exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

# Slope of the LeakyReLU in the attention logit, as in Veličković et al. 2018, section 2.1.
NEGATIVE_SLOPE = 0.2


@dataclass(frozen=True)
class Adjacency:
    """Edges of one relation in compressed rows, by target and by source.

    Attributes:
        source: source node of each edge, ordered by target, ``[num_edges]``.
        target: target node of each edge, ascending, ``[num_edges]``.
        offsets: first edge of each target, ``[num_targets]``.
        by_source: positions of the edges when ordered by source, ``[num_edges]``.
        source_offsets: first of ``by_source`` of each source, ``[num_sources]``.
        features: edge features, ordered by target, ``[num_edges, edge_dim]``.
        log_multiplicity: ``ln n`` of an edge whose source stands for ``n`` nodes, ``[num_edges]``, or None.
        order: position of each edge in the ``edge_index`` it was built from, ``[num_edges]``.
    """

    source: Tensor
    target: Tensor
    offsets: Tensor
    by_source: Tensor
    source_offsets: Tensor
    features: Tensor
    log_multiplicity: Tensor | None
    order: Tensor

    @classmethod
    def build(
        cls,
        edge_index: Tensor,
        features: Tensor,
        num_sources: int,
        num_targets: int,
        multiplicity: Tensor | None = None,
    ) -> Adjacency:
        """Order ``edge_index`` ``[2, num_edges]`` for both directions of the sparse product."""
        order = torch.argsort(edge_index[1], stable=True)
        source, target = edge_index[0, order], edge_index[1, order]
        return cls(
            source=source,
            target=target,
            offsets=_offsets(target, num_targets),
            by_source=torch.argsort(source, stable=True),
            source_offsets=_offsets(source, num_sources),
            features=features[order],
            log_multiplicity=None if multiplicity is None else multiplicity[order].log(),
            order=order,
        )

    def with_features(self, features: Tensor) -> Adjacency:
        """The same edges with other ``features``, given in the order of the original ``edge_index``."""
        return replace(self, features=features[self.order])


def _offsets(nodes: Tensor, count: int) -> Tensor:
    return torch.bincount(nodes, minlength=count).cumsum(0) - torch.bincount(nodes, minlength=count)


class _WeightedSum(torch.autograd.Function):
    """``out[t] = Σ_{edges s→t} weight · x[s]`` for one head, without a message tensor."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, adjacency: Adjacency) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x, weight)
        ctx.adjacency = adjacency
        return weighted_sum(x, adjacency.source, adjacency.offsets, weight)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:  # type: ignore[no-untyped-def]
        x, weight = ctx.saved_tensors
        adjacency: Adjacency = ctx.adjacency
        grad = grad.contiguous()
        grad_x = weighted_sum(
            grad,
            adjacency.target[adjacency.by_source],
            adjacency.source_offsets,
            weight[adjacency.by_source],
        )
        grad_weight = _sampled_products(grad, x, adjacency.source, adjacency.offsets, adjacency.target)
        return grad_x, grad_weight, None


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


class _RaggedScores(torch.autograd.Function):
    """:func:`ragged_scores` with gradients."""

    @staticmethod
    def forward(ctx, left: Tensor, right: Tensor, index: Tensor, offsets: Tensor, row: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(left, right, index, offsets, row)
        return _sampled_products(left, right, index, offsets, row)

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[no-untyped-def]
        left, right, index, offsets, row = ctx.saved_tensors
        grad = grad.contiguous()
        order = torch.argsort(index)
        grad_left = weighted_sum(right, index, offsets, grad)
        grad_right = weighted_sum(left, row[order], _offsets(index, len(right)), grad[order])
        return grad_left, grad_right, None, None, None


def ragged_scores(left: Tensor, right: Tensor, index: Tensor, offsets: Tensor, row: Tensor) -> Tensor:
    """``left[row[i]] · right[index[i]]`` for each ``i``, without gathering either side.

    Args:
        left: ``[rows, dim]``.
        right: ``[num_right, dim]``.
        index: row of ``right`` of each pair, grouped by row of ``left``, ``[num_pairs]``.
        offsets: first pair of each row, ``[rows]``.
        row: row of ``left`` of each pair, ascending, ``[num_pairs]``.
    """
    return _RaggedScores.apply(left.contiguous(), right.contiguous(), index, offsets, row)


def ragged_rows(counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows of ``counts`` ``[rows]`` entries laid end to end.

    Returns:
        The first entry of each row, ``[rows]``; the row of each entry and its place in that row, each
        ``[num_entries]``.
    """
    offsets = counts.cumsum(0) - counts
    rows = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    return offsets, rows, torch.arange(len(rows), device=counts.device) - offsets[rows]


def ragged_logsumexp(values: Tensor, row: Tensor, num_rows: int) -> Tensor:
    """``ln Σ exp(values)`` over the entries of each row, ``[num_rows]``; 0 for a row without entries."""
    top = values.new_zeros(num_rows).scatter_reduce_(0, row, values.detach(), "amax", include_self=False)
    total = values.new_zeros(num_rows).index_add_(0, row, (values - top.index_select(0, row)).exp())
    return torch.where(total > 0, total, torch.ones_like(total)).log() + top


def pair_scores(left: Tensor, right: Tensor, index: Tensor) -> Tensor:
    """Dot products ``[rows, count]`` of each row of ``left`` ``[rows, dim]`` with ``right[index]``.

    Args:
        right: ``[num_right, dim]``.
        index: rows of ``right`` to score against each row of ``left``, ``[rows, count]``.
    """
    rows, count = index.shape
    row = torch.arange(rows, device=index.device)
    scores = ragged_scores(left, right, index.reshape(-1), row * count, row.repeat_interleave(count))
    return scores.view(rows, count)


def _sampled_products(left: Tensor, right: Tensor, index: Tensor, offsets: Tensor, row: Tensor) -> Tensor:
    if not len(index):
        return left.new_zeros(0)
    # The gradient of an embedding bag's weights is this very product; it is the fused kernel PyTorch has.
    return torch.ops.aten._embedding_bag_per_sample_weights_backward(left, right, index, offsets, row, 0, -1)


class _EdgeSoftmax(torch.autograd.Function):
    """Softmax of ``[num_edges, heads]`` logits over the edges of each target."""

    @staticmethod
    def forward(ctx, logits: Tensor, target: Tensor, num_targets: int) -> Tensor:  # type: ignore[no-untyped-def]
        index = target[:, None].expand_as(logits)
        top = logits.new_full((num_targets, logits.shape[1]), -torch.inf)
        top = top.scatter_reduce_(0, index, logits, "amax")
        weight = (logits - top[target]).exp_()
        total = logits.new_zeros(num_targets, logits.shape[1]).index_add_(0, target, weight)
        weight = weight / total[target]
        ctx.save_for_backward(weight, target)
        ctx.num_targets = num_targets
        return weight

    @staticmethod
    def backward(ctx, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[no-untyped-def]
        weight, target = ctx.saved_tensors
        flow = weight * grad
        total = flow.new_zeros(ctx.num_targets, flow.shape[1]).index_add_(0, target, flow)
        return flow - weight * total[target], None, None


class SparseGATConv(nn.Module):
    """Multi-head graph attention from source nodes to target nodes.

    Args:
        in_dim: channels of source and target nodes.
        out_dim: channels out, all heads together.
        heads: attention heads; divides ``out_dim``.
        edge_dim: edge features.
        dropout: dropout on the attention coefficients.
    """

    def __init__(self, in_dim: int, out_dim: int, heads: int, edge_dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.channels, self.dropout = heads, out_dim // heads, dropout
        self.source = nn.Linear(in_dim, out_dim, bias=False)
        # GATConv projects the target only to take a product with the attention vector: one matrix does both.
        self.target_attention = nn.Linear(in_dim, heads, bias=False)
        self.source_attention = nn.Parameter(torch.empty(heads, self.channels))
        self.edge_attention = nn.Linear(edge_dim, heads, bias=False)
        nn.init.xavier_uniform_(self.source_attention)

    def attention(self, x_source: Tensor, x_target: Tensor, adjacency: Adjacency) -> Tensor:
        """Attention coefficients ``[num_edges, heads]`` in the edge order of ``adjacency``.

        ``x_source`` is already projected, ``[num_sources, heads, channels]``.
        """
        by_source = (x_source * self.source_attention).sum(-1)  # [num_sources, heads]
        by_target = self.target_attention(x_target)  # [num_targets, heads]
        logits = by_source.index_select(0, adjacency.source) + by_target.index_select(0, adjacency.target)
        logits = nn.functional.leaky_relu(logits + self.edge_attention(adjacency.features), NEGATIVE_SLOPE)
        if adjacency.log_multiplicity is not None:
            logits = logits + adjacency.log_multiplicity[:, None]
        return _EdgeSoftmax.apply(logits, adjacency.target, len(x_target))

    def forward(self, x: Tensor | tuple[Tensor, Tensor], adjacency: Adjacency) -> Tensor:
        """Messages to the targets, ``[num_targets, out_dim]``; zero for a target without neighbours.

        ``x`` holds the source and the target nodes, or the nodes that are both, as ``HeteroConv`` passes them.
        """
        x_source, x_target = x if isinstance(x, tuple) else (x, x)
        projected = self.source(x_source).view(-1, self.heads, self.channels)
        weight = self.attention(projected, x_target, adjacency)
        weight = nn.functional.dropout(weight, self.dropout, self.training)
        return torch.cat(
            [
                _WeightedSum.apply(projected[:, head].contiguous(), weight[:, head].contiguous(), adjacency)
                for head in range(self.heads)
            ],
            dim=1,
        )
