"""What the notebook counts, as functions of tables: nothing is read, drawn or written here."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from holley_assets.evaluation.car_traffic import NAMES, class_visits, slice_of
from holley_assets.terms import CAR, TIERS


def orders_by_part(daily_orders: pa.Table, product_nodes: pa.Table) -> np.ndarray:
    """Orders of each part of the catalogue, most first, those that nobody ordered among them.

    Args:
        daily_orders: base_sku, orders.
        product_nodes: base_sku.

    Returns:
        int64 [parts].
    """
    sums = daily_orders.group_by("base_sku").aggregate([("orders", "sum")])
    place = pc.index_in(product_nodes["base_sku"], value_set=sums["base_sku"].combine_chunks())
    orders = pc.fill_null(sums["orders_sum"].take(place), 0).to_numpy()
    return np.sort(orders)[::-1]


def share_of_the_top(counts: np.ndarray, tops: Sequence[int]) -> list[float]:
    """Share of the sum of ``counts`` that its largest 1, 2, … ``tops`` hold; 0 where the sum is 0.

    Args:
        counts: [N], non-negative.
        tops: how many of the largest; more than N are all.
    """
    sums = np.concatenate([[0], np.cumsum(np.sort(counts)[::-1])])
    total = max(float(sums[-1]), 1.0)
    return [float(sums[min(top, len(counts))]) / total for top in tops]


def users_by_tier(user_nodes: pa.Table, test_clicks: pa.Table) -> pd.DataFrame:
    """Users of each tier and their share of all, at the cutoff and at the day of the run, and those with a test click.

    Args:
        user_nodes: engagement_tier, serving_engagement_tier.
        test_clicks: email_lower, engagement_tier.
    """
    columns = {"at the cutoff": "engagement_tier", "as of the day": "serving_engagement_tier"}
    found = {}
    for words, column in columns.items():
        counts = [pc.sum(pc.equal(user_nodes[column], tier)).as_py() or 0 for tier in TIERS]
        found[f"users {words}"] = counts
        found[f"share {words}"] = [count / max(user_nodes.num_rows, 1) for count in counts]
    found["with a test click"] = [
        pc.count_distinct(
            test_clicks.filter(pc.equal(test_clicks["engagement_tier"], tier))["email_lower"]
        ).as_py()
        for tier in TIERS
    ]
    return pd.DataFrame(found, index=pd.Index(TIERS, name="tier"))


def parts_by_car(fitment: pa.Table) -> pd.DataFrame:
    """One row a year, make and model: ``parts`` that fit, and ``eligible``, those that may be recommended.

    Args:
        fitment: year, make, model, base_sku, serving_sku (null where no variant is eligible).
    """
    counted = fitment.group_by(list(CAR)).aggregate([("base_sku", "count"), ("serving_sku", "count")])
    frame: pd.DataFrame = counted.to_pandas()
    return frame.rename(columns={"base_sku_count": "parts", "serving_sku_count": "eligible"})


def owners_by_traffic(user_nodes: pa.Table, fitment: pa.Table, visitor_demand: pa.Table) -> pd.DataFrame:
    """Owners by the visits that their car's class had before the cutoff, and their share of all owners.

    Args:
        user_nodes: year, make, model.
        fitment, visitor_demand: see :func:`holley_assets.evaluation.car_traffic.class_visits`.

    Returns:
        ``owners`` and ``share`` by slice of visits; the last row is of cars that no part fits.
    """
    visits = class_visits(fitment, visitor_demand).to_pandas()
    owners = user_nodes.select(list(CAR)).to_pandas().merge(visits, how="left", on=list(CAR))
    counts = np.bincount(slice_of(owners["visits"].to_numpy()) % (len(NAMES) + 1), minlength=len(NAMES) + 1)
    index = pd.Index([*NAMES, "no part fits"], name="visits")
    return pd.DataFrame({"owners": counts, "share": counts / max(counts.sum(), 1)}, index=index)


def sizes_of_components(edges: pa.Table) -> np.ndarray:
    """Parts in each connected component of the graph of pairs, largest first; int64.

    Args:
        edges: base_sku, other_base_sku.
    """
    chunks = [chunk for name in ("base_sku", "other_base_sku") for chunk in edges[name].chunks]
    ends = pa.chunked_array(chunks, pa.string()).combine_chunks().dictionary_encode()
    first, second = ends.indices.to_numpy().reshape(2, -1)
    names = len(ends.dictionary)
    _, component = connected_components(
        coo_array((np.ones(len(first)), (first, second)), shape=(names, names)), directed=False
    )
    return np.sort(np.bincount(component))[::-1]


def strongest_pairs(edges: pa.Table, product_nodes: pa.Table, limit: int) -> pd.DataFrame:
    """Pairs of parts that most buyers ordered both of, with the type of each; ties by name.

    Args:
        edges: base_sku, other_base_sku, serving_users.
        product_nodes: base_sku, part_type.
        limit: rows.
    """
    types = product_nodes.select(["base_sku", "part_type"]).to_pandas().set_index("base_sku")["part_type"]
    pairs = edges.select(["base_sku", "other_base_sku", "serving_users"]).to_pandas()
    order = ["serving_users", "base_sku", "other_base_sku"]
    pairs = pairs.sort_values(order, ascending=[False, True, True]).head(limit)
    for column in ("base_sku", "other_base_sku"):
        pairs[column.replace("base_sku", "part_type")] = pairs[column].map(types)
    found: pd.DataFrame = pairs.rename(columns={"serving_users": "buyers"}).reset_index(drop=True)
    return found
