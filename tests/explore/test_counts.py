"""What the notebook counts, against answers that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from holley_assets.explore.counts import (
    orders_by_part,
    owners_by_traffic,
    parts_by_car,
    share_of_the_top,
    sizes_of_components,
    strongest_pairs,
    users_by_tier,
)

FITMENT = pa.table(
    {
        "year": [1969, 1969, 1969, 1970, 2010],
        "make": ["FORD"] * 4 + ["JEEP"],
        "model": ["MUSTANG"] * 4 + ["WRANGLER"],
        "base_sku": ["a", "b", "c", "a", "b"],
        "serving_sku": ["a1", None, "c1", None, "b1"],
    }
)


def test_orders_are_summed_by_part_and_parts_that_nobody_ordered_count() -> None:
    orders = pa.table({"base_sku": ["b", "a", "b", "gone"], "orders": [3, 1, 4, 9]})
    parts = pa.table({"base_sku": ["a", "b", "c"]})
    assert orders_by_part(orders, parts).tolist() == [7, 1, 0]
    assert orders_by_part(orders.slice(0, 0), parts).tolist() == [0, 0, 0]


def test_the_share_of_the_top_is_of_all_and_ends_at_one() -> None:
    assert share_of_the_top(np.array([1, 5, 0, 4]), [0, 1, 2, 4, 99]) == [0.0, 0.5, 0.9, 1.0, 1.0]
    assert share_of_the_top(np.array([0, 0]), [1]) == [0.0]


def test_users_are_counted_by_tier_at_both_days() -> None:
    users = pa.table(
        {
            "engagement_tier": ["cold", "cold", "cold", "hot"],
            "serving_engagement_tier": ["cold", "warm", "warm", "hot"],
        }
    )
    clicks = pa.table({"email_lower": ["a", "a", "b"], "engagement_tier": ["cold", "cold", "hot"]})
    found = users_by_tier(users, clicks)
    assert found["users at the cutoff"].to_dict() == {"cold": 3, "warm": 0, "hot": 1}
    assert found["share at the cutoff"].to_dict() == {"cold": 0.75, "warm": 0.0, "hot": 0.25}
    assert found["users as of the day"].to_dict() == {"cold": 1, "warm": 2, "hot": 1}
    assert found["with a test click"].to_dict() == {"cold": 1, "warm": 0, "hot": 1}
    assert users_by_tier(users.slice(0, 0), clicks)["share as of the day"].tolist() == [0.0, 0.0, 0.0]


def test_parts_are_counted_by_year_make_and_model() -> None:
    found = parts_by_car(FITMENT).set_index(["year", "model"])
    assert found["parts"].to_dict() == {(1969, "MUSTANG"): 3, (1970, "MUSTANG"): 1, (2010, "WRANGLER"): 1}
    assert found["eligible"].to_dict() == {(1969, "MUSTANG"): 2, (1970, "MUSTANG"): 0, (2010, "WRANGLER"): 1}


def test_owners_are_counted_by_what_was_seen_of_their_car() -> None:
    users = pa.table(
        {
            "year": [1969, 1969, 2010, 1970, 1981],
            "make": ["FORD", "FORD", "JEEP", "FORD", "UNKNOWN"],
            "model": ["MUSTANG", "MUSTANG", "WRANGLER", "MUSTANG", "UNKNOWN"],
        }
    )
    demand = pa.table(
        {
            "year": [1969, 1969, 2010],
            "make": ["FORD", "FORD", "JEEP"],
            "model": ["MUSTANG", "MUSTANG", "WRANGLER"],
            "base_sku": ["a", "b", "b"],
            "weight": [2.0, 5.0, 0.9],
        }
    )
    found = owners_by_traffic(users, FITMENT, demand)
    some = found["owners"][found["owners"] > 0].to_dict()
    assert some == {"6–12": 2, "below 1": 2, "no part fits": 1}
    assert found["share"]["6–12"] == pytest.approx(0.4) and found["share"].sum() == pytest.approx(1.0)


def test_components_hold_the_parts_that_pairs_join() -> None:
    edges = pa.table({"base_sku": ["a", "b", "x"], "other_base_sku": ["b", "c", "y"]})
    assert sizes_of_components(edges).tolist() == [3, 2]
    assert sizes_of_components(edges.slice(0, 0)).tolist() == []


def test_the_strongest_pairs_come_first_with_their_types() -> None:
    edges = pa.table(
        {"base_sku": ["a", "b", "a"], "other_base_sku": ["b", "c", "c"], "serving_users": [2, 7, 2]}
    )
    parts = pa.table({"base_sku": ["a", "b", "c"], "part_type": ["Gauge", "Fan", None]})
    found = strongest_pairs(edges, parts, 2)
    assert found[["base_sku", "other_base_sku", "buyers"]].to_numpy().tolist() == [
        ["b", "c", 7],
        ["a", "b", 2],
    ]
    assert found["part_type"].tolist() == ["Fan", "Gauge"] and found["other_part_type"][1] == "Fan"
