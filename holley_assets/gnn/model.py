"""The two-tower heterogeneous graph network.

Cars and parts have learned vectors by level (:mod:`holley_assets.gnn.levels`). Cars then exchange messages over
the parts that fit both, hop by hop with learned weights. Layers of graph attention over all relations, where they
are asked for, add the messages that they receive (:mod:`holley_assets.gnn.towers`). The result is delivered as
vectors of length one whose dot product is the score.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.data import HeteroData

from holley_assets.gnn.adjacency import Adjacency
from holley_assets.gnn.car_graph import CarGraph
from holley_assets.gnn.graph_schema import OWNS, RELATIONS
from holley_assets.gnn.levels import Levels
from holley_assets.gnn.towers import AttentionOptions, AttentionTowers

# A product's bias and what fills each side up to length one take a channel each.
EXTRA_CHANNELS = 3
# Weight of each hop at the start of a training with messages.
INITIAL_HOP_WEIGHT = 0.5


@dataclass(frozen=True)
class ModelOptions:
    """Shape of the network; see ``settings.ModelSettings`` for the reasons.

    Attributes:
        embedding_dim: channels of the vectors that are delivered.
        hops: how far cars exchange messages, over the parts that fit both.
        attention: layers of graph attention on top; none by default.
    """

    embedding_dim: int = 32
    hops: int = 2
    attention: AttentionOptions | None = None


class Vectors(NamedTuple):
    """Vectors before they are brought to length one; their dot product is the logit of a choice.

    Attributes:
        user: the last channel is 1 and meets the product's bias.
        product: the last channel is the bias.
    """

    user: Float[Tensor, "profiles channels"]
    product: Float[Tensor, "products channels"]

    def unit(
        self,
    ) -> tuple[Float[Tensor, "profiles dimension"], Float[Tensor, "products dimension"], float]:
        """Vectors of length one, and the temperature; they have two channels more.

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


class HeteroGAT(nn.Module):
    """Two towers over the graph of vehicles and the parts that fit them."""

    def __init__(self, data: HeteroData, options: ModelOptions) -> None:
        super().__init__()
        self.options = options
        dim = options.embedding_dim - EXTRA_CHANNELS
        self.levels = Levels(data, dim)
        # Zero: no car hears of another before a training finds that it gains.
        self.hops = nn.Parameter(torch.zeros(options.hops))
        self.towers = AttentionTowers(data, options.attention, dim) if options.attention else None

    def learned(self, *, vectors: bool, messages: bool) -> list[Tensor]:
        """What a fit to demand learns: biases, with ``vectors`` those too, with ``messages`` the hops' weights."""
        if not vectors:
            return self.levels.biases()
        return [*self.levels.parameters(), *([self.hops] if messages else [])]

    def cars(self, data: HeteroData, graph: CarGraph | None) -> Float[Tensor, "classes channels"]:
        """Vectors of classes of cars with a last channel of 1, which meets the part's bias.

        Args:
            graph: the paths over which they exchange messages; None for none.
        """
        car = self.levels.classes(data)
        if graph is not None:
            message = car
            for weight in self.hops:
                message = graph.spread(message)
                car = car + weight * message
        return _with_one(car)

    def embed_nodes(self, data: HeteroData, graph: CarGraph | None) -> Vectors:
        """Vectors of user nodes and product nodes without attention; ``graph`` as in :meth:`cars`."""
        # A car that nothing fits is its make and model.
        cars = torch.cat([self.cars(data, graph), _with_one(self.levels.vehicles(data))])
        of_class, of_vehicle = data["user"].vehicle_class, data["user"].vehicle + len(data.classes)
        user = cars.index_select(0, torch.where(of_class >= 0, of_class, of_vehicle))
        return Vectors(user, self.levels.products(data))

    def forward(
        self,
        data: HeteroData,
        adjacencies: dict[tuple[str, str, str], Adjacency] | None = None,
        users: Int[Tensor, "asked"] | None = None,
    ) -> Vectors:
        """Vectors of user nodes and product nodes.

        Args:
            adjacencies: edges that pass messages in the layers of attention; all edges of ``data`` where it is None.
            users: the user nodes whose vectors are asked for, ascending; the rows of all others may stay zero.
                All users where it is None.
        """
        vectors = self.embed_nodes(data, CarGraph(data) if self.hops.detach().any() else None)
        if self.towers is None:
            return vectors
        adjacencies = adjacencies_of(data) if adjacencies is None else adjacencies
        user, product = self.towers(data, adjacencies, *vectors, self.levels.vehicles(data), users)
        return Vectors(_with_one(user), product)


def _with_one(x: Float[Tensor, "rows dimension"]) -> Float[Tensor, "rows dimension+1"]:
    return torch.cat([x, torch.ones_like(x[:, :1])], dim=1)


def adjacencies_of(data: HeteroData) -> dict[tuple[str, str, str], Adjacency]:
    """Compressed rows of every edge type of ``data``."""
    present = set(data.edge_types)
    return {
        kind: Adjacency.build(
            data[kind].edge_index,
            data[kind].edge_attr,
            data[kind[0]].num_nodes,
            data[kind[2]].num_nodes,
            data[kind].multiplicity if kind == OWNS else None,
        )
        for relation in RELATIONS
        for kind in relation.edge_types
        if kind in present
    }
