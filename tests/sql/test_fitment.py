"""fitment and fits_edges: which part fits what, and which of its variants to show."""

from __future__ import annotations

import datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from sql.shop import Row, Shop

IMAGE = "https://i.com/a.jpg"


def sell(shop: Shop, sku: str, count: int, at: str = "2025-10-02") -> None:
    shop.view("visitor", at, sku, image=IMAGE)
    for buyer in range(count):
        shop.order(f"buyer{buyer}", at, sku)


def shown(rows: list[Row]) -> list[tuple[Any, ...]]:
    return [(row["year"], row["model"], row["base_sku"], row["sku"], row["serving_sku"]) for row in rows]


def test_best_selling_eligible_variant_that_fits_is_shown(shop: Shop) -> None:
    for sku in ("8202", "8202B", "8202R"):
        shop.item(sku)
    sell(shop, "8202", 0)
    sell(shop, "8202B", 3)
    sell(shop, "8202R", 2)
    shop.fits("1967", "FORD", "MUSTANG", "8202", "8202B", "8202R")
    shop.fits("1968", "FORD", "MUSTANG", "8202", "8202R")
    shop.fits("1969", "FORD", "MUSTANG", "8202")
    assert shown(shop.run("fitment")) == [
        (1967, "MUSTANG", "8202", "8202B", "8202B"),
        (1968, "MUSTANG", "8202", "8202R", "8202R"),
        (1969, "MUSTANG", "8202", "8202", "8202"),
    ]


def test_ties_are_alphabetical(shop: Shop) -> None:
    for sku in ("8202R", "8202B", "8202G"):
        shop.item(sku)
        sell(shop, sku, 1)
    shop.fits("1967", "FORD", "MUSTANG", "8202R", "8202G", "8202B")
    assert shown(shop.run("fitment")) == [(1967, "MUSTANG", "8202", "8202B", "8202B")]


def test_ineligible_best_seller_gives_way_and_a_part_without_variant_stays(shop: Shop) -> None:
    shop.item("8202B", price="10")
    shop.item("8202R")
    sell(shop, "8202B", 5)
    sell(shop, "8202R", 1)
    shop.fits("1967", "FORD", "MUSTANG", "8202B", "8202R")
    shop.fits("1968", "FORD", "MUSTANG", "8202B")
    assert shown(shop.run("fitment")) == [
        (1967, "MUSTANG", "8202", "8202R", "8202R"),
        (1968, "MUSTANG", "8202", None, None),
    ]


def test_each_view_has_its_own_sales_and_images(shop: Shop) -> None:
    for sku in ("8202B", "8202R", "500"):
        shop.item(sku)
    sell(shop, "8202B", 1)
    sell(shop, "8202R", 3, at="2026-01-02")
    shop.view("visitor", "2026-01-02", "500", image=IMAGE)
    shop.fits("1967", "FORD", "MUSTANG", "8202B", "8202R", "500")
    assert shown(shop.run("fitment")) == [
        (1967, "MUSTANG", "500", None, "500"),
        (1967, "MUSTANG", "8202", "8202B", "8202R"),
    ]


def test_normal_forms_and_unusable_rows(shop: Shop) -> None:
    shop.fits(" 1967", "ford ", " Mustang", " a", "A", "b ")
    shop.fits("1967", "FORD", "MUSTANG", "A")
    shop.fits("NONE", "FORD", "MUSTANG", "A", "A", "B")
    shop.fits("1967", None, "MUSTANG", "A")
    shop.fits("1967", "FORD", " ", "A")
    shop.fits("1967", "FORD", "MUSTANG", None, " ")
    shop.fits("1968", "FORD", "MUSTANG")
    assert [row[2] for row in shown(shop.run("fitment"))] == ["A", "B"]
    assert shop.dropped("fitment") == {
        "duplicate row": 2,
        "make missing": 1,
        "model missing": 1,
        "no part number": 3,
        "year unusable": 3,
    }


def test_year_may_be_a_number(shop: Shop) -> None:
    shop.fits("1967", "FORD", "MUSTANG", "A")
    shop.run("parts")
    path = shop.folder / "vehicle_product_fitment_data.parquet"
    table = pq.read_table(path)
    years = pa.array([1967], pa.int32())
    pq.write_table(table.set_column(0, "v1_year", years), path)
    result = shop.warehouse.query_to_parquet(
        "fitment", {"as_of": datetime.date(2026, 2, 1)}, shop.folder / "fitment.parquet"
    )
    assert pq.read_table(result.path).to_pylist()[0]["year"] == 1967


def test_fits_edges_span_the_years(shop: Shop) -> None:
    for year in ("1967", "1969", "1968", "1967"):
        shop.fits(year, "FORD", "MUSTANG", "8202B", "8202R")
    shop.fits("1970", "FORD", "MUSTANG", "500")
    shop.fits("1970", "RAM", "1500", "500")
    edges = shop.run("fits_edges")
    assert [tuple(edge.values()) for edge in edges] == [
        ("FORD", "MUSTANG", "500", 1, 1970, 1970, 1.0),
        ("FORD", "MUSTANG", "8202", 3, 1967, 1969, 1.0),
        ("RAM", "1500", "500", 1, 1970, 1970, 1.0),
    ]
