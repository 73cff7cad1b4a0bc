"""test_interactions: what registered users met for the first time in the test window, without any e-mail."""

from __future__ import annotations

import datetime

import pytest
from sql.shop import Row, Shop

JANUARY_10 = datetime.date(2026, 1, 10)


@pytest.fixture
def registered(shop: Shop) -> Shop:
    """A driver with two accounts, and parts A, B and 8202."""
    shop.driver("u1")
    shop.account("u1b", email="U1@x.com")
    for sku in ("A", "B", "8202", "8202B"):
        shop.item(sku)
    return shop


def met(rows: list[Row]) -> list[tuple[str, str, str]]:
    return [(row["base_sku"], row["interaction"], row["interaction_date"].isoformat()) for row in rows]


def test_one_row_a_user_part_and_day_with_the_strongest_interaction(registered: Shop) -> None:
    registered.view("u1", "2026-01-10T08:00", "8202")
    registered.cart("u1b", "2026-01-10T09:00", "8202B")
    registered.view("u1", "2026-01-10T10:00", "8202")
    registered.order("u1", "2026-01-11T08:00", "8202")
    registered.view("u1", "2026-01-11T08:00", "A")
    rows = registered.run("test_interactions")
    assert met(rows) == [
        ("8202", "cart", "2026-01-10"),
        ("8202", "order", "2026-01-11"),
        ("A", "view", "2026-01-11"),
    ]
    assert {row["email_lower"] for row in rows} == {"u1@x.com"}
    assert registered.dropped("test_interactions") == {}


@pytest.mark.parametrize(
    ("at", "found"),
    [
        ("2026-01-01T23:59:59", False),
        ("2026-01-02", True),
        ("2026-01-31T23:59:59", True),
        ("2026-02-01", False),
    ],
)
def test_window_is_the_one_of_the_clicks(registered: Shop, at: str, found: bool) -> None:
    registered.view("u1", at, "A")
    assert len(registered.run("test_interactions")) == found


def test_what_the_user_met_before_is_counted_and_left_out(registered: Shop) -> None:
    """Under any account, any colour, any interaction; an order of any age too. Only new parts are a test."""
    registered.view("u1b", "2026-01-01T12:00", "8202B")
    registered.imported_order("u1@x.com", "2023-05-01", "A")
    for sku in ("8202", "A", "B"):
        registered.view("u1", "2026-01-10", sku)
        registered.view("u1", "2026-01-11", sku)
    assert met(registered.run("test_interactions")) == [
        ("B", "view", "2026-01-10"),
        ("B", "view", "2026-01-11"),
    ]
    assert registered.dropped("test_interactions") == {"part known to the user before the cutoff": 4}


def test_another_users_history_and_later_orders_are_not_the_users_own(registered: Shop) -> None:
    registered.driver("u2")
    registered.view("u2", "2025-12-01", "A")
    registered.imported_order("u1@x.com", "2026-01-10", "A")
    registered.view("u1", "2026-01-10", "A")
    assert [row["email_lower"] for row in registered.run("test_interactions")] == ["u1@x.com"]


def test_only_users_with_a_car_and_parts_of_the_catalogue(registered: Shop) -> None:
    """Visitors are no bad data, so they are not counted; an unlisted part is."""
    registered.account("u2", email="u2@x.com")
    for user in ("u1", "u2", "visitor"):
        registered.view(user, "2026-01-10", "A")
    registered.view("u1", "2026-01-10", "UNLISTED")
    assert met(registered.run("test_interactions")) == [("A", "view", JANUARY_10.isoformat())]
    assert registered.dropped("test_interactions") == {"product unknown": 1}


def test_tier_is_the_one_at_the_cutoff(registered: Shop) -> None:
    registered.view("u1", "2026-01-01", "A")
    registered.order("u1", "2026-01-10", "B")
    assert registered.run("test_interactions")[0]["engagement_tier"] == "warm"
