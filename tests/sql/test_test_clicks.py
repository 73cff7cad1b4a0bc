"""test_clicks: which part a click on an e-mail led to."""

from __future__ import annotations

import pytest
from sql.shop import Row, Shop


@pytest.fixture
def mailed(shop: Shop) -> Shop:
    """A driver with two accounts, and parts A, B and 8202."""
    shop.driver("u1")
    shop.account("u1b", email="U1@x.com")
    for sku in ("A", "B", "8202B"):
        shop.item(sku)
    return shop


def clicked(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row["email_lower"], row["base_sku"]) for row in rows]


def test_first_view_after_the_click_under_any_account(mailed: Shop) -> None:
    mailed.view("u1", "2026-01-10T11:59:59", "A")
    mailed.click("u1", "2026-01-10T12:00")
    mailed.view("visitor", "2026-01-10T12:01", "A")
    mailed.cart("u1", "2026-01-10T12:02", "A")
    mailed.view("u1b", "2026-01-10T12:03", "8202B")
    mailed.view("u1", "2026-01-10T12:04", "B")
    (row,) = mailed.run("test_clicks")
    assert (row["email_lower"], row["base_sku"]) == ("u1@x.com", "8202")
    assert (row["treatment_tracking_id"], row["engagement_tier"]) == ("t", "cold")


@pytest.mark.parametrize(
    ("at", "found"),
    [
        ("2026-01-10T11:59:59.999999", False),
        ("2026-01-10T12:00", True),
        ("2026-01-10T12:30", True),
        ("2026-01-10T12:30:00.000001", False),
    ],
)
def test_window_after_a_click_is_closed(mailed: Shop, at: str, found: bool) -> None:
    mailed.click("u1", "2026-01-10T12:00")
    mailed.view("u1", at, "A")
    assert clicked(mailed.run("test_clicks")) == ([("u1@x.com", "A")] if found else [])
    assert mailed.dropped("test_clicks") == ({} if found else {"no product view within the window": 1})


def test_window_is_a_setting(mailed: Shop) -> None:
    mailed.click("u1", "2026-01-10T12:00")
    mailed.view("u1", "2026-01-10T12:05", "A")
    assert mailed.run("test_clicks", click_view_minutes=4) == []
    assert len(mailed.run("test_clicks", click_view_minutes=5)) == 1


def test_clicks_are_those_from_the_cutoff_to_as_of(mailed: Shop) -> None:
    clicks = ("2026-01-01T23:59:59", "2026-01-02", "2026-01-31T23:50", "2026-02-01")
    for number, at in enumerate(clicks):
        mailed.click("u1", at, f"t{number}")
    for at, sku in (("2026-01-02T00:01", "A"), ("2026-01-31T23:59", "B"), ("2026-02-01T00:01", "A")):
        mailed.view("u1", at, sku)
    assert [row["treatment_tracking_id"] for row in mailed.run("test_clicks")] == ["t1", "t2"]
    assert mailed.dropped("test_clicks") == {}


def test_view_at_as_of_is_ignored(mailed: Shop) -> None:
    mailed.click("u1", "2026-01-31T23:50")
    mailed.view("u1", "2026-02-01", "A")
    assert mailed.run("test_clicks") == []


def test_views_at_one_moment_are_told_apart_by_sku(mailed: Shop) -> None:
    mailed.click("u1", "2026-01-10T12:00")
    mailed.view("u1b", "2026-01-10T12:01", "A")
    mailed.view("u1", "2026-01-10T12:01", "B")
    assert clicked(mailed.run("test_clicks")) == [("u1@x.com", "A")]


def test_only_clicks_count_in_any_case(mailed: Shop) -> None:
    mailed.click("u1", "2026-01-10T12:00", "t1", kind="VIEWED")
    mailed.click("u1", "2026-01-10T12:00", "t2", kind=" clicked")
    mailed.view("u1", "2026-01-10T12:01", "A")
    assert [row["treatment_tracking_id"] for row in mailed.run("test_clicks")] == ["t2"]


def test_clicks_that_lead_nowhere_are_counted(mailed: Shop) -> None:
    mailed.account("u2", email="u2@x.com")
    for user in ("u1", "u1", "u1b", "u2", "visitor"):
        mailed.click(user, "2026-01-10T12:00")
        mailed.view(user, "2026-01-10T12:01", "A")
    mailed.click("u1", "2026-01-11T12:00")
    mailed.click("u1", "2026-01-12T12:00")
    mailed.view("u1", "2026-01-12T12:01", "UNLISTED")
    mailed.view("u1", "2026-01-12T12:02", "A")
    assert clicked(mailed.run("test_clicks")) == [("u1@x.com", "A")]
    assert mailed.dropped("test_clicks") == {
        "duplicate row": 2,
        "no product view within the window": 1,
        "product unknown": 1,
        "user unknown or without vehicle": 2,
    }


def test_tier_is_the_one_at_the_cutoff(mailed: Shop) -> None:
    mailed.view("u1", "2026-01-01", "A")
    mailed.click("u1", "2026-01-10T12:00")
    mailed.cart("u1", "2026-01-10T12:00", "A")
    mailed.view("u1", "2026-01-10T12:01", "A")
    assert mailed.run("test_clicks")[0]["engagement_tier"] == "warm"
