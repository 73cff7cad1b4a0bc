"""Tables of sources that hold little: every query still runs."""

from __future__ import annotations

import datetime

import pytest
from sql.shop import Shop


def test_without_any_interaction_the_structure_is_there(shop: Shop, graph_tables: list[str]) -> None:
    shop.driver("u1")
    shop.item("8202B")
    shop.fits("1967", "FORD", "MUSTANG", "8202B")
    tables = shop.run_tables(graph_tables)
    counts = {name: len(rows) for name, rows in tables.items()}
    assert {name for name, count in counts.items() if count == 0} == {
        "machine_bursts",
        "machine_clicks",
        "interaction_events",
        "order_lines",
        "daily_orders",
        "interacts_edges",
        "visitor_demand",
        "visitor_parts",
        "visitor_sets",
        "visitor_set_models",
        "co_purchased_edges",
        "ordered_pairs",
        "co_viewed_edges",
        "user_purchases",
        "user_visits",
        "test_clicks",
        "test_interactions",
    }
    assert tables["user_nodes"][0]["engagement_tier"] == "cold"
    assert tables["popularity"][0]["sql_score"] == 0.0
    assert tables["fitment"] == [
        {
            "year": 1967,
            "make": "FORD",
            "model": "MUSTANG",
            "base_sku": "8202",
            "sku": None,
            "serving_sku": None,
        }
    ]
    assert all(result.dropped == {} for result in shop.results.values())


def test_nothing_at_all(shop: Shop, graph_tables: list[str]) -> None:
    assert not any(shop.run_tables(graph_tables).values())


@pytest.mark.parametrize("as_of", [datetime.date(2035, 1, 1), datetime.date(2015, 1, 1)])
def test_as_of_far_from_all_data(shop: Shop, graph_tables: list[str], as_of: datetime.date) -> None:
    shop.driver("u1")
    shop.item("A")
    shop.fits("1967", "FORD", "MUSTANG", "A")
    shop.order("u1", "2025-10-01", "A")
    shop.click("u1", "2026-01-10")
    times = {"as_of": as_of, "cutoff": as_of - datetime.timedelta(days=30)}
    tables = shop.run_tables(graph_tables, **times)
    assert tables["test_clicks"] == []
    assert len(tables["interacts_edges"]) == (1 if as_of.year == 2035 else 0)
    assert all(row["weight"] > 0 for row in tables["interacts_edges"])
