"""From Arrow to tensors: the relations, and what is known of each of their edges."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Float, Float32, Float64, Int, Int32, Int64
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.arrow_keys import (
    days_before,
    index_of,
    joined_key,
    known_index,
    stacked,
    to_numpy,
)
from holley_assets.gnn.graph_schema import (
    FITS,
    INTERACTS,
    OWNS,
    RELATIONS,
    REV_FITS,
    REV_INTERACTS,
    REV_OWNS,
    GraphTables,
    Relation,
)


@dataclass(frozen=True)
class Interactions:
    """Distinct pairs of a user (row of ``user_nodes``) and a product, with their strength."""

    user: Int64[np.ndarray, "pairs"]
    product: Int64[np.ndarray, "pairs"]
    weight: Float64[np.ndarray, "pairs"]
    orders: Float64[np.ndarray, "pairs"]


def interactions_of(
    tables: GraphTables,
    prefix: str,
    view_end: datetime.date,
    order_weight: float,
    decay_days: float,
    product_vocabulary: pa.Array,
) -> Interactions:
    """Events of the window together with all earlier orders of the same users."""
    emails = tables.user_nodes["email_lower"]
    edges = tables.interacts_edges.filter(pc.is_valid(tables.interacts_edges[f"{prefix}weight"]))
    purchases = tables.user_purchases.filter(
        pc.less(tables.user_purchases["order_date"], pa.scalar(view_end))
    )
    days = days_before(view_end, purchases["order_date"])

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

    def total(
        edge_values: Float[np.ndarray, "events"], purchase_values: Float[np.ndarray, "purchases"]
    ) -> Float64[np.ndarray, "pairs"]:
        values = np.concatenate([edge_values, purchase_values])[known]
        return np.asarray(np.bincount(inverse, weights=values, minlength=len(pair)), np.float64)

    weight = total(event_weight, np.zeros(len(days)))
    history = total(np.zeros(len(event_weight)), order_decay)
    return Interactions(
        user=pair // len(product_vocabulary),
        product=pair % len(product_vocabulary),
        weight=np.where(weight > 0, weight, history),
        orders=total(np.zeros(len(event_weight)), np.ones(len(days))),
    )


def add_edges(
    data: HeteroData,
    tables: GraphTables,
    prefix: str,
    pairs: Interactions,
    user_profiles: Int32[np.ndarray, "users"],
    product_vocabulary: pa.Array,
    vehicle_keys: pa.Array,
) -> None:
    """Every relation with its edge features; ``pairs`` are the interactions."""
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
    store = data[INTERACTS]
    interactions = InteractionEdges(store.edge_index, store.weight, store.orders)
    demand, orders = vehicle_demand(
        torch.from_numpy(fits), data["user"].vehicle, interactions, len(vehicle_keys)
    )
    _add_relation(data, FITS, REV_FITS, fits, demand.numpy(), orders.numpy())

    # A profile without users is there to be scored, not to speak for owners that do not exist.
    owner = torch.nonzero(data["user"].count > 0).flatten().numpy()
    vehicle = data["user"].vehicle.numpy()
    owns = np.stack([np.arange(len(vehicle)), vehicle])
    data[OWNS].edge_index = torch.from_numpy(owns[:, owner].copy())
    data[OWNS].edge_attr = torch.ones(len(owner), 1)
    data[OWNS].multiplicity = data["user"].count[torch.from_numpy(owner)].float()
    data[REV_OWNS].edge_index = torch.from_numpy(owns[::-1].copy())
    data[REV_OWNS].edge_attr = torch.ones(len(vehicle), 1)

    for relation in RELATIONS:
        pairs_of_parts = getattr(tables, relation.table) if relation.is_of_parts else None
        if pairs_of_parts is not None:
            _add_pairs_of_parts(data, relation, pairs_of_parts, prefix, product_vocabulary)


@dataclass(frozen=True)
class InteractionEdges:
    """User and product of edges, the sum of what the interactions weigh, and of the orders alone."""

    edge_index: Int[Tensor, "2 edges"]
    weight: Float[Tensor, "edges"]
    orders: Float[Tensor, "edges"]


def vehicle_demand(
    fits: Int[Tensor, "2 fits"],
    vehicle_of_user: Int[Tensor, "profiles"],
    interactions: InteractionEdges,
    num_vehicles: int,
) -> tuple[Float32[Tensor, "fits"], Float32[Tensor, "fits"]]:
    """Demand of each vehicle's owners for each part that fits it.

    Args:
        fits: product and vehicle of each fits edge.
        vehicle_of_user: vehicle of each user node.
        interactions: user–product edges.

    Returns:
        ``ln(1 + Σ weight)`` and ``ln(1 + Σ orders)`` over the owners.
    """
    edge_index, weight, orders = interactions.edge_index, interactions.weight, interactions.orders
    pair = edge_index[1] * num_vehicles + vehicle_of_user[edge_index[0]]
    distinct, inverse = torch.unique(pair, return_inverse=True)
    fits_pair = fits[0] * num_vehicles + fits[1]
    result = []
    for values in (weight, orders):
        total = torch.zeros(len(distinct) + 1, dtype=torch.float64, device=inverse.device)
        total.index_add_(0, inverse, values.double())
        position = torch.searchsorted(distinct, fits_pair)
        found = position < len(distinct)
        found[found.clone()] = distinct[position[found]] == fits_pair[found]
        position[~found] = len(distinct)
        result.append(torch.log1p(total[position]).float())
    return result[0], result[1]


def _add_pairs_of_parts(
    data: HeteroData, relation: Relation, table: pa.Table, prefix: str, product_vocabulary: pa.Array
) -> None:
    """Each pair of ``table`` with a weight in this view, in both directions."""
    edges = table.filter(pc.is_valid(table[f"{prefix}weight"]))
    one, other = (
        known_index(edges[column], product_vocabulary, relation.table)
        for column in ("base_sku", "other_base_sku")
    )
    both = np.stack([np.concatenate([one, other]), np.concatenate([other, one])])
    data[relation.edge_type].edge_index = torch.from_numpy(both)
    data[relation.edge_type].edge_attr = stacked(np.tile(to_numpy(edges[f"{prefix}weight"]), 2))


def _add_relation(
    data: HeteroData,
    forward: tuple[str, str, str],
    reverse: tuple[str, str, str],
    edge_index: Int[np.ndarray, "2 edges"],
    *features: Float[np.ndarray, "edges"],
) -> None:
    data[forward].edge_index = torch.from_numpy(np.ascontiguousarray(edge_index))
    data[forward].edge_attr = stacked(*features)
    data[reverse].edge_index = data[forward].edge_index.flip(0)
    data[reverse].edge_attr = data[forward].edge_attr.clone()
