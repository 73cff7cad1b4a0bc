"""Clicks that security scanners make, and what they view."""

from __future__ import annotations

import pytest
from sql.shop import Row, Shop


@pytest.fixture
def mailed(shop: Shop) -> Shop:
    """A driver with two accounts, and parts A, B and C."""
    shop.driver("u1")
    shop.account("u1b", email="U1@x.com")
    shop.driver("u2")
    for sku in ("A", "B", "C"):
        shop.item(sku)
        shop.fits("1967", "FORD", "MUSTANG", sku)
    return shop


def pairs(rows: list[Row]) -> list[tuple[str, str]]:
    return sorted((row["email_lower"], row["base_sku"]) for row in rows)


@pytest.mark.parametrize(("last", "is_machine"), [("10:00:10", True), ("10:00:10.000001", False)])
def test_three_clicks_within_ten_seconds_are_a_machine(mailed: Shop, last: str, is_machine: bool) -> None:
    for number, at in enumerate(("10:00:00", "10:00:09", last)):
        mailed.click("u1", f"2026-01-10T{at}", f"t{number}")
    mailed.view("u1", "2026-01-10T10:05", "A")
    assert pairs(mailed.run("test_clicks")) == ([] if is_machine else [("u1@x.com", "A")])
    expected = {"machine click": 3} if is_machine else {"another click of the user on the part": 2}
    assert mailed.dropped("test_clicks") == expected


def test_two_clicks_and_repeats_of_one_are_a_person(mailed: Shop) -> None:
    for tracking_id in ("t1", "t2", "t2", "t2"):
        mailed.click("u1", "2026-01-10T10:00", tracking_id)
    mailed.click("u1b", "2026-01-10T10:00", "t2")
    mailed.view("u1", "2026-01-10T10:00:01", "A")
    assert pairs(mailed.run("test_clicks")) == [("u1@x.com", "A")]
    assert mailed.dropped("test_clicks") == {"another click of the user on the part": 4}


def test_burst_is_of_one_user_under_any_of_its_accounts(mailed: Shop) -> None:
    for user, second in (("u1", 0), ("u1b", 1), ("u2", 2)):
        mailed.click(user, f"2026-01-10T10:00:0{second}", user)
    assert mailed.run("machine_bursts") == []
    mailed.click("u1b", "2026-01-10T10:00:03", "t")
    (burst,) = mailed.run("machine_bursts")
    assert (burst["visitor"], burst["clicks"]) == ("u1@x.com", 3)
    assert (burst["last_click"] - burst["first_click"]).total_seconds() == 3


def test_long_burst_is_one_and_a_later_click_is_a_persons(mailed: Shop) -> None:
    for second in (0, 4, 8, 12, 16, 40):
        mailed.click("u1", f"2026-01-10T10:00:{second:02}", f"t{second}")
    mailed.view("u1", "2026-01-10T10:00:45", "A")
    (burst,) = mailed.run("machine_bursts")
    assert (burst["clicks"], (burst["last_click"] - burst["first_click"]).total_seconds()) == (5, 16)
    (row,) = mailed.run("test_clicks")
    assert row["treatment_tracking_id"] == "t40"


@pytest.mark.parametrize(
    ("at", "kept"),
    [
        ("09:59:59.999999", True),
        ("10:00:00", False),
        ("10:00:05", False),
        ("10:00:12", False),
        ("10:00:12.000001", True),
    ],
)
def test_views_in_the_burst_and_ten_seconds_after_it_count_nowhere(mailed: Shop, at: str, kept: bool) -> None:
    for second in (0, 1, 2):
        mailed.click("u1", f"2026-01-10T10:00:0{second}", f"t{second}")
    mailed.view("u1b", f"2026-01-10T{at}", "A", price=99, image="https://x.com/a.jpg")
    mailed.view("u2", "2026-01-10T10:00:01", "B")
    mailed.cart("u1", "2026-01-10T10:00:01", "C")
    tables = mailed.run_tables(["interacts_edges", "product_nodes"])
    viewed = {("u1@x.com", "A")} if kept else set()
    edges = set(pairs(tables["interacts_edges"]))
    assert edges == {("u1@x.com", "C"), ("u2@x.com", "B"), *viewed}
    assert mailed.dropped("interaction_events") == ({} if kept else {"machine view": 1})


def test_settings_of_a_machine(mailed: Shop) -> None:
    for second in (0, 3):
        mailed.click("u1", f"2026-01-10T10:00:0{second}", f"t{second}")
    assert mailed.run("machine_bursts") == []
    assert len(mailed.run("machine_bursts", machine_clicks=2)) == 1
    assert mailed.run("machine_bursts", machine_clicks=2, machine_click_seconds=2) == []


def test_two_thousand_scanned_clicks_leave_the_test_set_as_it_is(mailed: Shop) -> None:
    mailed.click("u2", "2026-01-10T10:00", "t")
    mailed.view("u2", "2026-01-10T10:01", "A")
    honest = mailed.run("test_clicks")
    for number in range(2000):
        mailed.click(
            "u1", f"2026-01-{2 + number // 100:02}T10:00:{number % 100 // 10:02}.{number % 10}", f"t{number}"
        )
    for day in range(2, 22):
        mailed.view("u1", f"2026-01-{day:02}T10:00:05", "B")
        mailed.view("u1", f"2026-01-{day:02}T10:00:15", "B")
    assert mailed.run("test_clicks") == honest
    assert mailed.dropped("test_clicks") == {"machine click": 2000}
    assert mailed.dropped("interaction_events") == {"machine view": 40}


def test_what_the_clicks_of_machines_led_to_is_kept_in_a_table_of_its_own(mailed: Shop) -> None:
    """The first view of any of the user's accounts after each click: a machine's view, or a person's later one."""
    for second, tracking_id in ((0, "t0"), (2, "t1"), (4, "t2")):
        mailed.click("u1", f"2026-01-10T10:00:0{second}", tracking_id)
    mailed.view("u1b", "2026-01-10T10:00:01", "BB")
    mailed.item("BB")
    mailed.fits("1967", "FORD", "MUSTANG", "BB")
    mailed.event("u1", "VIEWED product ", "2026-01-10T10:00:03", **{"ProdId ": " b9r "})
    mailed.item("B9")
    mailed.fits("1967", "FORD", "MUSTANG", "B9")
    mailed.view("u1", "2026-01-10T10:30:04", "C")
    mailed.cart("u1", "2026-01-10T10:00:01", "A")
    # A person's click is none of a machine's.
    mailed.click("u2", "2026-01-10T10:00:00", "t9")
    mailed.view("u2", "2026-01-10T10:00:01", "A")
    tables = mailed.run_tables(["machine_clicks", "test_clicks"])
    assert [(row["treatment_tracking_id"], row["base_sku"]) for row in tables["machine_clicks"]] == [
        ("t0", "BB"),
        ("t1", "B9"),
        ("t2", "C"),
    ]
    assert {row["email_lower"] for row in tables["machine_clicks"]} == {"u1@x.com"}
    assert {row["engagement_tier"] for row in tables["machine_clicks"]} == {"cold"}
    assert pairs(tables["test_clicks"]) == [("u2@x.com", "A")]


@pytest.mark.parametrize(
    ("minute", "sku", "reason"),
    [
        ("10:00", "A", None),
        ("10:30:00", "A", None),
        ("10:30:00.000001", "A", "no product view within the window"),
        ("09:59:59.999999", "A", "no product view within the window"),
        ("10:01", "nowhere", "product unknown"),
    ],
)
def test_clicks_of_machines_that_lead_nowhere_are_counted(
    mailed: Shop, minute: str, sku: str, reason: str | None
) -> None:
    for tracking_id in ("t0", "t1", "t2"):
        mailed.click("u1", "2026-01-10T10:00", tracking_id)
    # The other account of the e-mail reports the same click.
    mailed.click("u1b", "2026-01-10T10:00", "t2")
    mailed.view("u1", f"2026-01-10T{minute}", sku)
    assert pairs(mailed.run("machine_clicks")) == ([("u1@x.com", "A")] if reason is None else [])
    assert mailed.dropped("machine_clicks") == (
        {"another click of the user on the part": 2} if reason is None else {reason: 3}
    )


def test_clicks_of_machines_are_those_of_the_test_window(mailed: Shop) -> None:
    """The cutoff is 2026-01-02, as_of 2026-02-01."""
    for day in ("2026-01-01T23:59:50", "2026-01-02T00:00", "2026-01-31T23:59:50"):
        for tracking_id in ("t0", "t1", "t2"):
            mailed.click("u1", day, tracking_id)
    mailed.view("u1", "2026-01-01T23:59:51", "A")
    mailed.view("u1", "2026-01-02T00:00:01", "B")
    mailed.view("u1", "2026-01-31T23:59:59", "C")
    mailed.view("u1", "2026-02-01T00:00:00", "A")
    assert pairs(mailed.run("machine_clicks")) == [("u1@x.com", "B"), ("u1@x.com", "C")]


def test_strangers_mailboxes_lead_to_no_pair(mailed: Shop) -> None:
    """Neither an account without a vehicle nor a user without an account can be a test user."""
    mailed.account("u3", email="u3@x.com")
    for user in ("u3", "stranger"):
        for tracking_id in ("t0", "t1", "t2"):
            mailed.click(user, "2026-01-10T10:00", tracking_id)
        mailed.view(user, "2026-01-10T10:00:01", "A")
    assert mailed.run("machine_clicks") == []
    assert mailed.dropped("machine_clicks") == {}
    assert sum(row["clicks"] for row in mailed.run("machine_bursts")) == 6


def test_a_view_without_a_part_hides_no_later_one(mailed: Shop) -> None:
    for tracking_id in ("t0", "t1", "t2"):
        mailed.click("u1", "2026-01-10T10:00", tracking_id)
    mailed.view("u1", "2026-01-10T10:00:01", " ")
    mailed.view("u1", "2026-01-10T10:00:02", "A")
    assert pairs(mailed.run("machine_clicks")) == [("u1@x.com", "A")]


def test_views_on_the_day_of_the_run_are_not_known_yet(mailed: Shop) -> None:
    for tracking_id in ("t0", "t1", "t2"):
        mailed.click("u1", "2026-01-31T23:59:50", tracking_id)
    mailed.view("u1", "2026-02-01T00:00", "A")
    assert mailed.run("machine_clicks") == []
    mailed.view("u1", "2026-01-31T23:59:59.999999", "B")
    assert pairs(mailed.run("machine_clicks")) == [("u1@x.com", "B")]


def test_clicks_are_told_from_views_of_the_mail_however_they_are_spelled(mailed: Shop) -> None:
    """A view of the mail within a burst is no click of it, and leads nowhere."""
    for tracking_id, kind in (("t0", " clicked"), ("t1", "Clicked "), ("t2", "CLICKED"), ("t3", "VIEWED")):
        mailed.click("u1", "2026-01-10T10:00", tracking_id, kind)
    mailed.view("u1", "2026-01-10T10:00:01", "A")
    assert [row["treatment_tracking_id"] for row in mailed.run("machine_clicks")] == ["t0"]
    assert mailed.dropped("machine_clicks") == {"another click of the user on the part": 2}
