"""What the network may see while it is trained: the graph without the edges it is asked to predict."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.adjacency import Adjacency
from holley_assets.gnn.graph_edges import InteractionEdges, vehicle_demand
from holley_assets.gnn.graph_schema import FITS, INTERACTS, REV_FITS, REV_INTERACTS
from holley_assets.gnn.model import adjacencies_of

Adjacencies = dict[tuple[str, str, str], Adjacency]


class MessageGraph:
    """Adjacencies of ``data``, also without some of its interactions."""

    def __init__(self, data: HeteroData) -> None:
        self.data = data
        self.full: Adjacencies = adjacencies_of(data)

    def keeping(self, keep: Bool[Tensor, "edges"]) -> Adjacencies:
        """Adjacencies with the interacts edges of ``keep`` alone.

        Their reverses go with them, and so does what they add to the demand that fits edges carry: a part
        that the network is asked about must not be named by any edge.
        """
        store, num_users = self.data[INTERACTS], self.data["user"].num_nodes
        num_products, num_vehicles = self.data["product"].num_nodes, self.data["vehicle"].num_nodes
        kept = InteractionEdges(store.edge_index[:, keep], store.weight[keep], store.orders[keep])
        features = store.edge_attr[keep]
        owners = vehicle_demand(self.data[FITS].edge_index, self.data["user"].vehicle, kept, num_vehicles)
        demand = torch.stack(owners, dim=1).to(features.dtype)
        return {
            **self.full,
            INTERACTS: Adjacency.build(kept.edge_index, features, num_users, num_products),
            REV_INTERACTS: Adjacency.build(kept.edge_index.flip(0), features, num_products, num_users),
            FITS: self.full[FITS].with_features(demand),
            REV_FITS: self.full[REV_FITS].with_features(demand),
        }
