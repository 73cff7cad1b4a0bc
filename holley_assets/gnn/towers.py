"""Graph attention over all relations: what it adds to the vectors of users and parts.

Layers pass messages with residual connections, and two towers say what they add. Their last layers start at zero,
so that they add nothing until they are trained.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import HeteroData

from holley_assets.gnn.adjacency import Adjacency
from holley_assets.gnn.attention import HeteroAttention, SparseGATConv
from holley_assets.gnn.dropout import Dropout, dropout
from holley_assets.gnn.graph_schema import relations_in_use
from holley_assets.terms import TIERS

# Node types whose vectors are asked for.
TOWERS = ("user", "product")
# Centre and width of model years as a feature, so that they are of order one.
MEAN_YEAR, YEAR_SCALE = 1990.0, 25.0


@dataclass(frozen=True)
class AttentionOptions:
    """Shape of the layers; see ``settings.ModelSettings`` for the reasons."""

    hidden_dim: int = 256
    heads: int = 4
    layers: int = 2
    part_type_dim: int = 32
    dropout: float = 0.1
    co_viewed: bool = False


class AttentionTowers(nn.Module):
    """Layers of graph attention over nodes with features, and a tower for users and one for parts."""

    def __init__(self, data: HeteroData, options: AttentionOptions, dim: int) -> None:
        super().__init__()
        self.options = options
        hidden = options.hidden_dim
        self.part_type = nn.Embedding(len(data.part_types), options.part_type_dim)
        self.tier = nn.Embedding(len(TIERS), dim)
        self.year = nn.Linear(2, dim, bias=False)
        product_features = data["product"].features.shape[1] + options.part_type_dim
        self.product_features = _mlp(product_features, hidden, dim + 1, options.dropout)
        self.vehicle_features = _mlp(data["vehicle"].features.shape[1], hidden, dim, options.dropout)
        nn.init.zeros_(self.tier.weight)
        nn.init.zeros_(self.year.weight)
        self.register_buffer("product_mean", data["product"].features.mean(0))
        self.register_buffer("product_scale", data["product"].features.std(0).clamp_min(1e-3))
        self.register_buffer("vehicle_mean", data["vehicle"].features.mean(0))
        self.register_buffer("vehicle_scale", data["vehicle"].features.std(0).clamp_min(1e-3))
        self.project = nn.ModuleDict({kind: nn.Linear(dim, hidden) for kind in data.node_types})
        self.convolutions = nn.ModuleList()
        self.norms = nn.ModuleList()
        kinds = [kind for relation in relations_in_use(options) for kind in relation.edge_types]
        if missing := [name for _, name, _ in kinds if name not in {kind[1] for kind in data.edge_types}]:
            raise ValueError(f"the network reads {', '.join(missing)}, and the graph was built without")
        for layer in range(options.layers):
            # The towers ask the last layer for users and products alone.
            last = layer == options.layers - 1
            self.convolutions.append(
                HeteroAttention(
                    {
                        kind: SparseGATConv(
                            hidden, hidden, options.heads, data[kind].edge_attr.shape[1], options.dropout
                        )
                        for kind in kinds
                        if not last or kind[2] in TOWERS
                    }
                )
            )
            self.norms.append(nn.ModuleDict({kind: nn.LayerNorm(hidden) for kind in data.node_types}))
        self.user_tower = _mlp(hidden, hidden, dim, options.dropout)
        self.product_tower = _mlp(hidden, hidden, dim + 1, options.dropout)

    def forward(
        self,
        data: HeteroData,
        adjacencies: dict[tuple[str, str, str], Adjacency],
        user: Float[Tensor, "profiles channels"],
        product: Float[Tensor, "products channels"],
        vehicle: Float[Tensor, "vehicles channels-1"],
        users: Int[Tensor, "asked"] | None,
    ) -> tuple[Float[Tensor, "profiles channels-1"], Float[Tensor, "products channels"]]:
        """Vectors of users and, with the bias, of parts.

        Args:
            user, product: vectors without attention, each with a last channel for the bias.
            vehicle: vectors of makes and models.
            users: the user nodes whose vectors are asked for, ascending; what only others would need is not computed,
                and their rows stay zero. All users where it is None.
        """
        start, bias = self._start(data, user[:, :-1], product, vehicle)
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
        products = torch.cat([start["product"], bias[:, None]], dim=1) + self.product_tower(x["product"])
        if users is None:
            return start["user"] + self.user_tower(x["user"]), products
        asked = start["user"].index_select(0, users) + self.user_tower(x["user"])
        everyone = asked.new_zeros(len(start["user"]), asked.shape[1])
        return everyone.index_copy(0, users, asked), products

    def _start(
        self,
        data: HeteroData,
        user: Float[Tensor, "profiles dimension"],
        product: Float[Tensor, "products dimension+1"],
        vehicle: Float[Tensor, "vehicles dimension"],
    ) -> tuple[dict[str, Float[Tensor, "_ dimension"]], Float[Tensor, "products"]]:
        """Vectors with their features by node type, and the bias of each part."""
        features = (data["product"].features - self.product_mean) / self.product_scale
        product = product + self.product_features(
            torch.cat([self.part_type(data["product"].part_type), features], dim=1)
        )
        of_vehicle = self.vehicle_features(
            (data["vehicle"].features - self.vehicle_mean) / self.vehicle_scale
        )
        year = (data["user"].year.to(self.year.weight.dtype) - MEAN_YEAR) / YEAR_SCALE
        user = user + (
            of_vehicle.index_select(0, data["user"].vehicle)
            + self.tier(data["user"].tier)
            + self.year(torch.stack([year, year.square()], dim=1))
        )
        return {"user": user, "product": product[:, :-1], "vehicle": vehicle + of_vehicle}, product[:, -1]


def _mlp(inputs: int, hidden: int, outputs: int, dropout: float) -> nn.Sequential:
    """Two layers; the second starts at zero, so that it adds nothing until it is trained."""
    last = nn.Linear(hidden, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), Dropout(dropout), last)
