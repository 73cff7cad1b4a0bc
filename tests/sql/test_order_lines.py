"""order_lines and user_purchases: two overlapping sources, each purchase counted once."""

from __future__ import annotations

import datetime

from sql.shop import Row, Shop


def counted(rows: list[Row]) -> list[tuple[str, str, str]]:
    return [
        (row["sku"], row["order_date"].isoformat(), row["source"])
        for row in rows
        if row["counts_as_order"] and row["counts_in_popularity"]
    ]


def test_one_purchase_in_three_events_is_one_order(shop: Shop) -> None:
    shop.driver("u1")
    shop.event("u1", "Placed Order", "2025-10-02T10:00", **{"Items_0.ProductId": "8202B"})
    shop.event("u1", "Ordered Product", "2025-10-02T10:01", ProductId="8202B")
    shop.event("u1", "Consumer Website Order", "2025-10-02T10:02", SKUs_0="8202B")
    (row,) = shop.run("order_lines")
    assert row == {
        "buyer": "u1@x.com",
        "email_lower": "u1@x.com",
        "sku": "8202B",
        "base_sku": "8202",
        "order_date": datetime.date(2025, 10, 2),
        "source": "events",
        "counts_as_order": True,
        "counts_in_popularity": True,
    }
    assert shop.dropped("order_lines") == {}


def test_colours_of_one_part_are_one_order_a_day(shop: Shop) -> None:
    shop.order("u1", "2025-10-02T10:00", "8202B", "8202R")
    shop.order("u1", "2025-10-03T10:00", "8202R")
    shop.order("u2", "2025-10-02T10:00", "8202R")
    rows = shop.run("order_lines")
    assert len(rows) == 4
    assert counted(rows) == [
        ("8202B", "2025-10-02", "events"),
        ("8202R", "2025-10-02", "events"),
        ("8202R", "2025-10-03", "events"),
    ]


def test_popularity_takes_each_day_from_one_source(shop: Shop) -> None:
    shop.driver("u1")
    shop.imported_order("u1@x.com", "2025-08-31", "A")
    shop.imported_order("u1@x.com", "2025-09-01", "A")
    shop.imported_order("u1@x.com", "2025-09-02", "B")
    shop.order("u1", "2025-09-01T10:00", "A")
    rows = shop.run("order_lines")
    assert counted(rows) == [("A", "2025-08-31", "import_orders"), ("A", "2025-09-01", "events")]
    # Known from the order system alone, in the window: a purchase, but not in the popularity.
    assert [row["counts_as_order"] for row in rows if row["sku"] == "B"] == [True]
    assert [row["counts_in_popularity"] for row in rows if row["sku"] == "B"] == [False]


def test_exactly_one_row_of_buyer_part_and_day_counts(shop: Shop) -> None:
    shop.driver("u1")
    for sku in ("8202", "8202B", "8202R"):
        shop.imported_order(" U1@X.com ", "2025-10-02", sku)
        shop.order("u1", "2025-10-02T10:00", sku)
    rows = shop.run("order_lines")
    assert len(rows) == 6
    assert [(row["sku"], row["source"]) for row in rows if row["counts_as_order"]] == [("8202", "events")]


def test_buyer_is_the_email_where_it_is_known(shop: Shop) -> None:
    shop.driver("u1")
    shop.account("u1b", email=" U1@x.com")
    shop.order("u1", "2025-10-02T10:00", "A")
    shop.order("u1b", "2025-10-02T11:00", "A")
    shop.order("visitor", "2025-10-02T12:00", "A")
    shop.imported_order("guest@x.com", "2025-08-02", "A")
    rows = shop.run("order_lines")
    assert [(row["buyer"], row["email_lower"]) for row in rows] == [
        ("guest@x.com", None),
        ("u1@x.com", "u1@x.com"),
        ("visitor", None),
    ]


DATES = [
    ("Friday, January 10, 2025", "2025-01-10"),
    (" friday, january 10, 2025 ", "2025-01-10"),
    ("Wednesday, January 1, 2025", "2025-01-01"),
    ("Saturday, February 29, 2025", None),
    ("2025-01-10", None),
    ("Friday, Januar 10, 2025", None),
    ("", None),
    (None, None),
]


def test_order_dates_are_spelled_out(shop: Shop) -> None:
    for number, (text, _) in enumerate(DATES):
        shop.rows["import_orders"].append(
            {"ITEM": f"A{number}", "SHIP_TO_EMAIL": "a@x.com", "ORDER_DATE": text}
        )
    dates = {row["sku"]: row["order_date"].isoformat() for row in shop.run("order_lines")}
    assert [(text, dates.get(f"A{number}")) for number, (text, _) in enumerate(DATES)] == DATES
    assert shop.dropped("order_lines") == {"order date unparsable": 5}


def test_unusable_and_repeated_lines_are_counted(shop: Shop) -> None:
    for _ in range(3):
        shop.imported_order("a@x.com", "2025-01-10", "A")
    shop.imported_order(" A@x.com", "2025-01-10", "a ")
    shop.imported_order("a@x.com", "NONE", "A")
    shop.imported_order("a@x.com", "NONE", "A")
    shop.imported_order("a@x.com", "2025-01-10", " ")
    shop.imported_order(None, "2025-01-10", "A")
    assert len(shop.run("order_lines")) == 1
    assert shop.dropped("order_lines") == {
        "duplicate row": 3,
        "no SKU": 1,
        "no e-mail": 1,
        "order date unparsable": 2,
    }


def test_orders_from_as_of_on_are_ignored(shop: Shop) -> None:
    shop.imported_order("a@x.com", "2026-01-31", "A")
    shop.imported_order("a@x.com", "2026-02-01", "A")
    assert [row["order_date"].isoformat() for row in shop.run("order_lines")] == ["2026-01-31"]
    assert shop.dropped("order_lines") == {}


def test_purchases_are_distinct_days_of_users_with_a_vehicle(shop: Shop) -> None:
    shop.driver("u1")
    shop.account("u2", email="u2@x.com")
    shop.imported_order("u1@x.com", "2019-01-10", "8202B")
    shop.imported_order("u1@x.com", "2025-10-02", "8202R")
    shop.order("u1", "2025-10-02T10:00", "8202B")
    shop.order("u2", "2025-10-02T10:00", "8202B")
    shop.imported_order("guest@x.com", "2025-10-02", "8202B")
    assert shop.run("user_purchases") == [
        {"email_lower": "u1@x.com", "base_sku": "8202", "order_date": datetime.date(2019, 1, 10)},
        {"email_lower": "u1@x.com", "base_sku": "8202", "order_date": datetime.date(2025, 10, 2)},
    ]
