"""What visitors and owners of each car chose among the parts that fit it: the first thing the vectors learn.

98 % of the users are told apart by their car alone. What is known about cars is aggregated demand: of owners
with history, and of the many visitors whose car their choices betray. It is fitted by full softmax over the
parts that fit, a multinomial logit, with Gaussian priors on the learned vectors: as a maximum a posteriori
estimate it neither needs negatives nor runs away when it is trained for long.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from holley_assets.gnn.model import HeteroGAT, ModelOptions, NodeEncoder
from holley_assets.gnn.process_group import ALONE, ProcessGroup
from holley_assets.gnn.ragged import RaggedPairs, ragged_logsumexp, ragged_rows, ragged_scores
from holley_assets.gnn.sampling import Candidates, Positives

# Pairs of a car and a part in one step. The whole of a full-scale catalogue, five million, would take seconds.
PAIRS_IN_STEP = 500_000


@dataclass(frozen=True)
class DemandOptions:
    """How demand is fitted. A precision is the inverse variance of a zero-mean Gaussian prior.

    Attributes:
        strengths: what the precisions of vectors are multiplied by, one fit after the other. Infinity fits
            biases alone: popularity among the parts that fit, without taste. Each fit starts from the last.
        steps: the fewest optimiser steps of a fit. On samples, where one step sees all cars, validation MRR is
            flat from about 50 on.
        passes: the fewest passes over all cars, where one step sees some of them.
        learning_rate: of Adam.
    """

    strengths: tuple[float, ...] = (math.inf, 10.0, 1.0)
    steps: int = 60
    passes: int = 20
    learning_rate: float = 0.05
    bias_precision: float = 0.5
    part_type_bias_precision: float = 0.1
    product_precision: float = 10.0
    part_type_precision: float = 0.1
    vehicle_precision: float = 1.0
    generation_precision: float = 1.0
    make_precision: float = 0.1


class Demand:
    """Demand by car and part, in compressed rows.

    Attributes:
        profiles: user node of each car, ``[num_cars]``.
        products: part of each pair, ``[num_pairs]``.
        offsets: first pair of each car, ``[num_cars]``.
        rows: car of each pair, ``[num_pairs]``.
        weights: expected number of people who wanted the part for the car, ``[num_pairs]``.
    """

    def __init__(self, data: HeteroData, positives: Positives) -> None:
        store = data["user"]
        device = store.cold_profile.device
        nodes = torch.arange(store.num_nodes, device=device)
        profiles = nodes[(store.cold_profile == nodes) & (store.vehicle_year >= 0)]
        row = store.vehicle_year[profiles]
        counts = data.candidate_offsets.diff()[row]
        self.profiles = profiles
        self.offsets, self.rows, place = ragged_rows(counts)
        position = place + data.candidate_offsets[row][self.rows]
        self.products = data.candidate_products.long()[position]
        self.weights = data.candidate_demand[position].clone()
        car_of_row = torch.full((len(data.candidate_offsets) - 1,), -1, device=device)
        car_of_row[row] = torch.arange(len(profiles), device=device)
        num_products = data["product"].num_nodes
        keys = self.rows * num_products + self.products  # ascending
        own = car_of_row[positives.row] * num_products + positives.product
        self.weights.index_add_(0, torch.searchsorted(keys, own), self.weights.new_ones(len(own)))

    def __len__(self) -> int:
        return len(self.profiles)

    def batch(self, cars: Tensor) -> DemandBatch:
        """The pairs of ``cars``."""
        sizes = torch.diff(self.offsets, append=torch.tensor([len(self.rows)], device=cars.device))[cars]
        offsets, rows, place = ragged_rows(sizes)
        pairs = place + self.offsets[cars][rows]
        return DemandBatch(self.profiles[cars], self.products[pairs], offsets, rows, self.weights[pairs])

    def cars_in_step(self) -> int:
        """Cars whose pairs are about :data:`PAIRS_IN_STEP`."""
        return max(1, min(len(self), len(self) * PAIRS_IN_STEP // max(1, len(self.rows))))


@dataclass(frozen=True)
class DemandBatch:
    """The pairs of some cars; like those of :class:`Demand`."""

    profiles: Tensor
    products: Tensor
    offsets: Tensor
    rows: Tensor
    weights: Tensor

    def scores(self, user: Tensor, product: Tensor) -> Tensor:
        """Logit of each pair, from vectors of ``profiles`` and of all products."""
        return ragged_scores(user, product, RaggedPairs(self.products, self.offsets, self.rows))

    def negative_log_likelihood(self, scores: Tensor) -> Tensor:
        """``−Σ weight · ln P(part | car)``."""
        total = ragged_logsumexp(scores, self.rows, len(self.profiles))
        return -(self.weights * (scores - total.index_select(0, self.rows))).sum()


def _priors(
    encoder: NodeEncoder, options: DemandOptions, strength: float
) -> list[tuple[nn.Embedding, float]]:
    biases = [
        (encoder.product_bias, options.bias_precision),
        (encoder.part_type_bias, options.part_type_bias_precision),
    ]
    if math.isinf(strength):
        return biases
    return biases + [
        (table, strength * precision)
        for table, precision in (
            (encoder.product_identity, options.product_precision),
            (encoder.part_type_identity, options.part_type_precision),
            (encoder.vehicle_identity, options.vehicle_precision),
            (encoder.generation, options.generation_precision),
            (encoder.make, options.make_precision),
        )
    ]


def negative_log_prior(encoder: NodeEncoder, options: DemandOptions, strength: float) -> Tensor:
    """``−ln`` of the density of the Gaussian priors on what is learned at ``strength``, but for a constant."""
    priors = _priors(encoder, options, strength)
    return torch.stack([0.5 * precision * table.weight.square().sum() for table, precision in priors]).sum()


def fit_demand(
    model: HeteroGAT,
    data: HeteroData,
    demand: Demand,
    options: DemandOptions,
    strength: float,
    generator: torch.Generator,
    group: ProcessGroup = ALONE,
) -> float:
    """Fit the node vectors of ``model`` to ``demand``; returns the last step's mean loss of a choice.

    Args:
        strength: what the precisions of vectors are multiplied by; infinity leaves the vectors alone.
        group: the processes that share the cars of each step.
    """
    encoder = model.encoder
    learned = [*(table.weight for table, _ in _priors(encoder, options, strength)), encoder.popularity]
    optimiser = torch.optim.Adam(learned, options.learning_rate)
    model.eval()
    with torch.no_grad():
        features = encoder.features(data)
        # Where parts have no vectors yet, their biases alone make the scores.
        biases_alone = math.isinf(strength) and not model.embed_nodes(data, features).product[:, :-1].any()
    size, last_loss = demand.cars_in_step(), 0.0
    order = torch.empty(0, dtype=torch.long, device=demand.rows.device)
    for _ in range(max(options.steps, options.passes * math.ceil(len(demand) / size))):
        if len(order) < size:
            order = torch.randperm(len(demand), generator=generator, device=demand.rows.device)
        batch, order = demand.batch(order[:size][group.shard(size)]), order[size:]
        scale = group.sum(batch.weights.sum()).clamp_min(1.0)
        if biases_alone:
            scores = encoder.bias(data, features[0][:, -1]).index_select(0, batch.products)
        else:
            scores = batch.scores(*model.embed_nodes(data, features, batch.profiles))
        loss = batch.negative_log_likelihood(scores) / scale
        prior = negative_log_prior(encoder, options, strength) * (size / len(demand)) / scale
        model.zero_grad()
        (loss + prior / group.size).backward()
        group.sum_gradients(learned)
        optimiser.step()
        last_loss = group.sum(loss.detach()).item()
    return last_loss


def fit_popularity(
    data: HeteroData, *, seed: int, fitted: bool = True, options: DemandOptions | None = None
) -> NDArray[np.float32]:
    """Popularity of each product among the parts that fit the same car, ``[num_products]``, without tastes.

    The first fit alone and the season: one number a part, from everything the model learns from. It is the
    control that tells a lift by graph structure from one by better counting.

    Args:
        fitted: False takes the number of visitors as it is, where validation did not confirm the fit.
    """
    options = options or DemandOptions()
    torch.manual_seed(seed)
    model = HeteroGAT(data, ModelOptions(layers=0))
    if fitted:
        demand = Demand(data, Positives.of(data, Candidates(data), minimum_weight=0.0))
        fit_demand(model, data, demand, options, math.inf, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        return (model.embed_nodes(data).product[:, -1] + data["product"].season).numpy()
