"""Graph attention with edge features and repeated neighbours, as sparse products on CPU and GPU.

PyG's ``GATConv`` gathers a ``[num_edges, heads, channels]`` message tensor, weights it and scatters it.
With half a million fitment edges and 256 channels that tensor is half a gigabyte, twice a layer and once
more in the backward pass, and moving it is nearly all of the time. Here the weighted sum over the
neighbours is one embedding bag, whose forward and backward kernels never write a message down.
The mathematics is ``GATConv``'s (Veličković et al. 2018, arXiv:1710.10903), with two additions:

* edge features enter the attention logit linearly, before the LeakyReLU, as ``edge_dim`` does in PyG;
* a neighbour may stand for ``n`` identical ones: ``ln n`` is added to its logit after the LeakyReLU, since
  ``n · exp(e) = exp(e + ln n)``. Attention over ``n`` copies and over one such neighbour agree exactly.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from holley_assets.gnn.adjacency import Adjacency, HeadEdges
from holley_assets.gnn.autograd import apply
from holley_assets.gnn.dropout import dropout
from holley_assets.gnn.ragged import sampled_products, weighted_sum

# Slope of the LeakyReLU in the attention logit, as in Veličković et al. 2018, section 2.1.
NEGATIVE_SLOPE = 0.2


class _WeightedSum(torch.autograd.Function):
    """``out[t] = Σ_{edges s→t} weight · x[s]`` without a message tensor."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, edges: HeadEdges) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.edges = edges
        return weighted_sum(x, edges.source, edges.offsets, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        edges: HeadEdges = ctx.edges
        grad = grad.contiguous()
        grad_x = weighted_sum(grad, edges.target_by_source, edges.source_offsets, weight[edges.by_source])
        grad_weight = sampled_products(grad, x, edges.source, edges.offsets, edges.target)
        return grad_x, grad_weight, None


class _EdgeSoftmax(torch.autograd.Function):
    """Softmax of ``[num_entries]`` logits over the entries of each of ``num_rows`` target rows."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, row: Tensor, num_rows: int) -> Tensor:
        top = logits.new_full((num_rows,), -torch.inf).scatter_reduce_(0, row, logits, "amax")
        weight = (logits - top[row]).exp_()
        total = logits.new_zeros(num_rows).index_add_(0, row, weight)
        weight /= total[row]
        ctx.save_for_backward(weight, row)
        ctx.num_rows = num_rows
        return weight

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        weight, row = ctx.saved_tensors
        flow = weight * grad
        total = flow.new_zeros(ctx.num_rows).index_add_(0, row, flow)
        return flow - weight * total[row], None, None


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

    def attention(
        self,
        x_source: Float[Tensor, "sources channels"],
        x_target: Float[Tensor, "targets channels"],
        adjacency: Adjacency,
    ) -> Float[Tensor, "entries"]:
        """Attention coefficients of each edge and head, in the order of ``adjacency.heads``."""
        edges = adjacency.heads(self.heads)
        # The product of a projected source with its attention vector is one of the source with both in one.
        projection = self.source.weight.view(self.heads, self.channels, -1)
        by_source = (
            x_source @ (projection * self.source_attention[:, :, None]).sum(1).T
        )  # [num_sources, heads]
        by_target = self.target_attention(x_target)  # [num_targets, heads]
        by_edge = self.edge_attention(adjacency.features)  # [num_edges, heads]
        logits = nn.functional.leaky_relu(
            by_source.flatten().index_select(0, edges.source)
            + by_target.flatten().index_select(0, edges.target)
            + by_edge.flatten().index_select(0, edges.edge),
            NEGATIVE_SLOPE,
        )
        if adjacency.log_multiplicity is not None:
            logits = logits + adjacency.log_multiplicity[edges.edge // self.heads]
        return apply(_EdgeSoftmax, logits, edges.target, len(edges.offsets))

    def forward(
        self,
        x: Float[Tensor, "nodes channels"]
        | tuple[Float[Tensor, "sources channels"], Float[Tensor, "targets channels"]],
        adjacency: Adjacency,
    ) -> Float[Tensor, "_ out_channels"]:
        """Messages to each target; zero for a target without neighbours.

        ``x`` holds the source and the target nodes, or the nodes that are both, as ``HeteroConv`` passes them.
        """
        x_source, x_target = x if isinstance(x, tuple) else (x, x)
        weight = dropout(self.attention(x_source, x_target, adjacency), self.dropout, self.training)
        rows = self.source(x_source).view(-1, self.channels)
        messages = apply(_WeightedSum, rows, weight, adjacency.heads(self.heads))
        return messages.view(len(x_target), -1)


class HeteroAttention(nn.Module):
    """Attention over several relations; the messages that a node type gets from each are summed.

    It is PyG's ``HeteroConv`` with the sum taken as messages come. ``HeteroConv`` keeps those of all relations,
    writes them once more into one tensor and sums that.

    Args:
        convolutions: a convolution for each edge type.
    """

    def __init__(self, convolutions: dict[tuple[str, str, str], SparseGATConv]) -> None:
        super().__init__()
        self.kinds = list(convolutions)
        self.convolutions = nn.ModuleDict({"__".join(kind): each for kind, each in convolutions.items()})

    def forward(
        self,
        sources: dict[str, Float[Tensor, "_ channels"]],
        targets: dict[str, Float[Tensor, "_ channels"]],
        adjacencies: dict[tuple[str, str, str], Adjacency],
    ) -> dict[str, Float[Tensor, "_ out_channels"]]:
        """Messages by node type.

        Args:
            sources: the nodes that messages come from, by node type.
            targets: the nodes that messages go to, likewise; ``adjacencies`` number them.
        """
        messages: dict[str, Tensor] = {}
        for kind, convolution in zip(self.kinds, self.convolutions.values(), strict=True):
            message = convolution((sources[kind[0]], targets[kind[2]]), adjacencies[kind])
            messages[kind[2]] = messages[kind[2]] + message if kind[2] in messages else message
        return messages
