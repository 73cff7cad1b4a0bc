"""user_visits, co_viewed_edges, and what co_purchased_edges leaves out of a last visit."""

from __future__ import annotations

import datetime
import math

import pytest
from sql.shop import Shop

LN3 = math.log(3)


@pytest.fixture
def catalogue(shop: Shop) -> Shop:
    """Four parts, and two users with a car."""
    for sku in ("A", "B", "C", "8202B"):
        shop.item(sku)
    shop.driver("u1")
    shop.driver("u2")
    return shop


def test_visits_are_days_on_which_a_customer_met_a_part(catalogue: Shop) -> None:
    catalogue.account("other", email="U1@x.com ")
    catalogue.imported_order("u1@x.com", "2020-01-01", "A")
    catalogue.view("u1", "2025-10-01T10:00", "8202R")
    catalogue.view("other", "2025-10-01T11:00", "8202B")
    catalogue.cart("u1", "2025-10-01T12:00", "8202B", "UNLISTED")
    catalogue.order("u1", "2026-01-20", "B")
    catalogue.view("visitor", "2025-10-01", "A")
    assert [tuple(row.values()) for row in catalogue.run("user_visits")] == [
        ("u1@x.com", datetime.date(2020, 1, 1), "A", "order"),
        ("u1@x.com", datetime.date(2025, 10, 1), "8202", "cart"),
        ("u1@x.com", datetime.date(2025, 10, 1), "8202", "view"),
        ("u1@x.com", datetime.date(2026, 1, 20), "B", "order"),
    ]


def test_pairs_that_two_visitors_met_in_any_way(catalogue: Shop) -> None:
    """A and 8202 by three before the cutoff; B and C by one before it and two in all."""
    catalogue.view("v1", "2025-10-01", "A")
    catalogue.view("v1", "2025-10-09", "8202B")
    catalogue.cart("v2", "2025-10-01", "8202R", "A")
    catalogue.order("u1", "2025-10-01", "A", "8202R", "UNLISTED")
    catalogue.view("v2", "2025-10-01", "B")
    catalogue.view("v2", "2025-10-01", "C")
    catalogue.view("v3", "2025-10-01", "B")
    catalogue.view("v3", "2026-01-02", "C")
    rows = [tuple(row.values()) for row in catalogue.run("co_viewed_edges")]
    # u1 came once: nothing of it is earlier than its last visit.
    assert rows == [
        ("8202", "A", 3, 2, math.log(4), 3, math.log(4)),
        ("B", "C", None, None, None, 2, LN3),
    ]


def test_a_last_visit_is_left_out_of_what_foretells_it(catalogue: Shop) -> None:
    """u1 met A and B on an earlier day and C on the last; u2 saw C on an earlier day too."""
    for user in ("u1", "u2"):
        catalogue.view(user, "2025-10-01", "A")
        catalogue.view(user, "2025-10-01", "B")
        catalogue.view(user, "2025-10-20", "C")
    catalogue.view("u2", "2025-10-02", "C")
    catalogue.view("u2", "2026-01-10", "A")
    rows = {(row["base_sku"], row["other_base_sku"]): row for row in catalogue.run("co_viewed_edges")}
    counts = {pair: (row["visitors"], row["earlier_visitors"]) for pair, row in rows.items()}
    assert counts == {("A", "B"): (2, 2), ("A", "C"): (2, 1), ("B", "C"): (2, 1)}
    catalogue.order("u1", "2025-10-03", "A", "B")
    catalogue.order("u2", "2025-10-03", "A")
    catalogue.order("u2", "2025-12-01", "B")
    (edge,) = catalogue.run("co_purchased_edges")
    assert (edge["users"], edge["earlier_users"]) == (2, 1)


def test_the_newest_parts_of_a_visitor_count(catalogue: Shop) -> None:
    """Two parts a visitor: as of the cutoff A and B, as of today B and C."""
    for visitor in ("v1", "v2"):
        catalogue.view(visitor, "2025-10-01", "8202B")
        catalogue.view(visitor, "2025-10-02", "A")
        catalogue.view(visitor, "2025-10-03", "B")
        catalogue.view(visitor, "2026-01-15", "C")
    rows = catalogue.run("co_viewed_edges", co_view_maximum_parts=2)
    assert [(r["base_sku"], r["other_base_sku"], r["visitors"], r["serving_visitors"]) for r in rows] == [
        ("A", "B", 2, None),
        ("B", "C", None, 2),
    ]


def test_the_minimum_of_visitors_is_a_setting(catalogue: Shop) -> None:
    catalogue.view("v1", "2025-10-01", "A")
    catalogue.view("v1", "2025-10-01", "B")
    assert catalogue.run("co_viewed_edges") == []
    (edge,) = catalogue.run("co_viewed_edges", co_view_minimum_visitors=1)
    assert edge["visitors"] == 1
