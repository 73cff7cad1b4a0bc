"""A small world whose graph every test of this package can build by hand."""

import datetime
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from holley_assets.gnn.graph import BuiltGraph, build_graph
from holley_assets.gnn.graph_schema import GraphTables
from holley_assets.terms import View

CUTOFF = datetime.date(2026, 1, 1)


def make_tables(
    seed: int = 0, *, users: int = 60, vehicles: int = 6, parts: int = 40, active: int = 20
) -> GraphTables:
    """Users on ``vehicles`` models of two tastes; even parts are for even models, odd ones for odd models.

    Every part fits every vehicle, so that fitment tells nothing; only interactions do.
    """
    random = np.random.default_rng(seed)
    skus = [f"P{number:03d}" for number in range(parts)]
    makes = ["FORD" if number < vehicles // 2 else "DODGE" for number in range(vehicles)]
    models = [f"M{number}" for number in range(vehicles)]
    vehicle_of_user = np.arange(users) % vehicles
    emails = [f"user{number:04d}@example.com" for number in range(users)]
    years = 1967 + (np.arange(users) // vehicles) % 2

    history = []
    for user in range(active):
        liked = np.flatnonzero(np.arange(parts) % 2 == vehicle_of_user[user] % 2)
        history += [(emails[user], skus[part]) for part in random.choice(liked, 6, replace=False)]
    tier = ["hot" if user < active else "cold" for user in range(users)]

    return GraphTables(
        user_nodes=pa.table(
            {
                "email_lower": emails,
                "year": pa.array(years, pa.int64()),
                "make": [makes[v] for v in vehicle_of_user],
                "model": [models[v] for v in vehicle_of_user],
                "engagement_tier": tier,
                "serving_engagement_tier": tier,
            }
        ),
        product_nodes=pa.table(
            {
                "base_sku": skus,
                "part_type": [f"Type {number % 5}" for number in range(parts)],
                "price": [100.0 + number for number in range(parts)],
                "log_popularity": np.log1p([sum(sku == bought for _, bought in history) for sku in skus]),
                "fitment_breadth": pa.array([vehicles * 2] * parts, pa.int64()),
                "serving_price": [100.0 + number for number in range(parts)],
                "serving_log_popularity": np.zeros(parts),
                "log_visitors": np.log1p([sum(sku == bought for _, bought in history) for sku in skus]),
                "serving_log_visitors": np.zeros(parts),
            }
        ),
        vehicle_nodes=pa.table(
            {
                "make": makes,
                "model": models,
                "user_count": pa.array(np.bincount(vehicle_of_user, minlength=vehicles), pa.int64()),
                "product_count": pa.array([parts] * vehicles, pa.int64()),
            }
        ),
        interacts_edges=pa.table(
            {
                "email_lower": [email for email, _ in history],
                "base_sku": [sku for _, sku in history],
                "weight": [float(weight) for weight in random.uniform(1, 5, len(history))],
                "serving_weight": [1.0] * len(history),
            }
        ),
        fits_edges=pa.table(
            {
                "make": [make for make in makes for _ in skus],
                "model": [model for model in models for _ in skus],
                "base_sku": skus * vehicles,
            }
        ),
        co_purchased_edges=pa.table(
            {
                "base_sku": skus[:4],
                "other_base_sku": skus[2:6],
                "weight": [1.1, 1.4, None, 1.1],
                "serving_weight": [1.1, 1.4, 1.6, 1.1],
            }
        ),
        fitment=pa.table(
            {
                "year": pa.array(np.repeat([1967, 1968], vehicles * parts), pa.int64()),
                "make": [make for make in makes for _ in skus] * 2,
                "model": [model for model in models for _ in skus] * 2,
                "base_sku": skus * vehicles * 2,
                "sku": skus * vehicles * 2,
                "serving_sku": skus * vehicles * 2,
            }
        ),
        visitor_parts=visitor_parts((["P002", "P004"], 2), (["P001"], 1)),
        daily_orders=daily_orders(),
        user_purchases=pa.table(
            {
                "email_lower": [email for email, _ in history[::3]],
                "base_sku": [sku for _, sku in history[::3]],
                "order_date": pa.array(
                    [CUTOFF - datetime.timedelta(days=20)] * len(history[::3]), pa.date32()
                ),
            }
        ),
    )


def visitor_parts(*sets: tuple[Sequence[str], int]) -> pa.Table:
    """Sets of parts and the visitors of each."""
    rows = [(number, sku, visitors) for number, (parts, visitors) in enumerate(sets) for sku in parts]
    return pa.table(
        {
            "part_set": pa.array([number for number, _, _ in rows], pa.int64()),
            "base_sku": pa.array([sku for _, sku, _ in rows], pa.string()),
            "visitors": pa.array([visitors for _, _, visitors in rows], pa.int64()),
        }
    )


def daily_orders(*rows: tuple[str, int, int]) -> pa.Table:
    """Base SKU, days before the cutoff and orders; without rows there is no season."""
    return pa.table(
        {
            "base_sku": pa.array([sku for sku, _, _ in rows], pa.string()),
            "order_date": pa.array(
                [CUTOFF - datetime.timedelta(days=days) for _, days, _ in rows], pa.date32()
            ),
            "orders": pa.array([orders for _, _, orders in rows], pa.int64()),
        }
    )


def make_graph(tables: GraphTables, view: View = "training") -> BuiltGraph:
    return build_graph(tables, view=view, view_end=CUTOFF, order_weight=5.0, decay_days=30.0, season_days=30)
