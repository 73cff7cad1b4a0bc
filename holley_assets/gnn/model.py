"""The two-tower heterogeneous graph attention network.

Nodes start as learned vectors fused with their features. Layers of graph attention over all relations pass
messages with residual connections, and two towers add what the messages say to where the nodes started. The
result is delivered as vectors of length one whose dot product is the score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import HeteroData

from holley_assets.gnn.adjacency import Adjacency
from holley_assets.gnn.attention import HeteroAttention, SparseGATConv
from holley_assets.gnn.dropout import Dropout, dropout
from holley_assets.gnn.graph_schema import EDGE_TYPES, LOG_VISITORS, OWNS, TIERS

# A product's bias and what fills each side up to length one take a channel each.
EXTRA_CHANNELS = 3
# Node types whose vectors are asked for.
TOWERS = ("user", "product")
# Centre and width of model years as a feature, so that they are of order one.
MEAN_YEAR, YEAR_SCALE = 1990.0, 25.0
# Standard deviation of learned vectors of vehicles at the start: small, for the prior pulls them to zero.
INITIAL_DEVIATION = 0.1


@dataclass(frozen=True)
class ModelOptions:
    """Shape of the network; see ``settings.ModelSettings`` for the reasons."""

    embedding_dim: int = 128
    hidden_dim: int = 256
    heads: int = 4
    layers: int = 2
    part_type_dim: int = 32
    dropout: float = 0.1
    use_identities: bool = True


class Vectors(NamedTuple):
    """Vectors before they are brought to length one; their dot product is the logit of a choice.

    Attributes:
        user: ``[num_profiles, embedding_dim − 2]``; the last channel is 1 and meets the product's bias.
        product: ``[num_products, embedding_dim − 2]``; the last channel is the bias.
    """

    user: Tensor
    product: Tensor

    def unit(self) -> tuple[Tensor, Tensor, float]:
        """Vectors ``[·, embedding_dim]`` of length one, and the temperature.

        Each side is divided by its longest vector's length and filled up to length one in a channel where the
        other side is zero (Neyshabur & Srebro 2015, arXiv:1410.5518). So ``temperature · cosine`` is the logit
        exactly, with one temperature for all users and parts: a score means the same for every vehicle.
        """
        user_length = self.user.norm(dim=1)
        product_length = self.product.norm(dim=1)
        longest_user, longest_product = user_length.max(), product_length.max()
        user, product = self.user / longest_user, self.product / longest_product
        rest_user = (1.0 - (user_length / longest_user).square()).clamp_min(0.0).sqrt()[:, None]
        rest_product = (1.0 - (product_length / longest_product).square()).clamp_min(0.0).sqrt()[:, None]
        return (
            functional.normalize(torch.cat([user, rest_user, torch.zeros_like(rest_user)], dim=1), dim=1),
            functional.normalize(
                torch.cat([product, torch.zeros_like(rest_product), rest_product], dim=1), dim=1
            ),
            float(longest_user * longest_product),
        )


class NodeEncoder(nn.Module):
    """Learned vectors and features of the nodes: what is known of each without its neighbours."""

    def __init__(self, data: HeteroData, options: ModelOptions) -> None:
        super().__init__()
        dim = options.embedding_dim - EXTRA_CHANNELS
        self.use_identities = options.use_identities
        self.product_identity = nn.Embedding(data["product"].num_nodes, dim)
        self.product_bias = nn.Embedding(data["product"].num_nodes, 1)
        self.part_type = nn.Embedding(len(data.part_types), options.part_type_dim)
        self.part_type_identity = nn.Embedding(len(data.part_types), dim)
        self.part_type_bias = nn.Embedding(len(data.part_types), 1)
        self.vehicle_identity = nn.Embedding(data["vehicle"].num_nodes, dim)
        self.generation = nn.Embedding(len(data.generations), dim)
        self.make = nn.Embedding(len(data.makes), dim)
        self.tier = nn.Embedding(len(TIERS), dim)
        self.year = nn.Linear(2, dim, bias=False)
        self.product_features = _mlp(
            data["product"].features.shape[1] + options.part_type_dim,
            options.hidden_dim,
            dim + 1,
            options.dropout,
        )
        self.vehicle_features = _mlp(
            data["vehicle"].features.shape[1], options.hidden_dim, dim, options.dropout
        )
        self.popularity = nn.Parameter(torch.tensor(1.0))
        for table in (self.vehicle_identity, self.generation, self.make):
            nn.init.normal_(table.weight, std=INITIAL_DEVIATION)
        # Products, and every network by its last layer, start at zero: the untrained network ranks by popularity,
        # and that is what a training returns that finds nothing better.
        for weight in (
            self.product_identity.weight,
            self.product_bias.weight,
            self.part_type_identity.weight,
            self.part_type_bias.weight,
            self.tier.weight,
            self.year.weight,
        ):
            nn.init.zeros_(weight)
        self.register_buffer("product_mean", data["product"].features.mean(0))
        self.register_buffer("product_scale", data["product"].features.std(0).clamp_min(1e-3))
        self.register_buffer("vehicle_mean", data["vehicle"].features.mean(0))
        self.register_buffer("vehicle_scale", data["vehicle"].features.std(0).clamp_min(1e-3))

    def features(self, data: HeteroData) -> tuple[Tensor, Tensor]:
        """What features add: ``[num_products, dim + 1]``, the last a bias, and ``[num_vehicles, dim]``."""
        features = (data["product"].features - self.product_mean) / self.product_scale
        product = self.product_features(
            torch.cat([self.part_type(data["product"].part_type), features], dim=1)
        )
        vehicle = self.vehicle_features((data["vehicle"].features - self.vehicle_mean) / self.vehicle_scale)
        return product, vehicle

    def bias(self, data: HeteroData, of_features: Tensor) -> Tensor:
        """Bias of each product, ``[num_products]``; ``of_features`` is what features add to it."""
        bias = of_features + self.part_type_bias(data["product"].part_type)[:, 0]
        bias = bias + self.popularity * data["product"].features[:, LOG_VISITORS]
        return bias + self.product_bias.weight[:, 0] if self.use_identities else bias

    def forward(
        self,
        data: HeteroData,
        features: tuple[Tensor, Tensor] | None = None,
        users: Tensor | slice = slice(None),
    ) -> tuple[dict[str, Tensor], Tensor]:
        """Vectors ``[num_nodes, dim]`` by node type, and the bias of each product.

        Args:
            features: of :meth:`features`, where they are known because they do not change.
            users: the user nodes that are asked for; all of them if not given.
        """
        fused, of_vehicle = self.features(data) if features is None else features
        product = fused[:, :-1] + self.part_type_identity(data["product"].part_type)
        vehicle = self.make(data["vehicle"].make) + of_vehicle
        if self.use_identities:
            product = product + self.product_identity.weight
            vehicle = vehicle + self.vehicle_identity.weight
        year = (data["user"].year[users].to(self.year.weight.dtype) - MEAN_YEAR) / YEAR_SCALE
        user = (
            vehicle.index_select(0, data["user"].vehicle[users])
            + self.generation(data["user"].generation[users])
            + self.tier(data["user"].tier[users])
            + self.year(torch.stack([year, year.square()], dim=1))
        )
        return {"user": user, "product": product, "vehicle": vehicle}, self.bias(data, fused[:, -1])


class HeteroGAT(nn.Module):
    """Two towers over a heterogeneous graph attention network."""

    def __init__(self, data: HeteroData, options: ModelOptions) -> None:
        super().__init__()
        self.options = options
        hidden, dim = options.hidden_dim, options.embedding_dim - EXTRA_CHANNELS
        self.encoder = NodeEncoder(data, options)
        self.project = nn.ModuleDict({kind: nn.Linear(dim, hidden) for kind in data.node_types})
        self.convolutions = nn.ModuleList()
        self.norms = nn.ModuleList()
        for layer in range(options.layers):
            # The towers ask the last layer for users and products alone.
            last = layer == options.layers - 1
            self.convolutions.append(
                HeteroAttention(
                    {
                        kind: SparseGATConv(
                            hidden, hidden, options.heads, data[kind].edge_attr.shape[1], options.dropout
                        )
                        for kind in EDGE_TYPES
                        if not last or kind[2] in TOWERS
                    }
                )
            )
            self.norms.append(nn.ModuleDict({kind: nn.LayerNorm(hidden) for kind in data.node_types}))
        self.user_tower = _mlp(hidden, hidden, dim, options.dropout)
        self.product_tower = _mlp(hidden, hidden, dim + 1, options.dropout)

    def embed_nodes(
        self,
        data: HeteroData,
        features: tuple[Tensor, Tensor] | None = None,
        users: Tensor | slice = slice(None),
    ) -> Vectors:
        """Vectors of nodes without their neighbours, which the demand for each car trains first.

        Args:
            features, users: as in :meth:`NodeEncoder.forward`.
        """
        x, bias = self.encoder(data, features, users)
        return _vectors(x["user"], x["product"], bias)

    def forward(
        self,
        data: HeteroData,
        adjacencies: dict[tuple[str, str, str], Adjacency],
        users: Tensor | None = None,
    ) -> Vectors:
        """Vectors of user nodes and product nodes, with the messages of ``adjacencies``.

        Args:
            users: the user nodes whose vectors are asked for, ascending; the rows of all others stay zero. What
                only they would need is not computed. All users where it is None.
        """
        start, bias = self.encoder(data)
        x = {kind: self.project[kind](state) for kind, state in start.items()}
        for layer, (convolution, norms) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            normalised = {kind: norm(x[kind]) for kind, norm in cast(nn.ModuleDict, norms).items()}
            targets = normalised
            if layer == len(self.convolutions) - 1:
                x = {kind: x[kind] for kind in TOWERS}
                if users is not None:
                    x["user"] = x["user"].index_select(0, users)
                    targets = {**normalised, "user": normalised["user"].index_select(0, users)}
                    adjacencies = {
                        kind: adjacency.of_targets(users) if kind[2] == "user" else adjacency
                        for kind, adjacency in adjacencies.items()
                    }
            messages = convolution(normalised, targets, adjacencies)
            x = {
                kind: state + dropout(functional.elu(messages[kind]), self.options.dropout, self.training)
                for kind, state in x.items()
            }
        heard = self.product_tower(x["product"])
        product, bias = start["product"] + heard[:, :-1], bias + heard[:, -1]
        if users is None:
            return _vectors(start["user"] + self.user_tower(x["user"]), product, bias)
        told = x["user"] if len(self.convolutions) else x["user"].index_select(0, users)
        asked = _vectors(start["user"].index_select(0, users) + self.user_tower(told), product, bias)
        everyone = asked.user.new_zeros(len(start["user"]), asked.user.shape[1])
        return Vectors(everyone.index_copy(0, users, asked.user), asked.product)


def _vectors(user: Tensor, product: Tensor, bias: Tensor) -> Vectors:
    return Vectors(
        torch.cat([user, torch.ones_like(user[:, :1])], dim=1), torch.cat([product, bias[:, None]], dim=1)
    )


def adjacencies_of(data: HeteroData) -> dict[tuple[str, str, str], Adjacency]:
    """Compressed rows of every edge type of ``data``."""
    return {
        kind: Adjacency.build(
            data[kind].edge_index,
            data[kind].edge_attr,
            data[kind[0]].num_nodes,
            data[kind[2]].num_nodes,
            data[kind].multiplicity if kind == OWNS else None,
        )
        for kind in EDGE_TYPES
    }


def _mlp(inputs: int, hidden: int, outputs: int, dropout: float) -> nn.Sequential:
    """Two layers; the second starts at zero, so that it adds nothing until it is trained."""
    last = nn.Linear(hidden, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), Dropout(dropout), last)
