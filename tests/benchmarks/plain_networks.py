"""GraphSAGE and the HeteroGAT of the project's first notes, by PyG's own layers and with the notes' own loss.

Two layers of ``HeteroConv`` over users, parts and vehicles, 256 hidden channels; a learned vector of 128 channels for
each node beside its features; two towers to vectors of length one; binary cross-entropy on edges, each weighed by
kind and age, with half of the negatives from the batch and half from all parts, or 50 % from the batch, 30 % that fit
and 20 % from all; Adam with 0.001 for vectors of nodes and 0.01 for the rest; gradients of at most length one; the
best epoch by the MRR of a tenth of the edges, ten epochs of patience, a hundred at most.

What differs from the notes favours these networks. They read what every other system reads: what visitors wanted for
a car (``visitor_demand``) are edges of the car's node. Users of one car who have no history share a node, which
``owns`` edges count as often as there are users: with a vector each, users who met nothing would keep the noise that
they start from. Towers normalise their input, or all users collapse into one vector. The chance of an edge is
``sigmoid(scale · cosine + offset)`` with both learned, because a cosine alone cannot say that an edge is improbable.
``GATConv`` passes on the node's own state. The messages of a step do not use the edges that it predicts. An epoch has
ten batches, each drawn by weight: a batch passes messages over the whole graph, whatever its size.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import HeteroData
from torch_geometric.nn import GATConv, HeteroConv, SAGEConv

from holley_assets.gnn.graph_schema import (
    EDGE_TYPES,
    INTERACTS,
    OWNS,
    REV_INTERACTS,
    REV_OWNS,
    EdgeType,
)
from holley_assets.gnn.ragged import RaggedPairs, ragged_scores
from holley_assets.gnn.sampling import FittingParts, NegativeOptions, Positives, draw_negatives
from holley_assets.gnn.validation import reciprocal_ranks, rivals_of
from holley_assets.terms import TIERS

# What fewer visitors are expected to have wanted is no edge for messages, as it is no preference for ALS.
MINIMUM_STRENGTH = 0.3
BATCHES = 10
VALIDATION_SHARE = 0.1
# Of the edges held out, drawn by weight.
VALIDATION_EDGES = 2_000


@dataclass(frozen=True)
class PlainOptions:
    """Shape and training; the notes' values.

    Attributes:
        batch: edges of one step, fewer where a tenth of all weights is less.
        negatives: of each positive, and where they are drawn from.
        corrects_draws: whether a score is relative to how often the part is drawn as a negative, which the notes
            do not have: without it parts that are often drawn are pushed down.
    """

    dim: int = 128
    hidden: int = 256
    heads: int = 4
    part_type_dim: int = 16
    dropout: float = 0.1
    epochs: int = 100
    patience: int = 10
    batch: int = 4096
    negatives: NegativeOptions = field(default_factory=lambda: NegativeOptions(16, 0.5, 0.3))
    corrects_draws: bool = False


Convolution = Callable[[int, int, int | None, PlainOptions], nn.Module]


class MeanSAGE(SAGEConv):  # type: ignore[misc]  # its package has no types
    """GraphSAGE (Hamilton et al. 2017) with the mean of the neighbours; it knows no weights of edges."""

    def forward(self, x: Any, edge_index: Tensor, edge_attr: Tensor | None = None) -> Tensor:
        found: Tensor = super().forward(x, edge_index)
        return found


def sage(width: int, hidden: int, edge_dim: int | None, options: PlainOptions) -> nn.Module:
    """Layers of GraphSAGE."""
    return MeanSAGE((width, width), hidden, aggr="mean")


def gat(width: int, hidden: int, edge_dim: int | None, options: PlainOptions) -> nn.Module:
    """Graph attention (Veličković et al. 2018) with the weight of an edge as its feature."""
    layer: nn.Module = GATConv(
        (width, width),
        hidden // options.heads,
        options.heads,
        edge_dim=edge_dim,
        dropout=options.dropout,
        add_self_loops=False,
        residual=True,
    )
    return layer


@dataclass(frozen=True)
class PlainGraph:
    """The graph of these networks.

    Attributes:
        edges: of each type, ``[2, num_edges]``.
        weights: of the types whose edges have one, ``[num_edges, 1]``.
        met: what users met and what visitors wanted for a car; ``edge`` is the edge for messages, or −1.
    """

    data: HeteroData
    edges: dict[EdgeType, Tensor]
    weights: dict[EdgeType, Tensor]
    met: Positives

    @classmethod
    def of(cls, data: HeteroData, demand: tuple[Tensor, Tensor, Tensor]) -> PlainGraph:
        """``demand``: user node of a car, part and expected visitors of each pair, ``[num_pairs]`` each."""
        edges = {kind: data[kind].edge_index for kind in EDGE_TYPES}
        weights = {kind: data[kind].edge_attr[:, :1] for kind in EDGE_TYPES if kind[0] == kind[2]}
        owners = torch.repeat_interleave(data[OWNS].multiplicity.long())
        edges[OWNS] = data[OWNS].edge_index[:, owners]
        edges[REV_OWNS] = data[REV_OWNS].edge_index
        user = torch.cat([data[INTERACTS].edge_index[0], demand[0]])
        product = torch.cat([data[INTERACTS].edge_index[1], demand[1]])
        weight = torch.cat([data[INTERACTS].weight, demand[2]])
        passes = torch.ones(len(user), dtype=torch.bool)
        passes[data[INTERACTS].edge_index.shape[1] :] = demand[2] >= MINIMUM_STRENGTH
        edges[INTERACTS] = torch.stack([user, product])[:, passes]
        edges[REV_INTERACTS] = edges[INTERACTS].flip(0)
        weights[INTERACTS] = weights[REV_INTERACTS] = weight[passes].log1p()[:, None]
        edge = torch.where(passes, passes.cumsum(0) - 1, -1)
        row = data["user"].vehicle_year[user]
        learned = torch.nonzero((row >= 0) & FittingParts(data).fits(row, product) & (weight > 0)).flatten()
        return cls(data, edges, weights, Positives(edge, user, product, row, weight).take(learned))

    def without(self, edge: Tensor) -> tuple[dict[EdgeType, Tensor], dict[EdgeType, Tensor]]:
        """Edges and weights without these pairs of a user and a part."""
        edges, weights = dict(self.edges), dict(self.weights)
        keep = torch.ones(edges[INTERACTS].shape[1], dtype=torch.bool)
        keep[edge[edge >= 0]] = False
        for kind in (INTERACTS, REV_INTERACTS):
            edges[kind], weights[kind] = edges[kind][:, keep], weights[kind][keep]
        return edges, weights


class PlainNetwork(nn.Module):
    """Vectors of nodes and their features, two layers of convolutions, two towers."""

    def __init__(self, graph: PlainGraph, convolution: Convolution, options: PlainOptions) -> None:
        super().__init__()
        data, dim, hidden = graph.data, options.dim, options.hidden
        self.dropout = options.dropout
        self.nodes = nn.ModuleDict(
            {kind: nn.Embedding(data[kind].num_nodes, dim) for kind in data.node_types}
        )
        for table in self.nodes.values():
            assert isinstance(table, nn.Embedding)
            nn.init.normal_(table.weight, std=dim**-0.5)
        self.tier = nn.Embedding(len(TIERS), dim)
        self.part_type = nn.Embedding(len(data.part_types), options.part_type_dim)
        self.features = {kind: _standardised(data[kind].features) for kind in ("product", "vehicle")}
        width = self.features["product"].shape[1] + options.part_type_dim
        self.product_features = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, dim))
        self.vehicle_features = nn.Linear(self.features["vehicle"].shape[1], dim)
        self.layers = nn.ModuleList(
            HeteroConv(
                {
                    kind: convolution(width, hidden, 1 if kind in graph.weights else None, options)
                    for kind in graph.edges
                },
                aggr="sum",
            )
            for width in (dim, hidden)
        )
        self.towers = nn.ModuleDict(
            {
                kind: nn.Sequential(
                    nn.BatchNorm1d(hidden), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, dim)
                )
                for kind in ("user", "product")
            }
        )
        self.scale = nn.Parameter(torch.tensor(5.0))
        self.offset = nn.Parameter(torch.tensor(0.0))
        self.data = data

    def forward(
        self, edges: dict[EdgeType, Tensor], weights: dict[EdgeType, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Vectors of length one of user nodes and of parts."""
        types = self.part_type(self.data["product"].part_type)
        known = torch.cat([types, self.features["product"]], dim=1)
        state = {
            "user": self.nodes["user"].weight + self.tier(self.data["user"].tier),
            "product": self.nodes["product"].weight + self.product_features(known),
            "vehicle": self.nodes["vehicle"].weight + self.vehicle_features(self.features["vehicle"]),
        }
        for layer in self.layers:
            state = {
                kind: functional.dropout(functional.elu(value), self.dropout, self.training)
                for kind, value in layer(state, edges, edge_attr_dict=weights).items()
            }
        user, product = (functional.normalize(self.towers[kind](state[kind])) for kind in ("user", "product"))
        return user, product

    @property
    def groups(self) -> list[dict[str, Any]]:
        """Parameters with their learning rates."""
        of_nodes = list(self.nodes.parameters())
        rest = [one for name, one in self.named_parameters() if not name.startswith("nodes.")]
        return [{"params": of_nodes, "lr": 0.001}, {"params": rest, "lr": 0.01}]


def train_plain_network(
    graph: PlainGraph, convolution: Convolution, options: PlainOptions, seed: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Vectors of user nodes and of parts of the best epoch; a score is their dot product."""
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    model = PlainNetwork(graph, convolution, options)
    optimiser = torch.optim.Adam(model.groups)
    candidates = FittingParts(graph.data)
    order = torch.randperm(len(graph.met), generator=generator)
    held_out, learned = order.split([n := round(len(order) * VALIDATION_SHARE), len(order) - n])
    validation, training = graph.met.take(held_out), graph.met.take(learned)
    asked = validation.take(torch.multinomial(validation.weight, VALIDATION_EDGES, True, generator=generator))
    known = _keys(training.take(torch.nonzero(training.edge >= 0).flatten()), candidates).sort().values
    size = max(1, min(options.batch, int(training.weight.sum()) // BATCHES))
    best, best_epoch, best_state = -1.0, 0, model.state_dict()
    for epoch in range(options.epochs):
        model.train()
        for _ in range(BATCHES):
            batch = training.take(
                torch.multinomial(training.weight, size, replacement=True, generator=generator)
            )
            user, product = model(*graph.without(torch.cat([batch.edge, validation.edge])))
            loss = edge_loss(model.scale, model.offset, user, product, batch, candidates, options, generator)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
        user, product = _vectors(model, *graph.without(validation.edge))
        mrr = _mrr(user, product, asked, candidates, known, graph.data)
        if mrr > best:
            best, best_epoch = mrr, epoch
            best_state = {name: value.clone() for name, value in model.state_dict().items()}
        if epoch - best_epoch >= options.patience:
            break
    told = f"epoch {best_epoch + 1}, validation MRR {best:.4f}"
    print(told, file=sys.stderr, flush=True)
    model.load_state_dict(best_state)
    user, product = _vectors(model, graph.edges, graph.weights)
    return user.numpy(), product.numpy()


def edge_loss(
    scale: Tensor,
    offset: Tensor,
    user: Tensor,
    product: Tensor,
    batch: Positives,
    candidates: FittingParts,
    options: PlainOptions,
    generator: torch.Generator,
) -> Tensor:
    """Binary cross-entropy. A positive is drawn as often as its weight says, and counts as much as its negatives."""
    nobody = torch.empty(0, dtype=torch.long)
    negatives = draw_negatives(batch, nobody, candidates, options.negatives, generator)
    rows = user[batch.user]
    positive = (rows * product[batch.product]).sum(1)
    negative = ragged_scores(rows, product, RaggedPairs.of_table(negatives.product))
    positive, negative = (scale * score + offset for score in (positive, negative.view_as(negatives.product)))
    if options.corrects_draws:
        positive = positive - negatives.positive_log_expected
        negative = negative - negatives.log_expected
    found = functional.binary_cross_entropy_with_logits(positive, torch.ones_like(positive))
    return found + functional.binary_cross_entropy_with_logits(negative, torch.zeros_like(negative))


@torch.no_grad()
def _vectors(model: PlainNetwork, edges: Any, weights: Any) -> tuple[Tensor, Tensor]:
    model.eval()
    vectors: tuple[Tensor, Tensor] = model(edges, weights)
    return vectors


def _mrr(
    user: Tensor,
    product: Tensor,
    asked: Positives,
    candidates: FittingParts,
    known: Tensor,
    data: HeteroData,
) -> float:
    """MRR of the edges that are asked for, among parts that are not ``known``."""
    eligible = data["product"].eligible
    rivals = rivals_of(asked, candidates, eligible, known)
    return float(reciprocal_ranks(user, product, asked, asked.user, rivals).mean())


def _keys(met: Positives, candidates: FittingParts) -> Tensor:
    keys: Tensor = met.user * candidates.num_products + met.product
    return keys


def _standardised(features: Tensor) -> Tensor:
    return (features - features.mean(0)) / features.std(0).clamp_min(1e-6)
