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
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from numpy.typing import NDArray
from torch_geometric.data import HeteroData

from holley_assets.gnn.arrow_keys import (
    SEPARATOR,
    FloatArray,
    IntArray,
    index_of,
    integers,
    joined_key,
    known_index,
    stacked,
    to_numpy,
    vocabulary,
)
from holley_assets.gnn.season import season

View = Literal["training", "serving"]

INTERACTS = ("user", "interacts", "product")
FITS = ("product", "fits", "vehicle")
OWNS = ("user", "owns", "vehicle")
CO_PURCHASED = ("product", "co_purchased", "product")
REV_INTERACTS = ("product", "rev_interacts", "user")
REV_FITS = ("vehicle", "rev_fits", "product")
REV_OWNS = ("vehicle", "rev_owns", "user")
EDGE_TYPES = (INTERACTS, REV_INTERACTS, FITS, REV_FITS, OWNS, REV_OWNS, CO_PURCHASED)

TIERS = ("cold", "warm", "hot")
# The product feature that an untrained network ranks by: who looks is many times who buys.
LOG_VISITORS = 4
# A model changes more between generations than within one. On samples three years did as well as one, with a
# third of the vectors, and better than five or ten.
GENERATION_YEARS = 3


@dataclass(frozen=True)
class GraphTables:
    """The tables the graph is built from; columns as the SQL files of the same names select them."""

    user_nodes: pa.Table
    product_nodes: pa.Table
    vehicle_nodes: pa.Table
    interacts_edges: pa.Table
    fits_edges: pa.Table
    co_purchased_edges: pa.Table
    fitment: pa.Table
    user_purchases: pa.Table
    visitor_demand: pa.Table
    daily_orders: pa.Table


@dataclass(frozen=True)
class BuiltGraph:
    """A graph and what is needed to address its nodes from outside.

    Attributes:
        data: the graph; see :func:`build_graph`.
        user_profiles: user node of each row of ``user_nodes``, ``[num_users]``.
    """

    data: HeteroData
    user_profiles: NDArray[np.int32]


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

    * ``user``: ``tier``, ``year``, ``vehicle``, ``generation`` (make, model and three years),
      ``vehicle_year`` (row of the candidate lists, −1 where nothing fits), ``count`` (users behind the node) and
      ``cold_profile`` (the node of the same car without history), each ``[num_profiles]``;
    * ``product``: ``part_type`` and ``features`` ``[num_products, 5]``: log price, log popularity, log fitment
      breadth, price known, log visitors (:data:`LOG_VISITORS`); ``eligible``; ``season``
      (see :mod:`holley_assets.gnn.season`);
    * ``vehicle``: ``make`` and ``features`` ``[num_vehicles, 2]``: log user count, log product count;
    * ``edge_attr`` of each edge type, ``[num_edges, dim]``; for interacts ``weight`` and ``orders`` too;
    * ``candidate_offsets``, ``candidate_products``: the parts that fit each year, make and model;
      ``candidate_demand``: visitors without a registered car that wanted the part for it;
    * ``season_mixture``: what foretells demand, recent weeks to all time;
    * ``products``, ``vehicles``, ``generations``, ``part_types``, ``makes``: the keys behind the numbers.

    Args:
        view_end: first day the view does not see; orders on or after it are left out.
        order_weight: base weight of an order, for order history that no event repeats.
        decay_days: decay of that weight, ``exp(−days / decay_days)``, and of what is in season.
        season_days: newest days, whose orders tell how far recency foretells demand; 0 for no season.
    """
    prefix = "" if view == "training" else "serving_"
    products = tables.product_nodes["base_sku"].to_pylist()
    vehicle_keys = joined_key(tables.vehicle_nodes, "make", "model")
    product_vocabulary = pa.array(products, pa.string())

    data = HeteroData()
    _add_products(data, tables, prefix)
    _add_season(data, tables.daily_orders, product_vocabulary, view_end, decay_days, season_days)
    _add_vehicles(data, tables)
    candidates = _add_candidates(data, tables, product_vocabulary, prefix)

    pairs = _interactions(tables, prefix, view_end, order_weight, decay_days, product_vocabulary)
    user_profiles = _add_users(data, tables.user_nodes, prefix, pairs.user, vehicle_keys, candidates)
    _add_edges(data, tables, prefix, pairs, user_profiles, product_vocabulary, vehicle_keys)
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


@dataclass(frozen=True)
class _Interactions:
    """Distinct pairs of a user (row of ``user_nodes``) and a product, with their strength."""

    user: IntArray
    product: IntArray
    weight: FloatArray
    orders: FloatArray


def _interactions(
    tables: GraphTables,
    prefix: str,
    view_end: datetime.date,
    order_weight: float,
    decay_days: float,
    product_vocabulary: pa.Array,
) -> _Interactions:
    """Events of the window together with all earlier orders of the same users."""
    emails = tables.user_nodes["email_lower"]
    edges = tables.interacts_edges.filter(pc.is_valid(tables.interacts_edges[f"{prefix}weight"]))
    purchases = tables.user_purchases.filter(
        pc.less(tables.user_purchases["order_date"], pa.scalar(view_end))
    )
    days = _days_before(view_end, purchases["order_date"])

    user = np.concatenate(
        [index_of(edges["email_lower"], emails), index_of(purchases["email_lower"], emails)]
    )
    product = np.concatenate(
        [index_of(edges["base_sku"], product_vocabulary), index_of(purchases["base_sku"], product_vocabulary)]
    )
    # An order inside the window is an event too, whose weight counts already.
    event_weight = to_numpy(edges[f"{prefix}weight"]).astype(np.float64)
    order_decay = order_weight * np.exp(-days / decay_days)
    known = (user >= 0) & (product >= 0)
    pair, inverse = np.unique(user[known] * len(product_vocabulary) + product[known], return_inverse=True)

    def total(edge_values: FloatArray, purchase_values: FloatArray) -> FloatArray:
        values = np.concatenate([edge_values, purchase_values])[known]
        return np.asarray(np.bincount(inverse, weights=values, minlength=len(pair)), np.float64)

    weight = total(event_weight, np.zeros(len(days)))
    history = total(np.zeros(len(event_weight)), order_decay)
    return _Interactions(
        user=pair // len(product_vocabulary),
        product=pair % len(product_vocabulary),
        weight=np.where(weight > 0, weight, history),
        orders=total(np.zeros(len(event_weight)), np.ones(len(days))),
    )


def _add_products(data: HeteroData, tables: GraphTables, prefix: str) -> None:
    nodes = tables.product_nodes
    price = to_numpy(pc.fill_null(nodes[f"{prefix}price"], 0.0)).astype(np.float64)
    data["product"].num_nodes = nodes.num_rows
    data["product"].part_type = integers(
        index_of(nodes["part_type"], pa.array(vocabulary(nodes["part_type"])))
    )
    data["product"].features = stacked(
        np.log1p(price),
        to_numpy(nodes[f"{prefix}log_popularity"]),
        np.log1p(to_numpy(nodes["fitment_breadth"])),
        (price > 0).astype(np.float32),
        to_numpy(nodes[f"{prefix}log_visitors"]),
    )


def _add_season(
    data: HeteroData,
    daily_orders: pa.Table,
    product_vocabulary: pa.Array,
    view_end: datetime.date,
    decay_days: float,
    season_days: int,
) -> None:
    orders = daily_orders.filter(pc.less(daily_orders["order_date"], pa.scalar(view_end)))
    product = index_of(orders["base_sku"], product_vocabulary)
    known = product >= 0
    found = season(
        product[known],
        _days_before(view_end, orders["order_date"])[known],
        to_numpy(orders["orders"]).astype(np.float64)[known],
        num_products=len(product_vocabulary),
        horizon=season_days,
        decay_days=decay_days,
    )
    data["product"].season = torch.from_numpy(found.shift)
    data.season_mixture = found.mixture.tolist()


def _days_before(end: datetime.date, dates: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.asarray(np.datetime64(end, "D") - to_numpy(dates).astype("datetime64[D]"), np.float64)


def _add_vehicles(data: HeteroData, tables: GraphTables) -> None:
    nodes = tables.vehicle_nodes
    data["vehicle"].num_nodes = nodes.num_rows
    data["vehicle"].make = integers(index_of(nodes["make"], pa.array(vocabulary(nodes["make"]))))
    data["vehicle"].features = stacked(
        np.log1p(to_numpy(nodes["user_count"])), np.log1p(to_numpy(nodes["product_count"]))
    )


def _add_candidates(
    data: HeteroData, tables: GraphTables, product_vocabulary: pa.Array, prefix: str
) -> pa.Array:
    """Parts that fit each year, make and model, in compressed rows; returns the keys of the rows."""
    fitment = tables.fitment
    keys = joined_key(fitment, "year", "make", "model").dictionary_encode()
    product = known_index(fitment["base_sku"], product_vocabulary, "fitment")
    row = keys.indices.to_numpy().astype(np.int64)
    order = np.lexsort((product, row))
    counts = np.bincount(row, minlength=len(keys.dictionary))
    data.candidate_offsets = integers(np.concatenate([[0], np.cumsum(counts)]))
    data.candidate_products = torch.from_numpy(product[order].astype(np.int32))
    eligible = np.zeros(len(product_vocabulary), bool)
    eligible[product[to_numpy(pc.is_valid(fitment[f"{prefix}sku"]))]] = True
    data["product"].eligible = torch.from_numpy(eligible)

    demand = tables.visitor_demand.filter(pc.is_valid(tables.visitor_demand[f"{prefix}weight"]))
    pairs = row[order] * len(product_vocabulary) + product[order]
    wanted_row = known_index(joined_key(demand, "year", "make", "model"), keys.dictionary, "visitor_demand")
    wanted = wanted_row * len(product_vocabulary) + index_of(demand["base_sku"], product_vocabulary)
    weight = np.zeros(len(pairs), np.float32)
    weight[np.searchsorted(pairs, wanted)] = to_numpy(demand[f"{prefix}weight"])
    data.candidate_demand = torch.from_numpy(weight)
    return keys.dictionary


def _add_users(
    data: HeteroData,
    users: pa.Table,
    prefix: str,
    active_users: IntArray,
    vehicle_keys: pa.Array,
    candidate_keys: pa.Array,
) -> NDArray[np.int32]:
    """User nodes: first one for each car (no history), then one for each user with history."""
    vehicle = known_index(joined_key(users, "make", "model"), vehicle_keys, "user_nodes")
    year = to_numpy(users["year"]).astype(np.int64)
    car, car_of_user = np.unique(np.stack([vehicle, year]), axis=1, return_inverse=True)
    car_of_user = car_of_user.reshape(-1)
    active = np.unique(active_users)
    profile = car_of_user.copy()
    profile[active] = car.shape[1] + np.arange(len(active))

    car_of_profile = np.concatenate([np.arange(car.shape[1]), car_of_user[active]])
    tier = np.zeros(len(car_of_profile), np.int64)
    tier[car.shape[1] :] = index_of(users[f"{prefix}engagement_tier"], pa.array(TIERS))[active]
    first_user = np.unique(car_of_user, return_index=True)[1]
    candidate_row = index_of(
        joined_key(users, "year", "make", "model").take(pa.array(first_user)), candidate_keys
    )

    store = data["user"]
    store.num_nodes = len(car_of_profile)
    store.tier = integers(tier)
    store.vehicle = integers(car[0][car_of_profile])
    store.year = integers(car[1][car_of_profile])
    store.vehicle_year = integers(candidate_row[car_of_profile])
    store.count = integers(np.bincount(profile, minlength=len(car_of_profile)))
    store.cold_profile = integers(car_of_profile)
    generation = pa.array(
        [
            f"{vehicle_keys[v].as_py()}{SEPARATOR}{y // GENERATION_YEARS}"
            for v, y in zip(*car.tolist(), strict=True)
        ],
        pa.string(),
    )
    data.generations = sorted(set(generation.to_pylist()))
    store.generation = integers(index_of(generation, pa.array(data.generations, pa.string()))[car_of_profile])
    return profile.astype(np.int32)


def _add_edges(
    data: HeteroData,
    tables: GraphTables,
    prefix: str,
    pairs: _Interactions,
    user_profiles: NDArray[np.int32],
    product_vocabulary: pa.Array,
    vehicle_keys: pa.Array,
) -> None:
    interacts = np.stack([user_profiles[pairs.user].astype(np.int64), pairs.product])
    _add_relation(data, INTERACTS, REV_INTERACTS, interacts, np.log1p(pairs.weight), np.log1p(pairs.orders))
    data[INTERACTS].weight = torch.from_numpy(pairs.weight.astype(np.float32))
    data[INTERACTS].orders = torch.from_numpy(pairs.orders.astype(np.float32))

    fits = np.stack(
        [
            known_index(tables.fits_edges["base_sku"], product_vocabulary, "fits_edges"),
            known_index(joined_key(tables.fits_edges, "make", "model"), vehicle_keys, "fits_edges"),
        ]
    )
    demand, orders = vehicle_demand(
        torch.from_numpy(fits), data["user"].vehicle, data[INTERACTS], len(vehicle_keys)
    )
    visitors = _visitors_of_vehicles(tables, prefix)
    _add_relation(data, FITS, REV_FITS, fits, demand.numpy(), orders.numpy(), np.log1p(visitors))

    # A profile without users is there to be scored, not to speak for owners that do not exist.
    owner = torch.nonzero(data["user"].count > 0).flatten().numpy()
    vehicle = data["user"].vehicle.numpy()
    owns = np.stack([np.arange(len(vehicle)), vehicle])
    data[OWNS].edge_index = torch.from_numpy(owns[:, owner].copy())
    data[OWNS].edge_attr = torch.ones(len(owner), 1)
    data[OWNS].multiplicity = data["user"].count[torch.from_numpy(owner)].float()
    data[REV_OWNS].edge_index = torch.from_numpy(owns[::-1].copy())
    data[REV_OWNS].edge_attr = torch.ones(len(vehicle), 1)

    edges = tables.co_purchased_edges.filter(pc.is_valid(tables.co_purchased_edges[f"{prefix}weight"]))
    one = known_index(edges["base_sku"], product_vocabulary, "co_purchased_edges")
    other = known_index(edges["other_base_sku"], product_vocabulary, "co_purchased_edges")
    weight = np.tile(to_numpy(edges[f"{prefix}weight"]), 2)
    both = np.stack([np.concatenate([one, other]), np.concatenate([other, one])])
    data[CO_PURCHASED].edge_index = torch.from_numpy(both)
    data[CO_PURCHASED].edge_attr = stacked(weight)


def vehicle_demand(
    fits: torch.Tensor, vehicle_of_user: torch.Tensor, interactions: object, num_vehicles: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Demand of each vehicle's owners for each part that fits it.

    Args:
        fits: product and vehicle of each fits edge, ``[2, num_fits]``.
        vehicle_of_user: vehicle of each user node.
        interactions: a store with ``edge_index``, ``weight`` and ``orders`` of user–product edges.

    Returns:
        ``ln(1 + Σ weight)`` and ``ln(1 + Σ orders)`` over the owners, each ``[num_fits]``.
    """
    edge_index, weight, orders = interactions.edge_index, interactions.weight, interactions.orders  # type: ignore[attr-defined]
    pair = edge_index[1] * num_vehicles + vehicle_of_user[edge_index[0]]
    distinct, inverse = torch.unique(pair, return_inverse=True)
    fits_pair = fits[0] * num_vehicles + fits[1]
    result = []
    for values in (weight, orders):
        total = torch.zeros(len(distinct) + 1, dtype=torch.float64)
        total.index_add_(0, inverse, values.double())
        position = torch.searchsorted(distinct, fits_pair)
        found = position < len(distinct)
        found[found.clone()] = distinct[position[found]] == fits_pair[found]
        position[~found] = len(distinct)
        result.append(torch.log1p(total[position]).float())
    return result[0], result[1]


def _visitors_of_vehicles(tables: GraphTables, prefix: str) -> FloatArray:
    """Demand of visitors without a registered car on each fits edge, over all years, ``[num_fits]``."""
    demand = tables.visitor_demand.filter(pc.is_valid(tables.visitor_demand[f"{prefix}weight"]))
    position = known_index(
        joined_key(demand, "make", "model", "base_sku"),
        joined_key(tables.fits_edges, "make", "model", "base_sku"),
        "visitor_demand",
    )
    weights = to_numpy(demand[f"{prefix}weight"])
    return np.asarray(np.bincount(position, weights, tables.fits_edges.num_rows), np.float64)


def _add_relation(
    data: HeteroData,
    forward: tuple[str, str, str],
    reverse: tuple[str, str, str],
    edge_index: IntArray,
    *features: FloatArray,
) -> None:
    data[forward].edge_index = torch.from_numpy(np.ascontiguousarray(edge_index))
    data[forward].edge_attr = stacked(*features)
    data[reverse].edge_index = data[forward].edge_index.flip(0)
    data[reverse].edge_attr = data[forward].edge_attr.clone()
