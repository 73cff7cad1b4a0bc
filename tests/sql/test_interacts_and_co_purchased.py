"""interacts_edges and co_purchased_edges."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from sql.shop import Shop


@pytest.fixture
def catalogue(shop: Shop) -> Shop:
    """A shop with one driver and parts A, B, C and 8202."""
    shop.driver("u1")
    for sku in ("A", "B", "C", "8202B", "8202R"):
        shop.item(sku)
    return shop


def test_weight_is_the_decayed_sum_counted_back_from_each_views_end(catalogue: Shop) -> None:
    catalogue.view("u1", "2025-12-03T10:00", "A")  # 30 days before the cutoff, 60 before as_of
    catalogue.view("u1", "2025-12-03T10:01", "A")
    catalogue.cart("u1", "2026-01-01T23:00", "A")  # 1 and 31 days
    catalogue.order("u1", "2026-01-17", "A")  # 15 days before as_of
    (edge,) = catalogue.run("interacts_edges")
    counts = [edge[name] for name in ("views", "carts", "orders")]
    serving_counts = [edge[name] for name in ("serving_views", "serving_carts", "serving_orders")]
    assert (counts, serving_counts) == ([2, 1, 0], [2, 1, 1])
    assert edge["weight"] == pytest.approx(2 * math.exp(-1) + 3 * math.exp(-1 / 30), rel=1e-11)
    assert edge["serving_weight"] == pytest.approx(
        2 * math.exp(-2) + 3 * math.exp(-31 / 30) + 5 * math.exp(-0.5), rel=1e-11
    )


def test_edge_that_starts_after_the_cutoff_exists_in_the_serving_view_alone(catalogue: Shop) -> None:
    catalogue.view("u1", "2026-01-02", "A")
    (edge,) = catalogue.run("interacts_edges")
    assert [edge[name] for name in ("views", "carts", "orders", "weight")] == [None] * 4
    assert (edge["serving_views"], edge["serving_weight"]) == (1, pytest.approx(math.exp(-1)))


def test_an_order_counts_once_a_day_and_a_view_once_a_moment(catalogue: Shop) -> None:
    catalogue.account("u1b", email="u1@x.com")
    catalogue.order("u1", "2025-10-01T10:00", "8202B")
    catalogue.event("u1", "Ordered Product", "2025-10-01T10:05", ProductId="8202R")
    catalogue.order("u1b", "2025-10-01T20:00", "8202B")
    catalogue.order("u1", "2025-10-02T10:00", "8202B")
    catalogue.view("u1", "2025-10-01T10:00", "8202B")
    catalogue.view("u1b", "2025-10-01T10:00", "8202R")
    catalogue.view("u1", "2025-10-01T10:00:01", "8202B")
    (edge,) = catalogue.run("interacts_edges")
    assert (edge["base_sku"], edge["views"], edge["orders"]) == ("8202", 2, 2)


def test_only_users_with_a_vehicle_and_known_parts(catalogue: Shop) -> None:
    catalogue.account("u2", email="u2@x.com")
    for user, sku in (("u1", "A"), ("u1", "UNLISTED"), ("u2", "A"), ("visitor", "A")):
        catalogue.view(user, "2025-10-01", sku)
    assert [(e["email_lower"], e["base_sku"]) for e in catalogue.run("interacts_edges")] == [
        ("u1@x.com", "A")
    ]


def test_weights_are_settings_and_never_vanish(catalogue: Shop) -> None:
    catalogue.view("u1", "2025-09-01", "A")
    (edge,) = catalogue.run("interacts_edges", decay_days=2.0, view_weight=0.5)
    assert 0 < edge["serving_weight"] <= edge["weight"] < 1e-11


def test_pairs_that_two_buyers_ordered(catalogue: Shop) -> None:
    catalogue.imported_order("a@x.com", "2020-01-01", "A")
    catalogue.imported_order("a@x.com", "2025-10-01", "8202B")
    catalogue.order("visitor", "2025-10-01", "A", "8202R", "B")
    catalogue.order("u1", "2025-10-01", "B")
    catalogue.order("u1", "2026-01-02", "A")
    catalogue.order("u1", "2026-01-02", "UNLISTED")
    assert [tuple(edge.values()) for edge in catalogue.run("co_purchased_edges")] == [
        ("8202", "A", 2, 2, math.log(3), 2, math.log(3)),
        ("A", "B", None, None, None, 2, math.log(3)),
    ]


def test_minimum_of_buyers_is_a_setting(catalogue: Shop) -> None:
    catalogue.order("visitor", "2025-10-01", "A", "B")
    assert catalogue.run("co_purchased_edges") == []
    edges = catalogue.run("co_purchased_edges", co_purchase_minimum_users=1)
    assert [(edge["base_sku"], edge["other_base_sku"], edge["users"]) for edge in edges] == [("A", "B", 1)]


def test_pairs_agree_with_a_count_by_hand(shop: Shop) -> None:
    random = np.random.default_rng(0)
    baskets = {f"u{n}": sorted(random.choice(12, 4, replace=False)) for n in range(25)}
    for number in range(12):
        shop.item(f"P-{number:02}S")
    for user, parts in baskets.items():
        shop.order(user, "2025-10-01", *(f"P-{number:02}S" for number in parts))
    expected: dict[tuple[str, str], int] = {}
    for parts in baskets.values():
        for first, second in combinations(parts, 2):
            pair = (f"P-{first:02}S", f"P-{second:02}S")
            expected[pair] = expected.get(pair, 0) + 1
    edges = shop.run("co_purchased_edges")
    assert {(e["base_sku"], e["other_base_sku"]): e["users"] for e in edges} == {
        pair: users for pair, users in expected.items() if users >= 2
    }
