"""The two-tower heterogeneous graph attention network.

Nodes start as learned vectors fused with their features; layers of ``HeteroConv`` over graph attention pass
messages with residual connections; two towers give vectors of length one whose dot product is the score.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import HeteroData
from torch_geometric.nn import HeteroConv

from holley_assets.gnn.attention import Adjacency, SparseGATConv
from holley_assets.gnn.graph import EDGE_TYPES, OWNS, TIERS

# Years enter as the number of five-year bands since 1900, up to 2050.
YEAR_BAND = 5
FIRST_YEAR = 1900
YEAR_BANDS = 30


@dataclass(frozen=True)
class ModelOptions:
    """Shape of the network; see ``settings.ModelSettings`` for the reasons."""

    embedding_dim: int = 128
    hidden_dim: int = 256
    heads: int = 4
    layers: int = 2
    part_type_dim: int = 32
    dropout: float = 0.1
    identity_dropout: float = 0.2
    use_identities: bool = True


class NodeEncoder(nn.Module):
    """Learned vectors and features of the three node types, ``[num_nodes, hidden_dim]`` each."""

    def __init__(self, data: HeteroData, options: ModelOptions) -> None:
        super().__init__()
        dim, hidden = options.embedding_dim, options.hidden_dim
        self.options = options
        self.product_identity = nn.Embedding(data["product"].num_nodes, dim)
        self.vehicle_identity = nn.Embedding(data["vehicle"].num_nodes, dim)
        self.part_type = nn.Embedding(len(data.part_types), options.part_type_dim)
        self.make = nn.Embedding(len(data.makes), dim)
        self.tier = nn.Embedding(len(TIERS), dim)
        self.year_band = nn.Embedding(YEAR_BANDS, dim)
        for table in (self.product_identity, self.vehicle_identity, self.make, self.tier, self.year_band):
            nn.init.normal_(table.weight, std=dim**-0.5)
        nn.init.normal_(self.part_type.weight, std=options.part_type_dim**-0.5)
        features = data["product"].features.shape[1] + options.part_type_dim
        self.product_features = _mlp(features, hidden, dim, options.dropout)
        self.vehicle_features = _mlp(data["vehicle"].features.shape[1], hidden, dim, options.dropout)
        self.project = nn.ModuleDict({kind: nn.Linear(dim, hidden) for kind in data.node_types})
        self.register_buffer("product_mean", data["product"].features.mean(0))
        self.register_buffer("product_scale", data["product"].features.std(0).clamp_min(1e-3))
        self.register_buffer("vehicle_mean", data["vehicle"].features.mean(0))
        self.register_buffer("vehicle_scale", data["vehicle"].features.std(0).clamp_min(1e-3))

    def forward(self, data: HeteroData) -> dict[str, Tensor]:
        product = self.product_features(
            torch.cat(
                [
                    self.part_type(data["product"].part_type),
                    (data["product"].features - self.product_mean) / self.product_scale,
                ],
                dim=1,
            )
        )
        vehicle = self.vehicle_features((data["vehicle"].features - self.vehicle_mean) / self.vehicle_scale)
        vehicle = vehicle + self.make(data["vehicle"].make)
        if self.options.use_identities:
            product = product + self._identity(self.product_identity.weight)
            vehicle = vehicle + self._identity(self.vehicle_identity.weight)
        band = ((data["user"].year - FIRST_YEAR) // YEAR_BAND).clamp(0, YEAR_BANDS - 1)
        user = self.tier(data["user"].tier) + self.year_band(band)
        return {
            "product": self.project["product"](product),
            "vehicle": self.project["vehicle"](vehicle),
            "user": self.project["user"](user),
        }

    def _identity(self, weight: Tensor) -> Tensor:
        """Drop whole vectors, so that a node's features must speak for it too."""
        if not self.training or not self.options.identity_dropout:
            return weight
        keep = 1.0 - self.options.identity_dropout
        mask = torch.rand(len(weight), 1, device=weight.device) < keep
        return weight * mask / keep


class HeteroGAT(nn.Module):
    """Two towers over a heterogeneous graph attention network.

    The vectors are ``[·, embedding_dim]`` of length one. The last two channels of a product vector carry its
    popularity prior and what is left to length one; a user vector carries a constant there. So a score is
    ``(gate · cosine(user, product) + prior(product)) / norm`` with one norm for every user and product: it
    ranks by popularity where the gate learns nothing, and means the same for every vehicle.
    """

    def __init__(self, data: HeteroData, options: ModelOptions) -> None:
        super().__init__()
        self.options = options
        hidden = options.hidden_dim
        self.encoder = NodeEncoder(data, options)
        self.convolutions = nn.ModuleList()
        self.norms = nn.ModuleList()
        for _ in range(options.layers):
            self.convolutions.append(
                HeteroConv(
                    {
                        kind: SparseGATConv(
                            hidden, hidden, options.heads, data[kind].edge_attr.shape[1], options.dropout
                        )
                        for kind in EDGE_TYPES
                    },
                    aggr="sum",
                )
            )
            self.norms.append(nn.ModuleDict({kind: nn.LayerNorm(hidden) for kind in data.node_types}))
        # Two channels are the prior's and the remainder's.
        self.user_tower = _mlp(hidden, hidden, options.embedding_dim - 2, options.dropout)
        self.product_tower = _mlp(hidden, hidden, options.embedding_dim - 2, options.dropout)
        self.register_buffer("popularity_scale", data["product"].features[:, 1].max().clamp_min(1e-3))
        self.log_gate = nn.Parameter(torch.tensor(-3.0))
        self.log_temperature = nn.Parameter(torch.tensor(2.5))
        self.bias = nn.Parameter(torch.tensor(-2.0))

    def hidden(self, data: HeteroData, adjacencies: dict[tuple[str, str, str], Adjacency]) -> dict[str, Tensor]:
        """Node states after the last layer, ``[num_nodes, hidden_dim]`` by node type."""
        x = self.encoder(data)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            messages = convolution({kind: norm[kind](state) for kind, state in x.items()}, adjacencies)
            x = {
                kind: state
                + functional.dropout(functional.elu(messages[kind]), self.options.dropout, self.training)
                if kind in messages
                else state
                for kind, state in x.items()
            }
        return x

    def forward(
        self, data: HeteroData, adjacencies: dict[tuple[str, str, str], Adjacency]
    ) -> tuple[Tensor, Tensor]:
        """Vectors of length one of every user node and every product node."""
        x = self.hidden(data, adjacencies)
        user = functional.normalize(self.user_tower(x["user"]), dim=1)
        product = functional.normalize(self.product_tower(x["product"]), dim=1)
        prior = (data["product"].features[:, 1:2] / self.popularity_scale).clamp(0.0, 1.0)
        remainder = (1.0 - prior.square()).clamp_min(0.0).sqrt()
        gate = self.log_gate.exp()
        product = torch.cat([gate * product, prior, remainder], dim=1) / (gate.square() + 1.0).sqrt()
        ones = torch.ones_like(user[:, :1])
        user = torch.cat([user, ones, torch.zeros_like(ones)], dim=1) * 0.5**0.5
        return user, product


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
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, outputs))
