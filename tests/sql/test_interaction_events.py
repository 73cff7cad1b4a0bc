"""interaction_events: five events, three shapes, three value columns."""

from __future__ import annotations

import datetime
from typing import Any

from sql.shop import Row, Shop


def summary(rows: list[Row]) -> list[tuple[Any, ...]]:
    return sorted((row["interaction"], row["sku"], row["price"], row["image"]) for row in rows)


def test_each_event_names_its_parts_in_its_own_way(shop: Shop) -> None:
    image = "https://i.com/a.jpg"
    shop.event("u", "Viewed Product", "2025-10-01", ProductId="A1", Price="60", ImageURL=image)
    shop.event("u", "Ordered Product", "2025-10-02", ProductId="A2", Price=70, ImageURL=image)
    items = {"ProductId": "A", "ItemPrice": 80.5, "ImageURL": image}
    shop.event(
        "u", "Cart Update", "2025-10-03", **{f"Items_0.{name}": value for name, value in items.items()}
    )
    shop.event(
        "u", "Placed Order", "2025-10-04", **{f"Items_0.{name}": value for name, value in items.items()}
    )
    shop.event("u", "Consumer Website Order", "2025-10-05", SKUs_0="S0", SKUs_1="S1")
    shop.event("u", "Active on Site", "2025-10-06", ProductId="A9")
    assert summary(shop.run("interaction_events")) == sorted(
        [
            ("view", "A1", 60.0, image),
            ("order", "A2", 70.0, image),
            ("cart", "A", 80.5, image),
            ("order", "A", 80.5, image),
            ("order", "S0", None, None),
            ("order", "S1", None, None),
        ],
        key=lambda row: row[:2],
    )
    assert shop.dropped("interaction_events") == {}


def test_names_of_events_and_properties_have_no_case(shop: Shop) -> None:
    shop.event("u", " viewed PRODUCT", "2025-10-01", PRODUCTID="a1", price="60", imageurl="//i.com/a")
    shop.event("u", "CART UPDATE", "2025-10-01", **{"items_0.PRODUCTID": "a2", "ITEMS_0.itemprice": "61"})
    shop.event("u", "consumer website order", "2025-10-01", skus_0="a3")
    assert summary(shop.run("interaction_events")) == [
        ("cart", "A2", 61.0, None),
        ("order", "A3", None, None),
        ("view", "A1", 60.0, "https://i.com/a"),
    ]


def test_items_are_regrouped_by_their_number(shop: Shop) -> None:
    items = {f"Items_{n}.ProductId": f"P-{n}" for n in range(12)}
    prices = {f"Items_{n}.ItemPrice": float(100 + n) for n in reversed(range(12))}
    images = {f"Items_{n}.ImageURL": f"https://i.com/{n}" for n in range(12) if n != 1}
    totals = {"ProductId": "P-77", "Price": 9999.0, "ImageURL": "https://i.com/cart", "ItemCount": 12}
    shop.event("u", "Cart Update", "2025-10-01", **items, **prices, **images, **totals)
    rows = shop.run("interaction_events")
    assert {row["sku"]: (row["price"], row["image"]) for row in rows} == {
        f"P-{n}": (100.0 + n, None if n == 1 else f"https://i.com/{n}") for n in range(12)
    }


def test_items_of_two_events_at_one_moment_do_not_mix(shop: Shop) -> None:
    for sku, price in (("A", 60.0), ("B", 70.0)):
        event = {"Items_0.ProductId": sku, "Items_0.ItemPrice": price}
        shop.event("u", "Placed Order", "2025-10-01T10:00", **event)
    assert summary(shop.run("interaction_events")) == [("order", "A", 60.0, None), ("order", "B", 70.0, None)]


SKUS = [
    (" abc-1b ", "ABC-1B"),
    (8202, "8202"),
    (8202.0, "8202"),
    (8202.5, "8202.5"),
]


def test_sku_in_any_column(shop: Shop) -> None:
    for minute, (value, _) in enumerate(SKUS):
        shop.view("u", f"2025-10-01T00:{minute:02}", value)
    assert [row["sku"] for row in shop.run("interaction_events")] == [sku for _, sku in SKUS]


BASE_SKUS = [
    ("8202B", "8202"),
    ("8202r", "8202"),
    ("8202 G", "8202 G"),
    ("0-80457SP", "0-80457SP"),
    ("550-5P", "550-5"),
    ("B", "B"),
    ("82B02", "82B02"),
    ("8202BR", "8202BR"),
    ("8202S", "8202S"),
]


def test_base_sku_is_the_sku_without_the_colour_behind_a_digit(shop: Shop) -> None:
    for minute, (sku, _) in enumerate(BASE_SKUS):
        shop.view("u", f"2025-10-01T00:{minute:02}", sku)
    rows = shop.run("interaction_events")
    assert [(sku, row["base_sku"]) for (sku, _), row in zip(BASE_SKUS, rows, strict=True)] == BASE_SKUS


PRICES = [
    ("60.50", 60.5),
    (" 60 ", 60.0),
    ("$1,234.50", 1234.5),
    ("$ 99", 99.0),
    ("1,234,567", 1234567.0),
    (60, 60.0),
    (60.5, 60.5),
    ("0", None),
    (0, None),
    (0.0, None),
    ("-5", None),
    (-5, None),
    (-5.0, None),
    (float("nan"), None),
    (float("inf"), None),
    ("nan", None),
    ("1e3", None),
    ("12,34", None),
    ("free", None),
    ("", None),
    ("$", None),
    (".", None),
]


def test_price_parses_and_is_positive_or_is_null(shop: Shop) -> None:
    for minute, (value, _) in enumerate(PRICES):
        shop.view("u", f"2025-10-01T00:{minute:02}", "A", price=value)
    rows = shop.run("interaction_events")
    assert [(repr(value), row["price"]) for (value, _), row in zip(PRICES, rows, strict=True)] == [
        (repr(value), price) for value, price in PRICES
    ]


IMAGES = [
    ("https://i.com/a.jpg", "https://i.com/a.jpg"),
    ("http://i.com/a.jpg", "https://i.com/a.jpg"),
    ("HTTP://i.com/A.jpg", "https://i.com/A.jpg"),
    ("//i.com/a.jpg", "https://i.com/a.jpg"),
    (" https://i.com/a.jpg ", "https://i.com/a.jpg"),
    ("ftp://i.com/a.jpg", None),
    ("/a.jpg", None),
    ("a.jpg", None),
    ("https://", None),
    ("https:///a.jpg", None),
    ("https://i.com/a b.jpg", None),
    ("", None),
    (5, None),
]


def test_image_is_https_or_null(shop: Shop) -> None:
    for minute, (value, _) in enumerate(IMAGES):
        shop.view("u", f"2025-10-01T00:{minute:02}", "A", image=value)
    rows = shop.run("interaction_events")
    assert [(value, row["image"]) for (value, _), row in zip(IMAGES, rows, strict=True)] == IMAGES


def test_window_is_half_open(shop: Shop) -> None:
    for at in ("2025-08-31T23:59:59", "2025-09-01", "2026-01-31T23:59:59", "2026-02-01"):
        shop.view("u", at, "A")
    rows = shop.run("interaction_events")
    assert [row["event_date"] for row in rows] == [datetime.date(2025, 9, 1), datetime.date(2026, 1, 31)]
    assert shop.dropped("interaction_events") == {}


def test_days_are_days_of_utc(shop: Shop) -> None:
    shop.rows["ingestion_unified_schema_incremental"].append(
        {
            "user_id": "u",
            "event_name": "Viewed Product",
            "client_event_timestamp": datetime.datetime.fromisoformat("2025-10-01T20:00:00-05:00"),
            "event_properties": [{"property_name": "ProductId", "string_value": "A"}],
        }
    )
    assert shop.run("interaction_events")[0]["event_date"] == datetime.date(2025, 10, 2)


def test_known_users_have_their_email_and_visitors_none(shop: Shop) -> None:
    shop.driver("u1")
    shop.view(" u1 ", "2025-10-01", "A")
    shop.view("visitor", "2025-10-02", "A")
    assert [(row["user_id"], row["email_lower"]) for row in shop.run("interaction_events")] == [
        ("u1", "u1@x.com"),
        ("visitor", None),
    ]


def test_unusable_and_repeated_rows_are_counted(shop: Shop) -> None:
    shop.view(None, "2025-10-01", "A")
    shop.view(" ", "2025-10-01", "A")
    shop.view("u", None, "A")
    shop.view("u", "2025-10-01", " ")
    shop.view("u", "2025-10-01T01:00", None, price="60")
    shop.event("u", "Viewed Product", "2025-10-01T02:00")
    shop.event("u", "Placed Order", "2025-10-01", **{"Items_0.ProductId": "A", "Items_1.ItemPrice": 60})
    for _ in range(3):
        shop.view("u", "2025-10-02", "B", price="70")
    shop.view("u", "2025-10-02", "b ", price="71")
    shop.view("u", "2025-10-02T00:00:01", "B")
    rows = shop.run("interaction_events")
    assert [(row["sku"], row["price"]) for row in rows] == [("A", None), ("B", 71.0), ("B", None)]
    assert shop.dropped("interaction_events") == {
        "no user_id": 2,
        "no timestamp": 1,
        "no SKU": 4,
        "duplicate row": 3,
    }


def test_one_product_under_two_event_names_is_no_duplicate(shop: Shop) -> None:
    shop.event("u", "Placed Order", "2025-10-02", **{"Items_0.ProductId": "A"})
    shop.event("u", "Ordered Product", "2025-10-02", ProductId="A")
    shop.event("u", "Consumer Website Order", "2025-10-02", SKUs_0="A")
    assert len(shop.run("interaction_events")) == 3
    assert shop.dropped("interaction_events") == {}


def test_names_of_properties_are_trimmed_of_any_white_space(shop: Shop) -> None:
    shop.event("u", "Viewed Product", "2025-10-01", **{"\u00a0ProductId\t": "A1", " Price ": "60"})
    shop.event(
        "u", "Cart Update", "2025-10-02", **{" Items_0.ProductId\u3000": "A2", "\tItems_0.ItemPrice": "61"}
    )
    assert summary(shop.run("interaction_events")) == [("cart", "A2", 61.0, None), ("view", "A1", 60.0, None)]


def test_a_value_in_two_columns_is_the_text_then_the_whole_number(shop: Shop) -> None:
    """Text, whole number, float: the first that says something."""
    for day, values, expected in (
        (1, ("60", 70, 80.0), 60.0),
        (2, (None, 70, 80.0), 70.0),
        (3, ("n/a", None, 80.0), 80.0),
        (4, ("0", 70, 80.0), 70.0),
    ):
        shop.view("u", f"2025-10-0{day}", f"A{day}")
        price = dict(zip(("string_value", "long_value", "double_value"), values, strict=True))
        shop.rows["ingestion_unified_schema_incremental"][-1]["event_properties"].append(
            {"property_name": "Price", **price}
        )
        (row,) = (row for row in shop.run("interaction_events") if row["sku"] == f"A{day}")
        assert row["price"] == expected


def test_of_two_prices_and_images_of_one_event_the_higher_and_the_first_count(shop: Shop) -> None:
    for price, image in (("60", "https://b.com/1"), ("70", "https://a.com/2"), ("65", "https://c.com/3")):
        shop.view("u", "2025-10-01", "A1", price=price, image=image)
    assert summary(shop.run("interaction_events")) == [("view", "A1", 70.0, "https://a.com/2")]
