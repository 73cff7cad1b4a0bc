"""The queries of sql/checks over tables written by hand: at, below and above each limit."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sql.remembering_warehouse import RememberingWarehouse
from sql.shop import Row, Shop

from holley_assets.ranking.recommendations import WIDE_SCHEMA
from holley_assets.resources.warehouse.duckdb.transpile import to_duckdb
from holley_assets.resources.warehouse.sql_files import query_names, read_query
from holley_assets.settings import RuleSettings

Rows = list[Row]
Run = Callable[..., Rows]
IMAGE = "https://images.example.com/a.jpg"


def slots(*skus: str | None, email: str | None = "a@x.com", year: str | None = "1967", **changes: Any) -> Row:
    """A row of the staged table; ``rec2_price=…`` changes one value."""
    row: Row = {
        "email_lower": email,
        "year": year,
        "make": "FORD",
        "model": "MUSTANG",
        "model_version": "m",
    }
    for slot, sku in enumerate(skus, start=1):
        if sku is not None:
            row |= {
                f"rec_part_{slot}": sku,
                f"rec{slot}_price": 100.0 + slot,
                f"rec{slot}_score": 5.0 - slot,
                f"rec{slot}_image": f"{IMAGE}?{slot}",
            }
    return row | changes


@pytest.fixture
def run(shop: Shop, shop_parameters: dict[str, object]) -> Run:
    """Runs a query of sql/checks over the shop and a staged table; what it reads is made first."""

    def run_(name: str, staged: Rows, **parameters: object) -> Rows:
        shop.write()
        folder: Path = shop.folder / "assets"
        folder.mkdir(exist_ok=True)
        assets = {query: folder / f"{query}.parquet" for query in [*query_names(), "recommendations"]}
        pq.write_table(pa.Table.from_pylist(staged, schema=WIDE_SCHEMA), assets["recommendations"])
        values = {**RuleSettings().model_dump(), **shop_parameters, **parameters}
        warehouse = RememberingWarehouse(
            sources={table: shop.folder / f"{table}.parquet" for table in shop.rows},
            assets=assets,
            database=shop.folder / "warehouse.duckdb",
            temporary_directory=shop.folder / "tmp",
        )

        made = {"recommendations"}

        def make(query: str) -> None:
            for _, table in sorted(to_duckdb(read_query(query)).tables):
                if table in assets and table not in made:
                    make(table)
            warehouse.query_to_parquet(query, values, assets[query])
            made.add(query)

        make(name)
        found: Rows = pq.read_table(assets[name]).to_pylist()
        return found

    return run_


def test_each_slot_becomes_a_row_with_its_own_values(run: Run) -> None:
    rows = run("delivered_parts", [slots("8202B", "P2", None, "P4", rec3_price=9.0)])
    assert [
        (row["slot"], row["sku"], row["base_sku"], row["price"], row["score"], row["image"]) for row in rows
    ] == [
        (1, "8202B", "8202", 101.0, 4.0, f"{IMAGE}?1"),
        (2, "P2", "P2", 102.0, 3.0, f"{IMAGE}?2"),
        (3, None, None, 9.0, None, None),
        (4, "P4", "P4", 104.0, 1.0, f"{IMAGE}?4"),
    ]
    assert {(row["email_lower"], row["year"], row["make"], row["model"]) for row in rows} == {
        ("a@x.com", 1967, "FORD", "MUSTANG")
    }


@pytest.mark.parametrize(
    ("price", "broken"),
    [
        (50.0, False),
        (49.99, True),
        (50.01, False),
        (None, True),
        (math.nan, True),
        (math.inf, True),
        (-1.0, True),
    ],
)
def test_a_part_at_exactly_the_minimum_price_is_dear_enough(
    run: Run, price: float | None, broken: bool
) -> None:
    found = run("every_price_reaches_the_minimum", [slots("P1", "P2", "P3", rec2_price=price)])
    assert [(row["slot"], row["sku"]) for row in found] == ([(2, "P2")] if broken else [])


@pytest.mark.parametrize(
    ("listed", "broken"),
    [
        (["50"], False),
        (["49.99"], True),
        (["$1,049.99"], False),
        (["1$0"], False),
        (["49", "51"], False),
        (["49", "48"], True),
        (["0"], False),
        ([None], False),
    ],
)
def test_the_catalogue_s_price_counts_as_the_assets_read_it(
    run: Run, shop: Shop, listed: list[str], broken: bool
) -> None:
    """What is no price to the assets is none to the check; of two prices the higher counts."""
    for price in listed:
        shop.item("\u00a0p2 ", price=price)
    found = run("every_price_reaches_the_minimum", [slots("P1", "P2", "P3")])
    assert bool(found) == broken


@pytest.mark.parametrize("tags", ["refurb", "x,REFURBISHED", "Refurb"])
@pytest.mark.parametrize("table", ["item", "item_tags"])
def test_refurbished_parts_are_found_in_either_table_in_any_case(
    run: Run, shop: Shop, tags: str, table: str
) -> None:
    shop.item("P1", tags="new")
    getattr(shop, table)("\tp2\u00a0", tags=tags)
    found = run("no_refurbished_part", [slots("P1", "P2", "P3")])
    assert [(row["slot"], row["sku"]) for row in found] == [(2, "P2")]


def test_a_user_with_two_rows_is_one_user_of_those_who_get_any(run: Run, shop: Shop) -> None:
    shop.item("P1")
    shop.view("v", "2025-12-01", "P1", image=IMAGE)
    shop.fits("1967", "FORD", "MUSTANG", "P1")
    for name in "abc":
        shop.driver(name)
    shop.driver("other", model="PINTO")
    staged = [slots("P1"), slots("P1"), slots("P1", email="b@x.com")]
    (row,) = run("enough_users_get_recommendations", staged, minimum_parts=1)
    assert row == {"users": 4, "users_with_enough_parts": 3, "users_with_recommendations": 2}
    (row,) = run("enough_users_get_recommendations", staged, minimum_parts=2)
    assert row["users_with_enough_parts"] == 0


@pytest.mark.parametrize(
    ("row", "broken"),
    [
        (slots("A", "B", "C"), False),
        (slots("A", "B", "C", "D"), False),
        (slots("A", "B"), True),
        (slots(None, "A", "B", "C"), True),
        (slots("A", "B", None, "D"), True),
        (slots("A", "B", "C", rec2_price=None), True),
        (slots("A", "B", "C", rec2_score=None), True),
        (slots("A", "B", "C", rec2_image=None), True),
        (slots("A", "B", "C", rec4_image=IMAGE), True),
        (slots(), True),
    ],
)
def test_slots_are_filled_from_the_first_on(run: Run, row: Row, broken: bool) -> None:
    assert bool(run("first_three_slots_are_filled", [row])) == broken


def test_more_slots_than_the_maximum_are_found(run: Run) -> None:
    row = slots("A", "B", "C", "D")
    assert run("first_three_slots_are_filled", [row], maximum_parts=3)
    assert not run("first_three_slots_are_filled", [row], maximum_parts=4)


@pytest.mark.parametrize(("days", "broken"), [(0, False), (1, True), (365, True), (366, False)])
def test_a_part_may_be_shown_again_a_year_after_its_order(
    run: Run, shop: Shop, days: int, broken: bool
) -> None:
    """as_of is 2026-02-01: the order of 365 days before it, 2025-02-01, still counts; that of the day itself cannot."""
    day = datetime.date(2026, 2, 1) - datetime.timedelta(days=days)
    shop.imported_order("A@x.com ", day.isoformat(), "8202r")
    found = run("no_part_ordered_within_a_year", [slots("P1", "8202B")])
    assert [row["slot"] for row in found] == ([2] if broken else [])


@pytest.mark.parametrize(
    ("scores", "broken"),
    [
        ((3.0, 2.0, 1.0), []),
        ((2.0, 2.0, 2.0), []),
        ((1.0, 2.0, 1.0), [2]),
        ((3.0, math.nan, 1.0), [2]),
        ((3.0, 2.0, -math.inf), [3]),
    ],
)
def test_scores_may_be_equal_and_may_not_rise(run: Run, scores: tuple[float, ...], broken: list[int]) -> None:
    changes: dict[str, Any] = {f"rec{slot}_score": score for slot, score in enumerate(scores, start=1)}
    row = slots("A", "B", "C", **changes)
    assert [each["slot"] for each in run("scores_never_rise", [row])] == broken


@pytest.mark.parametrize(
    ("types", "broken"), [(("a", "a", "b"), False), (("a", "a", "a"), True), ((None, None, None), True)]
)
def test_two_parts_of_a_type_are_allowed_and_no_type_is_one_type(
    run: Run, shop: Shop, types: tuple[str | None, ...], broken: bool
) -> None:
    for sku, part_type in zip("ABC", types, strict=True):
        shop.item(sku, part_type)
    assert bool(run("no_part_type_too_often", [slots("A", "B", "C")])) == broken


@pytest.mark.parametrize(
    ("sku", "broken"),
    [
        ("EXT-1", True),
        ("GIFT-1", True),
        ("WARRANTY-1", True),
        ("SERVICE-1", True),
        ("PREAUTH-1", True),
        ("EXT1", False),
        ("XEXT-1", False),
    ],
)
def test_service_items_are_known_by_their_prefix(run: Run, sku: str, broken: bool) -> None:
    assert bool(run("no_service_item", [slots("A", sku, "C")])) == broken


def test_colours_of_a_part_are_one_part_of_a_user(run: Run) -> None:
    other = slots("8202B", email="b@x.com")
    assert run("no_part_twice_for_a_user", [slots("8202B", "X", "8202R"), other]) == [
        {"email_lower": "a@x.com", "base_sku": "8202", "slots": 2}
    ]
    assert run("no_part_twice_for_a_user", [slots("8202B"), other]) == []


def test_a_user_has_one_row_and_a_row_has_a_user(run: Run) -> None:
    assert run("one_row_a_user", [slots("A"), slots("A", email="b@x.com")]) == []
    found = run("one_row_a_user", [slots("A"), slots("B"), slots("C", email=None)])
    assert sorted((row["email_lower"] or "", row["rows_of_this_user"]) for row in found) == [
        ("", 1),
        ("a@x.com", 2),
    ]


@pytest.mark.parametrize(
    ("image", "broken"),
    [
        (IMAGE, False),
        ("http://images.example.com/a.jpg", True),
        (None, True),
        ("https://", True),
        ("https://a.com/b c", True),
        (" " + IMAGE, True),
    ],
)
def test_an_image_is_an_https_address(run: Run, image: str | None, broken: bool) -> None:
    assert bool(run("every_image_is_https", [slots("A", "B", "C", rec2_image=image)])) == broken


@pytest.mark.parametrize(
    ("year", "sku", "broken"),
    [
        ("1967", "P1", False),
        ("1968", "P1", True),
        ("1967", "P2", True),
        ("1967.0", "P1", True),
        (None, "P1", True),
    ],
)
def test_a_part_fits_the_user_s_own_year(
    run: Run, shop: Shop, year: str | None, sku: str, broken: bool
) -> None:
    shop.driver("a")
    shop.fits("\t1967.0", "ford\u00a0", " Mustang", "p1 ")
    shop.fits("1968", "FORD", "MUSTANG", "P2")
    assert bool(run("every_part_fits_the_vehicle", [slots(sku, year=year)])) == broken


@pytest.mark.parametrize(
    ("make", "year", "broken"),
    [
        ("CHEVROLET", "1966", True),
        ("CHEVROLET", "1967", False),
        ("CHEVROLET", "1969", False),
        ("CHEVROLET", "1970", True),
        ("CHEVY", "1968", True),
    ],
)
def test_a_range_of_years_and_an_alias_fit_as_the_fitment_table_reads_them(
    run: Run, shop: Shop, make: str, year: str, broken: bool
) -> None:
    """The blocking check stopped every delivery of an export that writes CHEVY or 1967-1969."""
    shop.driver("a", year=year, make="CHEVROLET")
    shop.fits(" 1967-69", "Chevy", "MUSTANG", "P1")
    assert bool(run("every_part_fits_the_vehicle", [slots("P1", year=year, make=make)])) == broken


def test_the_vehicle_is_the_user_s(run: Run, shop: Shop) -> None:
    shop.driver("a", year="1968")
    shop.fits("1967", "FORD", "MUSTANG", "P1")
    shop.fits("1968", "FORD", "MUSTANG", "P1")
    assert [row["sku"] for row in run("every_part_fits_the_vehicle", [slots("P1")])] == ["P1"]
    assert run("every_part_fits_the_vehicle", [slots("P1", year="1968")]) == []
