"""From Arrow to tensors: products, vehicles, the parts that fit, and profiles of users."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Int, Int32
from torch_geometric.data import HeteroData

from holley_assets.gnn.arrow_keys import (
    days_before,
    index_of,
    integers,
    joined_key,
    known_index,
    stacked,
    to_numpy,
    vocabulary,
)
from holley_assets.gnn.graph_schema import GraphTables
from holley_assets.gnn.season import season
from holley_assets.terms import TIERS


def add_products(data: HeteroData, tables: GraphTables, prefix: str) -> None:
    """Product nodes: part type and features."""
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


def add_season(
    data: HeteroData,
    daily_orders: pa.Table,
    product_vocabulary: pa.Array,
    view_end: datetime.date,
    decay_days: float,
    season_days: int,
) -> None:
    """What is in season of each product, from the orders before ``view_end``."""
    orders = daily_orders.filter(pc.less(daily_orders["order_date"], pa.scalar(view_end)))
    product = index_of(orders["base_sku"], product_vocabulary)
    known = product >= 0
    found = season(
        product[known],
        days_before(view_end, orders["order_date"])[known],
        to_numpy(orders["orders"]).astype(np.float64)[known],
        num_products=len(product_vocabulary),
        horizon=season_days,
        decay_days=decay_days,
    )
    data["product"].season = torch.from_numpy(found.shift)
    data.season_mixture = found.mixture.tolist()


def add_vehicles(data: HeteroData, tables: GraphTables) -> None:
    """Vehicle nodes: make and features."""
    nodes = tables.vehicle_nodes
    data["vehicle"].num_nodes = nodes.num_rows
    data["vehicle"].make = integers(index_of(nodes["make"], pa.array(vocabulary(nodes["make"]))))
    data["vehicle"].features = stacked(
        np.log1p(to_numpy(nodes["user_count"])), np.log1p(to_numpy(nodes["product_count"]))
    )


def add_candidates(
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
    return keys.dictionary


def add_part_sets(data: HeteroData, visitor_parts: pa.Table, product_vocabulary: pa.Array) -> None:
    """What visitors met together, in compressed rows; parts ascend within a set."""
    part_set = to_numpy(visitor_parts["part_set"]).astype(np.int64)
    product = known_index(visitor_parts["base_sku"], product_vocabulary, "visitor_parts")
    order = np.lexsort((product, part_set))
    first = np.flatnonzero(np.diff(part_set[order], prepend=-1))
    data.set_offsets = integers(np.append(first, len(order)))
    data.set_products = torch.from_numpy(product[order].astype(np.int32))
    data.set_visitors = integers(to_numpy(visitor_parts["visitors"]).astype(np.int64)[order][first])


def add_users(
    data: HeteroData,
    users: pa.Table,
    prefix: str,
    active_users: Int[np.ndarray, "active"],
    vehicle_keys: pa.Array,
    candidate_keys: pa.Array,
) -> Int32[np.ndarray, "users"]:
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
    # The last entry stands for a car that nothing fits.
    classes = torch.cat([data.class_of_row, torch.tensor([-1])])
    store.vehicle_class = classes[store.vehicle_year]
    return profile.astype(np.int32)
