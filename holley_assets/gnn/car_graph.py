"""Paths from car to car through the parts that fit both.

Two classes are as alike as the parts that fit them: the cosine of their rows of fitment, where a part counts the
more the fewer classes it fits (inverse document frequency, Spärck Jones 1972). A class hears of those that are
most like it. So a car that nobody ever visited speaks with the voice of its siblings, whatever their names.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.autograd import apply
from holley_assets.gnn.ragged import row_offsets, weighted_sum

# Classes that a class hears of. On samples 6, 15, 30 and 60 did equally well.
NEIGHBOURS = 20
# Likeness is raised to this power before rows are brought to sum 1, so that twins speak louder than cousins.
SHARPNESS = 2.0
# A part that fits more classes than this tells hardly anything, and would cost the square of their number.
WIDEST_FIT = 400
# Classes that are compared with all others at once, to bound memory.
CLASSES_IN_BLOCK = 256


def add_car_graph(data: HeteroData) -> None:
    """Add ``car_neighbours`` and ``car_weights``, both ``[num_classes, neighbours]``; weights of a row sum to 1.

    A class that shares no part has itself as every neighbour, with weight zero.
    """
    fits = class_fitment(data)
    num_classes, _num_products = fits.shape
    breadth = np.diff(fits.tocsc().indptr)
    told = np.log1p(num_classes / np.maximum(breadth, 1)) * ((breadth > 1) & (breadth <= WIDEST_FIT))
    weighted = (fits @ sp.diags_array(told.astype(np.float32))).tocsr()
    length = np.sqrt(np.asarray(weighted.multiply(weighted).sum(axis=1)).reshape(-1))
    unit = (sp.diags_array(1.0 / np.maximum(length, 1e-12)) @ weighted).tocsr()
    unit.eliminate_zeros()
    others = unit.T.tocsr()
    count = min(NEIGHBOURS, max(1, num_classes - 1))
    neighbours = np.empty((num_classes, count), np.int64)
    weights = np.empty((num_classes, count), np.float32)
    for start in range(0, num_classes, CLASSES_IN_BLOCK):
        block = slice(start, min(start + CLASSES_IN_BLOCK, num_classes))
        likeness = (unit[block] @ others).toarray()
        rows = np.arange(len(likeness))
        likeness[rows, rows + start] = 0.0
        # The nearest first, ties by position: the same whatever the block.
        nearest = np.argsort(-likeness, axis=1, kind="stable")[:, :count]
        neighbours[block] = nearest
        weights[block] = np.take_along_axis(likeness, nearest, axis=1) ** SHARPNESS
    neighbours = np.where(weights > 0, neighbours, np.arange(num_classes)[:, None])
    weights /= np.maximum(weights.sum(axis=1, keepdims=True), np.finfo(np.float32).tiny)
    data.car_neighbours = torch.from_numpy(neighbours)
    data.car_weights = torch.from_numpy(weights)


def class_fitment(data: HeteroData) -> sp.csr_array:
    """Which parts fit each class, ones in ``[num_classes, num_products]``."""
    offsets, products = data.candidate_offsets.cpu().numpy(), data.candidate_products.cpu().numpy()
    row = data.class_row.cpu().numpy()
    ones = np.ones(len(products), np.float32)
    shape = (len(offsets) - 1, data["product"].num_nodes)
    return sp.csr_array((ones, products, offsets), shape=shape)[row]


class CarGraph:
    """The paths of ``data``, laid out for messages in both directions."""

    def __init__(self, data: HeteroData) -> None:
        count, neighbours = data.car_neighbours.shape
        device = data.car_neighbours.device
        self.source = data.car_neighbours.flatten()
        self.weight = data.car_weights.flatten()
        self.offsets = torch.arange(count, device=device) * neighbours
        order = torch.argsort(self.source, stable=True)
        self.back_target = torch.div(order, neighbours, rounding_mode="floor")
        self.back_weight = self.weight[order]
        self.back_offsets = row_offsets(self.source[order], count)

    def spread(self, x: Float[Tensor, "classes channels"]) -> Float[Tensor, "classes channels"]:
        """What each class hears of ``x``: the weighted mean of its neighbours."""
        return apply(_Spread, x.contiguous(), self)


class _Spread(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, graph: CarGraph) -> Tensor:
        ctx.graph = graph
        return weighted_sum(x, graph.source, graph.offsets, graph.weight.to(x.dtype))

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        graph: CarGraph = ctx.graph
        weight = graph.back_weight.to(grad.dtype)
        return weighted_sum(grad.contiguous(), graph.back_target, graph.back_offsets, weight), None
