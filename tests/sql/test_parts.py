"""parts and product_nodes: what a SKU costs, how it looks and sells, and which rule keeps it out."""

from __future__ import annotations

import math

from sql.shop import Row, Shop

IMAGE = "https://i.com/a.jpg"


def by_sku(rows: list[Row]) -> dict[str, Row]:
    return {row["sku"]: row for row in rows}


def seen(shop: Shop, *skus: str, at: str = "2025-10-01") -> None:
    for sku in skus:
        shop.view("visitor", at, sku, image=IMAGE)


def test_every_sku_of_catalogue_and_fitment_is_a_part(shop: Shop) -> None:
    shop.item(" a1b", price="60")
    shop.fits("1967", "FORD", "MUSTANG", "A1B ", "a2", None, " ")
    shop.fits("NONE", "FORD", "MUSTANG", "A3R")
    seen(shop, "A9")
    rows = shop.run("parts")
    assert [(row["sku"], row["base_sku"]) for row in rows] == [("A1B", "A1"), ("A2", "A2"), ("A3R", "A3")]


def test_orders_and_events_of_skus_that_nobody_lists_are_counted(shop: Shop) -> None:
    shop.item("A")
    seen(shop, "A", "X1", "X2", at="2025-10-01")
    seen(shop, "X1", at="2025-10-02")
    shop.imported_order("a@x.com", "2025-01-10", "X1")
    shop.imported_order("a@x.com", "2025-01-10", "X3")
    shop.imported_order("a@x.com", "2025-10-10", "X3")
    assert [row["sku"] for row in shop.run("parts")] == ["A"]
    assert shop.dropped("parts") == {"ordered or seen, but not listed": 6}


def test_a_plain_part_is_eligible(shop: Shop) -> None:
    shop.item("A", price="50")
    seen(shop, "A")
    (row,) = shop.run("parts")
    assert (row["price"], row["image"], row["ineligible_reason"]) == (50.0, IMAGE, None)
    assert (row["serving_price"], row["serving_image"], row["serving_ineligible_reason"]) == (
        50.0,
        IMAGE,
        None,
    )


RULES = [
    ("Carburetor", "49.99", "price below minimum"),
    ("Carburetor", "NONE", "price missing"),
    ("Carburetor", None, "price missing"),
    ("Oil Pan Gasket", "60", "part type excluded"),
    ("DECAL KIT", "60", "part type excluded"),
    ("key ring", "60", "part type excluded"),
    ("Washers", "60", "part type excluded"),
    ("Hose Clamp", "60", "part type excluded"),
    ("Wheel Bolt", "60", "part type excluded"),
    ("Engine Cylinder Head Bolt", "60", None),
    ("ENGINE BOLT KIT", "60", None),
    ("Engine Bolt Kit Deluxe", "60", "part type excluded"),
    ("Radiator Cap", "60", "part type excluded"),
    ("Capacitor", "60", "part type excluded"),
    ("HEI Distributor Cap Kit", "60", None),
    ("Wheel Hub Cap", "60", None),
    ("wheel cap set", "60", None),
    ("Wheel Cap", "60", "part type excluded"),
    ("UNKNOWN", "2999.99", "part type unknown below minimum price"),
    (" unknown ", "60", "part type unknown below minimum price"),
    ("UNKNOWN", "3000", None),
    ("", "60", "part type unknown below minimum price"),
    (None, "2999", "part type unknown below minimum price"),
    (None, "3000", None),
]


def test_rules_on_price_and_type(shop: Shop) -> None:
    for number, (part_type, price, _) in enumerate(RULES):
        shop.item(f"A-{number:02}S", part_type, price)
        seen(shop, f"A-{number:02}S")
    rows = shop.run("parts")
    found = [(*rule[:2], row["ineligible_reason"]) for rule, row in zip(RULES, rows, strict=True)]
    assert found == RULES


def test_services_are_not_parts(shop: Shop) -> None:
    skus = ["EXT-1", "gift-1", "WARRANTY-1", "SERVICE-1", "PREAUTH-1", "EXT1", "XEXT-1", "GIFTS-1"]
    for sku in skus:
        shop.item(sku)
    seen(shop, *skus)
    rows = by_sku(shop.run("parts"))
    services = {sku for sku, row in rows.items() if row["ineligible_reason"] == "service prefix"}
    assert services == {"EXT-1", "GIFT-1", "WARRANTY-1", "SERVICE-1", "PREAUTH-1"}


def test_either_table_says_refurbished_in_any_case(shop: Shop) -> None:
    shop.item("A", tags="new, REFURBISHED")
    shop.item("B", tags="")
    shop.item("C", tags="")
    shop.item_tags(" b", "sale;Refurbished")
    shop.item_tags("C", "sale")
    seen(shop, "A", "B", "C")
    rows = by_sku(shop.run("parts"))
    assert {sku: row["ineligible_reason"] for sku, row in rows.items()} == {
        "A": "refurbished",
        "B": "refurbished",
        "C": None,
    }
    assert [row["refurbished"] for row in rows.values()] == [True, True, False]


def test_the_first_rule_that_fails_is_the_reason(shop: Shop) -> None:
    shop.item("EXT-1", "Gasket", "10", "refurbished")
    shop.item("EXT-2", "Gasket", "60", "refurbished")
    shop.item("EXT-3", "Gasket", "60")
    shop.item("A4", "Gasket", "60")
    rows = shop.run("parts")
    assert {row["sku"]: row["ineligible_reason"] for row in rows} == {
        "EXT-1": "price below minimum",
        "EXT-2": "refurbished",
        "EXT-3": "service prefix",
        "A4": "no image",
    }


def test_thresholds_are_settings(shop: Shop) -> None:
    shop.item("A", price="60")
    shop.item("B", "UNKNOWN", "200")
    seen(shop, "A", "B")
    rows = shop.run("parts", minimum_price=70.0, unknown_type_minimum_price=150.0)
    assert [row["ineligible_reason"] for row in rows] == ["price below minimum", None]


def test_two_types_and_two_prices_of_one_sku(shop: Shop) -> None:
    shop.item("A", "Oil Pan Gasket", "60")
    shop.item("A", "Carburetor", "80")
    shop.item("B", "UNKNOWN", "60")
    shop.item("B", "Manifold", "NONE")
    shop.item("C", "Manifold", "70")
    shop.item("C", "Carburetor", "60")
    seen(shop, "A", "B", "C")
    rows = by_sku(shop.run("parts"))
    assert {sku: (row["part_type"], row["price"], row["ineligible_reason"]) for sku, row in rows.items()} == {
        "A": ("Carburetor", 80.0, "part type excluded"),
        "B": ("Manifold", 60.0, None),
        "C": ("Carburetor", 70.0, None),
    }


def test_one_type_has_one_spelling(shop: Shop) -> None:
    for sku, part_type in (("A", "Carburetor"), ("B", "CARBURETOR "), ("C", "carburetor"), ("D", " ")):
        shop.item(sku, part_type)
    assert [row["part_type"] for row in shop.run("parts")] == ["CARBURETOR"] * 3 + [None]


def test_price_falls_back_on_the_highest_one_seen_in_each_view(shop: Shop) -> None:
    shop.item("A", price="NONE")
    shop.item("B", price="60")
    for at, price in (("2025-10-01", 70.0), ("2026-01-01", 80), ("2026-01-02", "90")):
        shop.view("visitor", at, "A", price=price)
        shop.view("visitor", at, "B", price=price)
    shop.fits("1967", "FORD", "MUSTANG", "C")
    shop.view("visitor", "2026-01-02", "C", price=55)
    rows = by_sku(shop.run("parts"))
    assert {sku: (row["price"], row["serving_price"]) for sku, row in rows.items()} == {
        "A": (80.0, 90.0),
        "B": (60.0, 60.0),
        "C": (None, 55.0),
    }


def test_image_is_the_latest_seen_in_each_view(shop: Shop) -> None:
    shop.item("A")
    shop.item("B")
    shop.item("C")
    shop.view("visitor", "2025-10-01", "A", image="https://i.com/z")
    shop.view("visitor", "2026-01-01T23:59:59", "A", image="http://i.com/b")
    shop.view("visitor", "2026-01-01T23:59:59", "A", image="https://i.com/c")
    shop.view("visitor", "2026-01-02", "A", image="//i.com/d")
    shop.view("visitor", "2026-01-03", "A", image="broken")
    shop.view("visitor", "2026-01-02", "B", image="//i.com/e")
    shop.view("visitor", "2026-01-01", "C", image="//i.com/f")
    rows = by_sku(shop.run("parts"))
    assert {sku: (row["image"], row["serving_image"]) for sku, row in rows.items()} == {
        "A": ("https://i.com/b", "https://i.com/d"),
        "B": (None, "https://i.com/e"),
        "C": ("https://i.com/f", "https://i.com/f"),
    }
    assert rows["B"]["ineligible_reason"] == "no image"
    assert rows["B"]["serving_ineligible_reason"] is None


def test_variant_sales_count_each_variant_of_a_day(shop: Shop) -> None:
    shop.item("8202B")
    shop.item("8202R")
    shop.order("u1", "2025-10-02", "8202B", "8202R")
    shop.order("u2", "2026-01-01", "8202R")
    shop.order("u2", "2026-01-02", "8202R")
    shop.imported_order("u3@x.com", "2025-08-31", "8202R")
    shop.imported_order("u3@x.com", "2025-09-01", "8202R")
    rows = by_sku(shop.run("parts"))
    assert (rows["8202B"]["orders"], rows["8202B"]["serving_orders"]) == (1, 1)
    assert (rows["8202R"]["orders"], rows["8202R"]["serving_orders"]) == (3, 4)


def test_unusable_and_repeated_rows_are_counted(shop: Shop) -> None:
    shop.item(None)
    shop.item(" ", "Manifold")
    shop.item(None)
    for price in ("100", " 100", "$100.00"):
        shop.item(" a", "Carburetor", price)
    shop.item("A", "Carburetor", "110")
    assert [row["sku"] for row in shop.run("parts")] == ["A"]
    assert shop.dropped("parts") == {"no part number": 3, "duplicate row": 2}


def test_product_node_is_its_best_selling_variant(shop: Shop) -> None:
    shop.item("8202", "Carburetor", "60")
    shop.item("8202B", "Manifold", "70")
    shop.item("8202R", "Intake", "80")
    shop.item("500", "Intake", "90")
    shop.order("u1", "2025-10-02", "8202B")
    shop.order("u2", "2026-01-02", "8202R")
    shop.order("u3", "2026-01-03", "8202R")
    shop.imported_order("u4@x.com", "2025-10-02", "500")
    shop.fits("1967", "FORD", "MUSTANG", "8202B", "8202R")
    shop.fits("1968", "FORD", "MUSTANG", "8202R")
    assert shop.run("product_nodes") == [
        {
            "base_sku": "500",
            "part_type": "Intake",
            "price": 90.0,
            "log_popularity": 0.0,
            "log_visitors": 0.0,
            "fitment_breadth": 0,
            "serving_price": 90.0,
            "serving_log_popularity": 0.0,
            "serving_log_visitors": 0.0,
        },
        {
            "base_sku": "8202",
            "part_type": "Manifold",
            "price": 70.0,
            "log_popularity": math.log(2),
            "log_visitors": math.log(2),
            "fitment_breadth": 2,
            "serving_price": 80.0,
            "serving_log_popularity": math.log(4),
            "serving_log_visitors": math.log(4),
        },
    ]


def test_visitors_of_a_product_are_people_not_visits(shop: Shop) -> None:
    shop.item("8202B")
    shop.account("u1", email="u1@x.com")
    shop.view("u1", "2025-10-02", "8202")
    shop.view("u1", "2025-10-03", "8202B")
    shop.cart("u1", "2025-10-03", "8202B")
    shop.imported_order("u1@x.com", "2025-08-02", "8202B")
    shop.imported_order("u2@x.com", "2025-08-02", "8202B")
    shop.view("guest", "2026-01-02", "8202B")
    (row,) = shop.run("product_nodes")
    assert (row["log_visitors"], row["serving_log_visitors"]) == (math.log(3), math.log(4))


def test_popularity_of_a_product_counts_buyers_days_not_variants(shop: Shop) -> None:
    shop.item("8202B")
    shop.item("8202R")
    shop.order("u1", "2025-10-02", "8202B", "8202R")
    assert shop.run("product_nodes")[0]["log_popularity"] == math.log(2)
    assert shop.run("product_nodes")[0]["part_type"] == "Carburetor"
