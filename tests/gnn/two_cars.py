"""Graphs of a few cars, parts named by a letter, and visitors, so that answers can be worked out by hand."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from gnn.small_world import daily_orders, make_graph, visitor_parts
from torch_geometric.data import HeteroData

from holley_assets.gnn.graph_schema import GraphTables


def two_cars(
    *sets: tuple[Sequence[str], int],
    fits: Mapping[str, str] | None = None,
    owners: tuple[int, ...] = (3, 1),
    makes: Sequence[str] | None = None,
) -> HeteroData:
    """The graph of :func:`two_cars_tables`."""
    return make_graph(two_cars_tables(*sets, fits=fits, owners=owners, makes=makes)).data


def two_cars_tables(
    *sets: tuple[Sequence[str], int],
    fits: Mapping[str, str] | None = None,
    owners: tuple[int, ...] = (3, 1),
    makes: Sequence[str] | None = None,
) -> GraphTables:
    """Cars named by the keys of ``fits``, which all were built in 1967, with the parts that fit each.

    Args:
        sets: parts that visitors met together, and how many did.
        fits: by default A and B fit the first and the second car.
        owners: registered owners of each car; one of the rest.
        makes: make of each car; by default one for all.
    """
    fits = fits or {"first": "AB", "second": "AB"}
    cars, skus = list(fits), sorted(set("".join(fits.values())))
    makes = makes or ["FORD"] * len(cars)
    counts = [*owners, *[1] * len(cars)][: len(cars)]
    car_of_user = np.repeat(np.arange(len(cars)), counts).tolist()
    fitting = [(car, sku) for car in range(len(cars)) for sku in sorted(fits[cars[car]])]
    names = {
        "make": [makes[car] for car, _ in fitting],
        "model": [cars[car] for car, _ in fitting],
        "base_sku": [sku for _, sku in fitting],
    }
    visitors = {sku: sum(number for parts, number in sets if sku in parts) for sku in skus}
    none = pa.array([], pa.float64())
    text = pa.array([], pa.string())
    return GraphTables(
        user_nodes=pa.table(
            {
                "email_lower": [f"user{number}@example.com" for number in range(len(car_of_user))],
                "year": pa.array([1967] * len(car_of_user), pa.int64()),
                "make": [makes[car] for car in car_of_user],
                "model": [cars[car] for car in car_of_user],
                "engagement_tier": ["cold"] * len(car_of_user),
            }
        ),
        product_nodes=pa.table(
            {
                "base_sku": skus,
                "part_type": ["Type"] * len(skus),
                "price": [100.0] * len(skus),
                "log_popularity": [0.0] * len(skus),
                "fitment_breadth": [1] * len(skus),
                "log_visitors": [float(np.log1p(visitors[sku])) for sku in skus],
            }
        ),
        vehicle_nodes=pa.table(
            {"make": makes, "model": cars, "user_count": counts, "product_count": [1] * len(cars)}
        ),
        interacts_edges=pa.table({"email_lower": text, "base_sku": text, "weight": none}),
        fits_edges=pa.table(names),
        co_purchased_edges=pa.table({"base_sku": text, "other_base_sku": text, "weight": none}),
        fitment=pa.table(
            {
                "year": pa.array([1967] * len(fitting), pa.int64()),
                **names,
                "sku": names["base_sku"],
            }
        ),
        visitor_parts=visitor_parts(*sets),
        daily_orders=daily_orders(),
        user_purchases=pa.table(
            {"email_lower": text, "base_sku": text, "order_date": pa.array([], pa.date32())}
        ),
    )
