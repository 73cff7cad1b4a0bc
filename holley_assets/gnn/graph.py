"""The vehicle fitment graph: from node and edge tables to a PyG ``HeteroData``.

Three node types (user, product, vehicle) and four relations in seven edge types (interacts, fits and owns
with their reverses; co_purchased holds both directions). User nodes are *profiles*: users without history
that share make, model and year are one node with a count, because nothing in the graph tells them apart.
No e-mail address enters the graph.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from jaxtyping import Int32
from torch_geometric.data import HeteroData

from holley_assets.gnn.arrow_keys import joined_key, vocabulary
from holley_assets.gnn.car_graph import add_car_graph
from holley_assets.gnn.classes import add_classes
from holley_assets.gnn.graph_edges import add_edges, interactions_of
from holley_assets.gnn.graph_nodes import (
    add_candidates,
    add_part_sets,
    add_products,
    add_season,
    add_users,
    add_vehicles,
)
from holley_assets.gnn.graph_schema import GraphTables
from holley_assets.terms import View


@dataclass(frozen=True)
class BuiltGraph:
    """A graph and what is needed to address its nodes from outside.

    Attributes:
        data: the graph; see :func:`build_graph`.
        user_profiles: user node of each row of ``user_nodes``.
    """

    data: HeteroData
    user_profiles: Int32[np.ndarray, "users"]


def build_graph(
    tables: GraphTables,
    *,
    view: View,
    view_end: datetime.date,
    order_weight: float,
    decay_days: float,
    season_days: int,
) -> BuiltGraph:
    """Build the graph as of the cutoff (``view="training"``) or as of the run's day (``"serving"``).

    The result holds, beside the edge indices:

    * ``user``: ``tier``, ``year``, ``vehicle``, ``vehicle_year`` (row of the candidate lists, −1 where nothing
      fits), ``vehicle_class`` (its class, see :mod:`holley_assets.gnn.classes`, or −1), ``count`` (users behind the
      node) and ``cold_profile`` (the node of the same car without history), each ``[num_profiles]``;
    * ``product``: ``part_type`` and ``features`` ``[num_products, 5]``: log price, log popularity, log fitment
      breadth, price known, log visitors (:data:`LOG_VISITORS`); ``eligible``; ``season``
      (see :mod:`holley_assets.gnn.season`);
    * ``vehicle``: ``make`` and ``features`` ``[num_vehicles, 2]``: log user count, log product count;
    * ``edge_attr`` of each edge type, ``[num_edges, dim]``; for interacts ``weight`` and ``orders`` too;
    * ``candidate_offsets``, ``candidate_products``: the parts that fit each year, make and model;
      ``class_of_row``, ``class_row``, ``class_vehicle``: cars that the same parts fit;
      ``car_neighbours``, ``car_weights``: what each class hears of (:mod:`holley_assets.gnn.car_graph`);
    * ``set_offsets``, ``set_products``, ``set_visitors``: what visitors without a registered car met together
      before the cutoff, in both views: nothing is learned from what comes after it;
    * ``season_mixture``: what predicts demand, recent weeks to all time;
    * ``products``, ``vehicles``, ``classes``, ``part_types``, ``makes``: the keys behind the numbers.

    Args:
        view_end: first day the view does not see; orders on or after it are left out.
        order_weight: base weight of an order, for order history that no event repeats.
        decay_days: decay of that weight, ``exp(−days / decay_days)``, and of what is in season.
        season_days: newest days, whose orders tell how far recency predicts demand; 0 for no season.
    """
    prefix = "" if view == "training" else "serving_"
    products = tables.product_nodes["base_sku"].to_pylist()
    vehicle_keys = joined_key(tables.vehicle_nodes, "make", "model")
    product_vocabulary = pa.array(products, pa.string())

    data = HeteroData()
    add_products(data, tables, prefix)
    add_season(data, tables.daily_orders, product_vocabulary, view_end, decay_days, season_days)
    add_vehicles(data, tables)
    candidates = add_candidates(data, tables, product_vocabulary, prefix)
    add_classes(data, candidates, vehicle_keys)
    add_car_graph(data)
    add_part_sets(data, tables.visitor_parts, product_vocabulary)

    pairs = interactions_of(tables, prefix, view_end, order_weight, decay_days, product_vocabulary)
    user_profiles = add_users(data, tables.user_nodes, prefix, pairs.user, vehicle_keys, candidates)
    add_edges(data, tables, prefix, pairs, user_profiles, product_vocabulary, vehicle_keys)
    data.products = products
    data.vehicles = vehicle_keys.to_pylist()
    data.part_types = vocabulary(tables.product_nodes["part_type"])
    data.makes = vocabulary(tables.vehicle_nodes["make"])
    return BuiltGraph(data, user_profiles)


def save_graph(data: HeteroData, path: Path) -> None:
    """Write ``data`` so that it loads with ``weights_only=True``: tensors, lists and strings, no classes."""
    torch.save(data.to_dict(), path)


def load_graph(path: Path) -> HeteroData:
    """Read a graph that :func:`save_graph` wrote."""
    return HeteroData.from_dict(torch.load(path, weights_only=True))
