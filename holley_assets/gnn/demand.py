"""Fitting the network to the demand for each car: full softmax over the parts that fit it.

The chance of a part is ``softmax(car · part + bias)`` over all parts that fit, a multinomial logit (McFadden 1974),
with Gaussian priors on what is learned. As a maximum a posteriori estimate it needs no negatives.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.car_graph import CarGraph
from holley_assets.gnn.model import HeteroGAT
from holley_assets.gnn.process_group import ALONE, ProcessGroup
from holley_assets.gnn.ragged import RaggedPairs, ragged_logsumexp, ragged_rows, ragged_scores, take_rows

# Pairs of a class and a part in one step. The whole of a full-scale catalogue, five million, would take seconds.
PAIRS_IN_STEP = 500_000


@dataclass(frozen=True)
class FittingPairs:
    """Each class of cars with each part that fits it, in compressed rows.

    Attributes:
        products: part of each pair.
        offsets: first pair of each class.
        rows: class of each pair, ascending.
        num_products: of the graph.
    """

    products: Int[Tensor, "pairs"]
    offsets: Int[Tensor, "classes"]
    rows: Int[Tensor, "pairs"]
    num_products: int

    @classmethod
    def of(cls, data: HeteroData) -> FittingPairs:
        """The pairs of ``data``; parts ascend within a class."""
        pairs = take_rows(data.candidate_products, data.candidate_offsets, data.class_row)
        return cls(pairs.index, pairs.offsets, pairs.row, data["product"].num_nodes)

    def __len__(self) -> int:
        return len(self.products)

    @property
    def num_classes(self) -> int:
        """Classes, also those that nothing fits."""
        return len(self.offsets)

    @functools.cached_property
    def pairs(self) -> RaggedPairs:
        """As the kernels take them; their order by product is found once."""
        return RaggedPairs(self.products, self.offsets, self.rows)

    def positions(self, row: Int[Tensor, "asked"], product: Int[Tensor, "asked"]) -> Int[Tensor, "asked"]:
        """Position of each pair of a class and a part that fits it."""
        return torch.searchsorted(self._keys, row * self.num_products + product)

    @functools.cached_property
    def _keys(self) -> Int[Tensor, "pairs"]:
        return self.rows * self.num_products + self.products

    def take(
        self, classes: Int[Tensor, "taken"], weights: Float[Tensor, "pairs"]
    ) -> tuple[FittingPairs, Float[Tensor, "taken_pairs"]]:
        """The pairs of ``classes``, which become rows 0, 1, 2, …, and their ``weights``."""
        sizes = torch.diff(self.offsets, append=self.offsets.new_tensor([len(self)]))[classes]
        offsets, rows, place = ragged_rows(sizes)
        position = place + self.offsets[classes][rows]
        return FittingPairs(self.products[position], offsets, rows, self.num_products), weights[position]

    def log_probability(
        self, car: Float[Tensor, "classes channels"], product: Float[Tensor, "products channels"]
    ) -> Float[Tensor, "pairs"]:
        """``ln P(part | class)`` of each pair."""
        scores = ragged_scores(car, product, self.pairs)
        total = ragged_logsumexp(scores, self.rows, self.num_classes)
        return scores - total.index_select(0, self.rows)


@dataclass(frozen=True)
class FitOptions:
    """How long a fit takes.

    Attributes:
        steps: optimiser steps of a fit; each starts from the last fit. On samples twice as many change nothing.
        learning_rate: of Adam.
    """

    steps: int = 30
    learning_rate: float = 0.05


def fit_demand(
    model: HeteroGAT,
    data: HeteroData,
    fitting: FittingPairs,
    weights: Float[Tensor, "pairs"],
    strength: float,
    generator: torch.Generator,
    *,
    bias_strength: float = 1.0,
    graph: CarGraph | None = None,
    options: FitOptions | None = None,
    group: ProcessGroup = ALONE,
) -> None:
    """Fit ``model`` to the demand ``weights`` for each class and part.

    Args:
        strength: what the precisions of vectors are multiplied by; infinity fits the biases alone.
        bias_strength: what the precisions of biases are multiplied by.
        graph: the paths over which cars exchange messages; None for none.
        group: the processes that share the cars of each step.
    """
    options = options or FitOptions()
    biases_alone = math.isinf(strength)
    learned = model.learned(vectors=not biases_alone, messages=graph is not None)
    optimiser = torch.optim.Adam(learned, options.learning_rate)
    wanted = torch.zeros(fitting.num_classes, dtype=torch.bool, device=weights.device)
    wanted[fitting.rows[weights > 0]] = True
    # What nobody wants a part for has no gradient.
    classes = torch.nonzero(wanted).flatten()
    if not len(classes):
        return
    pairs = int(torch.diff(fitting.offsets, append=fitting.offsets.new_tensor([len(fitting)]))[classes].sum())
    size = max(group.size, min(len(classes), len(classes) * PAIRS_IN_STEP // max(1, pairs)))
    total = float(weights.sum())
    whole = fitting.take(classes[group.shard(len(classes))], weights) if size == len(classes) else None
    order = torch.empty(0, dtype=torch.long, device=weights.device)
    for _ in range(options.steps):
        if whole is not None:
            chosen, (batch, batch_weights) = classes[group.shard(len(classes))], whole
        else:
            if len(order) < size:
                order = torch.randperm(len(classes), generator=generator, device=weights.device)
            chosen, order = classes[order[:size][group.shard(size)]], order[size:]
            batch, batch_weights = fitting.take(chosen, weights)
        if biases_alone:
            scores = model.levels.bias(data).index_select(0, batch.products)
            log_total = ragged_logsumexp(scores, batch.rows, len(chosen))
            log_probability = scores - log_total.index_select(0, batch.rows)
        else:
            car = model.cars(data, graph).index_select(0, chosen)
            log_probability = batch.log_probability(car, model.levels.products(data))
        loss = -(batch_weights * log_probability).sum() * (len(classes) / size)
        prior = model.levels.negative_log_prior(strength, bias_strength) / group.size
        optimiser.zero_grad()
        ((loss + prior) / total).backward()
        group.sum_gradients(learned)
        optimiser.step()
