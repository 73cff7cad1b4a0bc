"""A shop with one car and few parts, whose customers' histories are written by hand."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from holley_assets.gnn.history_tables import HistoryTables, learn, score
from holley_assets.gnn.history_weights import HistoryWeights

CUTOFF = datetime.date(2026, 1, 2)
AS_OF = datetime.date(2026, 2, 1)
KIND_WEIGHT = np.array([1.0, 3.0, 5.0])
# Who, how many days before the cutoff, how, which part.
Visit = tuple[str, int, str, str]
Pair = tuple[str, str, int]


def history_tables(
    visits: Sequence[Visit],
    parts: Sequence[str],
    *,
    co_viewed: Sequence[Pair] = (),
    co_purchased: Sequence[Pair] = (),
    appeal: dict[str, float] | None = None,
    users: Sequence[str] = (),
) -> HistoryTables:
    """Tables of customers with the same car, which all ``parts`` fit; pairs are of people who met both.

    Args:
        appeal: logit of a part by the vectors, 0 where it is not named; at most 1 in size.
        users: customers without any visit.
    """
    names = sorted({who for who, *_ in visits} | set(users))
    emails = pa.array([f"{name}@example.com" for name in names])
    active = sorted({who for who, *_ in visits})
    # Profile 0 is the car without a history.
    profile = pa.array([1 + active.index(name) if name in active else 0 for name in names], pa.int32())
    count = 1 + len(active)
    skus = sorted(parts)
    logit = np.array([(appeal or {}).get(sku, 0.0) for sku in skus])
    days = [CUTOFF - datetime.timedelta(days=before) for _, before, *_ in visits]
    log_ones = pa.array(np.log1p(np.full(len(skus), 10.0)))
    cars = {"year": [1967] * len(skus), "make": ["FORD"] * len(skus), "model": ["MUSTANG"] * len(skus)}
    return HistoryTables(
        user_visits=pa.table(
            {
                "email_lower": pa.array([f"{who}@example.com" for who, *_ in visits], pa.string()),
                "visit_date": pa.array(days, pa.date32()),
                "base_sku": pa.array([sku for *_, sku in visits], pa.string()),
                "interaction": pa.array([kind for _, _, kind, _ in visits], pa.string()),
            }
        ),
        user_nodes=pa.table(
            {
                "email_lower": emails,
                "year": [1967] * len(names),
                "make": ["FORD"] * len(names),
                "model": ["MUSTANG"] * len(names),
            }
        ),
        user_profiles=pa.table(
            {
                "email_lower": emails,
                "profile": profile,
                "serving_profile": profile,
                "cold_profile": pa.array([0] * len(names), pa.int32()),
            }
        ),
        product_nodes=pa.table(
            {
                "base_sku": skus,
                **{
                    f"{prefix}{name}": log_ones
                    for prefix in ("", "serving_")
                    for name in ("log_visitors", "log_popularity")
                },
            }
        ),
        co_viewed_edges=_edges(co_viewed, "visitors"),
        co_purchased_edges=_edges(co_purchased, "users"),
        fitment=pa.table({**cars, "base_sku": skus, "sku": skus, "serving_sku": skus}),
        user_embeddings=_vectors("profile", pa.array(np.arange(count), pa.int32()), np.ones(count)),
        product_embeddings=_vectors("base_sku", pa.array(skus), logit),
    )


def _edges(pairs: Sequence[Pair], counted: str) -> pa.Table:
    number = pa.array([float(count) for *_, count in pairs], pa.float64())
    return pa.table(
        {
            "base_sku": pa.array([min(one, other) for one, other, _ in pairs], pa.string()),
            "other_base_sku": pa.array([max(one, other) for one, other, _ in pairs], pa.string()),
            **{f"{prefix}{counted}": number for prefix in ("", "earlier_", "serving_")},
            "weight": number,
            "serving_weight": number,
        }
    )


def _vectors(key: str, keys: pa.Array, first: np.ndarray) -> pa.Table:
    """Vectors of one channel; their product is the logit, for the longest ones have length 1."""
    values = pa.array(np.tile(first.astype(np.float32), 2))
    return pa.table(
        {
            "view": pa.array(["training"] * len(keys) + ["serving"] * len(keys)),
            key: pa.concat_arrays([keys, keys]),
            "embedding": pa.FixedSizeListArray.from_arrays(values, 1),
            "norm": pa.array(np.ones(2 * len(keys), np.float32)),
        }
    )


def learn_from(tables: HistoryTables) -> HistoryWeights:
    """Weights as of the cutoff."""
    return learn(tables, cutoff=CUTOFF, kind_weight=KIND_WEIGHT, exclusion_days=365, held_out_days=30).weights


def added_to(
    tables: HistoryTables, weights: HistoryWeights, view: Any = "training", end: datetime.date = CUTOFF
) -> dict[str, dict[str, float]]:
    """What is added to the logit of each customer and part."""
    batches = list(score(tables, weights, view, view_end=end, exclusion_days=365))
    rows = pa.Table.from_batches(batches).to_pylist() if batches else []
    profiles = tables.user_profiles.to_pylist()
    names = {row["profile"]: row["email_lower"].partition("@")[0] for row in profiles if row["profile"]}
    found: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["score"] == 0:
            continue
        found.setdefault(names[row["profile"]], {})[row["base_sku"]] = row["score"]
    return found
