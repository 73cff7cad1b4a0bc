"""popularity: the three tiers of the SQL pipeline, by part and vehicle."""

from __future__ import annotations

import math
from typing import Any

import pytest
from sql.shop import Row, Shop


def orders(shop: Shop, user: str, count: int, sku: str, start: int = 1) -> None:
    """``count`` orders on different days."""
    for day in range(start, start + count):
        shop.order(user, f"2025-10-{day:02}", sku)


@pytest.fixture
def garage(shop: Shop) -> Shop:
    """A Mustang driver and an F-150 driver; parts A, B and C fit both."""
    shop.driver("mustang")
    shop.driver("truck", model="F-150")
    for sku in ("A", "B", "C"):
        shop.item(sku)
    for model in ("MUSTANG", "F-150"):
        shop.fits("1967", "FORD", model, "A", "B", "C")
    return shop


def scores(rows: list[Row], prefix: str = "") -> dict[tuple[str, str], tuple[Any, ...]]:
    return {
        (row["model"], row["base_sku"]): (row[prefix + "tier"], pytest.approx(row[prefix + "sql_score"]))
        for row in rows
    }


def test_segment_tier_needs_orders_of_the_segment_and_of_the_pair(garage: Shop) -> None:
    orders(garage, "mustang", 3, "A")
    orders(garage, "mustang", 2, "B")
    rows = garage.run("popularity")
    assert scores(rows)["MUSTANG", "A"] == ("segment", 10 * math.log(4))
    assert scores(rows)["MUSTANG", "B"] == ("segment", 10 * math.log(3))
    assert scores(rows)["MUSTANG", "C"] == ("global", 0.0)
    assert scores(rows)["F-150", "A"] == ("global", 2 * math.log(4))


def test_one_order_less_is_not_enough(garage: Shop) -> None:
    orders(garage, "mustang", 2, "A")
    orders(garage, "mustang", 2, "B")
    assert scores(garage.run("popularity"))["MUSTANG", "A"] == ("global", 2 * math.log(3))


def test_one_order_of_the_pair_is_not_enough(garage: Shop) -> None:
    orders(garage, "mustang", 1, "A")
    orders(garage, "mustang", 9, "B")
    assert scores(garage.run("popularity"))["MUSTANG", "A"] == ("global", 2 * math.log(2))


def test_make_tier_counts_all_its_segments(garage: Shop) -> None:
    orders(garage, "mustang", 17, "B")
    orders(garage, "mustang", 2, "A")
    orders(garage, "truck", 1, "A")
    rows = garage.run("popularity")
    assert scores(rows)["F-150", "A"] == ("make", 8 * math.log(4))
    assert scores(rows)["F-150", "B"] == ("make", 8 * math.log(18))
    assert scores(rows)["MUSTANG", "A"] == ("segment", 10 * math.log(3))
    (row,) = [row for row in rows if (row["model"], row["base_sku"]) == ("F-150", "A")]
    assert (row["segment_orders"], row["make_orders"], row["orders"]) == (1, 3, 3)


def test_thresholds_are_settings(garage: Shop) -> None:
    orders(garage, "mustang", 1, "A")
    relaxed = {"sql_segment_minimum_orders": 1, "sql_pair_minimum_orders": 1}
    assert scores(garage.run("popularity", **relaxed))["MUSTANG", "A"] == ("segment", 10 * math.log(2))
    make = {"sql_make_minimum_orders": 1, "sql_pair_minimum_orders": 1}
    assert scores(garage.run("popularity", **make))["F-150", "A"] == ("make", 8 * math.log(2))


def test_all_buyers_count_for_all_and_only_drivers_for_their_vehicle(garage: Shop) -> None:
    orders(garage, "visitor", 6, "A")
    garage.imported_order("guest@x.com", "2025-08-31", "A")
    garage.imported_order("guest@x.com", "2025-09-01", "A")
    for day in range(1, 7):
        garage.imported_order(" Mustang@x.com", f"2025-03-0{day}", "A")
    row = garage.run("popularity")[3]
    assert (row["model"], row["base_sku"], row["tier"]) == ("MUSTANG", "A", "segment")
    assert (row["segment_orders"], row["orders"]) == (6, 13)
    assert row["popularity_score"] == pytest.approx(math.log(14))


def test_each_view_counts_its_own_orders(garage: Shop) -> None:
    orders(garage, "mustang", 4, "A")
    garage.order("mustang", "2026-01-02", "A")
    rows = garage.run("popularity")
    assert scores(rows)["MUSTANG", "A"] == ("global", 2 * math.log(5))
    assert scores(rows, "serving_")["MUSTANG", "A"] == ("segment", 10 * math.log(6))


def test_candidates_are_by_fitment(garage: Shop) -> None:
    garage.item("D")
    orders(garage, "mustang", 9, "D")
    garage.fits("1967", "RAM", "1500", "C")
    rows = garage.run("popularity")
    assert [(row["make"], row["model"], row["base_sku"]) for row in rows] == [
        *(("FORD", model, sku) for model in ("F-150", "MUSTANG") for sku in "ABC"),
        ("RAM", "1500", "C"),
    ]
