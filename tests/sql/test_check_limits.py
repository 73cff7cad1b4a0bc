"""The queries of sql/checks over the tables that they read, written by hand: what one condition alone must find."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from sql.shop import Row, Shop

from holley_assets.ranking.recommendations import WIDE_SCHEMA

Rows = list[Row]
Run = Callable[..., Rows]
IMAGE = "https://images.example.com/a.jpg"

_SLOT = pa.schema(
    {
        "email_lower": pa.string(),
        "year": pa.int64(),
        "make": pa.string(),
        "model": pa.string(),
        "slot": pa.int64(),
        "sku": pa.string(),
        "base_sku": pa.string(),
        "price": pa.float64(),
        "score": pa.float64(),
        "image": pa.string(),
    }
)
SCHEMAS = {
    "delivered_parts": _SLOT,
    "recommendations": pa.schema([*WIDE_SCHEMA, ("arm", pa.string()), ("assigned_arm", pa.string())]),
    "parts": pa.schema({"sku": pa.string(), "part_type": pa.string()}),
    "order_lines": pa.schema({"buyer": pa.string(), "base_sku": pa.string(), "order_date": pa.date32()}),
    "user_nodes": pa.schema([_SLOT.field(name) for name in ("email_lower", "year", "make", "model")]),
}


@pytest.fixture
def run(run_alone: Run) -> Run:
    """Runs one query over rows of these tables and the shop's sources."""

    def run_(name: str, tables: dict[str, Rows], **parameters: object) -> Rows:
        given = {table: pa.Table.from_pylist(rows, schema=SCHEMAS[table]) for table, rows in tables.items()}
        return run_alone(name, given, **parameters)

    return run_


def slot(number: int, sku: str | None, **changes: Any) -> dict[str, Any]:
    """A row of delivered_parts for a@x.com and his 1967 Mustang."""
    row = {
        "email_lower": "a@x.com",
        "year": 1967,
        "make": "FORD",
        "model": "MUSTANG",
        "slot": number,
        "sku": sku,
        "base_sku": sku,
        "price": 100.0,
        "score": 5.0 - number,
        "image": IMAGE,
    }
    return row | changes


@pytest.mark.parametrize(
    ("column", "value"),
    [("rec_part_2", "P"), ("rec2_price", 9.0), ("rec2_score", 1.0), ("rec2_image", IMAGE)],
)
def test_a_slot_with_one_value_alone_is_a_slot(run: Run, column: str, value: object) -> None:
    rows = run("delivered_parts", {"recommendations": [{"email_lower": "a@x.com", column: value}]})
    assert [row["slot"] for row in rows] == [2]


# Python's own SHA-256 of salt:a@x.com, its first 15 hexadecimal digits, modulo 10,000.
BUCKET = 7026


@pytest.mark.parametrize(
    ("changes", "parameters", "broken"),
    [
        ({}, {}, False),
        # The bucket is below the graph's share, or at its limit.
        ({}, {"graph_buckets": BUCKET}, True),
        ({}, {"assigned_buckets": BUCKET}, True),
        ({"assigned_arm": "sql"}, {"assigned_buckets": BUCKET}, False),
        ({"assigned_arm": "sql"}, {}, True),
        ({"assigned_arm": None}, {}, True),
        # Whoever the hash chose may still be shown the other arm, with its version.
        ({"arm": "sql", "model_version": "sql"}, {}, False),
        ({"arm": "sql"}, {}, True),
        ({"model_version": "other"}, {}, True),
        ({"model_version": "sql"}, {}, True),
        ({"arm": None}, {}, True),
        ({"arm": "popularity"}, {}, True),
    ],
)
def test_the_hash_alone_decides_the_arm(
    run: Run, changes: Row, parameters: dict[str, Any], broken: bool
) -> None:
    row = {"email_lower": "a@x.com", "arm": "graph", "assigned_arm": "graph", "model_version": "m1"} | changes
    values = {
        "salt": "salt",
        "graph_buckets": BUCKET + 1,
        "assigned_buckets": BUCKET + 1,
        "graph_model_version": "m1",
    }
    found = run("every_user_is_in_the_right_arm", {"recommendations": [row]}, **(values | parameters))
    assert [each["bucket"] for each in found] == ([BUCKET] if broken else [])


def test_a_slot_after_an_empty_one_is_found_where_fewer_are_required(run: Run) -> None:
    """Slots 1 and 2 are all that is required; slot 4 follows an empty one."""
    tables = {
        "recommendations": [{"email_lower": "a@x.com"}],
        "delivered_parts": [slot(number, f"P{number}") for number in (1, 2, 4)],
    }
    rows = run("first_three_slots_are_filled", tables, minimum_parts=2, maximum_parts=4)
    assert rows == [{"email_lower": "a@x.com", "parts": 3, "incomplete_slots": 0}]
    tables["delivered_parts"].pop()
    assert run("first_three_slots_are_filled", tables, minimum_parts=2, maximum_parts=4) == []


def test_only_the_user_s_own_order_of_that_part_is_found_once(run: Run) -> None:
    day = {"order_date": pa.scalar(20454, pa.date32()).as_py()}  # 2026-01-01
    orders = [
        {"buyer": "a@x.com", "base_sku": "P2", **day},
        {"buyer": "a@x.com", "base_sku": "P2", **day},
        {"buyer": "a@x.com", "base_sku": "P9", **day},
        {"buyer": "b@x.com", "base_sku": "P1", **day},
    ]
    tables = {"delivered_parts": [slot(1, "P1"), slot(2, "P2")], "order_lines": orders}
    assert run("no_part_ordered_within_a_year", tables, purchase_exclusion_days=365) == [
        {"email_lower": "a@x.com", "slot": 2, "sku": "P2", **day}
    ]


def test_parts_that_the_catalogue_does_not_know_are_of_one_type(run: Run) -> None:
    delivered = [slot(number, f"P{number}") for number in (1, 2, 3)]
    parts = [{"sku": "P1", "part_type": "a"}]
    tables = {"delivered_parts": delivered, "parts": parts}
    assert run("no_part_type_too_often", tables, maximum_per_part_type=2) == []
    tables["parts"] = []
    assert run("no_part_type_too_often", tables, maximum_per_part_type=2) == [
        {"email_lower": "a@x.com", "part_type": None, "slots": 3}
    ]


def test_a_part_that_both_tables_call_refurbished_is_one_broken_slot(run: Run, shop: Shop) -> None:
    shop.item("P2", tags="refurbished")
    shop.item_tags("P2", tags="refurbished")
    found = run("no_refurbished_part", {"delivered_parts": [slot(1, "P1"), slot(2, "P2")]})
    assert [row["slot"] for row in found] == [2]


def test_a_vehicle_that_the_fitment_lists_twice_is_one_broken_slot(run: Run, shop: Shop) -> None:
    """The part fits, on two rows of the fitment data; the vehicle is not the user's."""
    shop.fits("1967", "FORD", "MUSTANG", "P1")
    shop.fits("1967", "FORD", "MUSTANG", "P1")
    found = run("every_part_fits_the_vehicle", {"delivered_parts": [slot(1, "P1")], "user_nodes": []})
    assert [row["slot"] for row in found] == [1]


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({"year": 1968}, True),
        ({"make": "MERCURY"}, True),
        ({"model": "COUGAR"}, True),
        ({"sku": "P2"}, True),
        ({}, False),
    ],
)
def test_a_part_fits_year_make_and_model(run: Run, shop: Shop, changes: Row, broken: bool) -> None:
    """The slot's vehicle is the user's each time; one value alone is not of the fitment data."""
    shop.fits("1967", "FORD", "MUSTANG", "P1")
    row = slot(1, "P1") | changes
    user = {name: row[name] for name in SCHEMAS["user_nodes"].names}
    found = run("every_part_fits_the_vehicle", {"delivered_parts": [row], "user_nodes": [user]})
    assert bool(found) == broken


@pytest.mark.parametrize("score", [None, math.nan, math.inf, -math.inf])
def test_a_first_score_is_a_number(run: Run, score: float | None) -> None:
    """No score stands before the first one, so that no comparison finds it."""
    found = run(
        "scores_never_rise", {"delivered_parts": [slot(1, "P1", score=score), slot(2, "P2", score=-math.pi)]}
    )
    assert 1 in {row["slot"] for row in found}
    assert run("scores_never_rise", {"delivered_parts": [slot(1, "P1"), slot(2, "P2")]}) == []
