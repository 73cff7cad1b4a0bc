"""visitor_parts: what visitors met together before the cutoff. Sets worked by hand."""

from __future__ import annotations

from collections import defaultdict

import pytest
from sql.shop import Row, Shop

BEFORE = "2025-12-01T10:00"
IN_TEST_WINDOW = "2026-01-10T10:00"


@pytest.fixture
def two_cars(shop: Shop) -> Shop:
    """A fits both cars, M the Mustang alone, F the Fairlane alone."""
    shop.fits("1967", "FORD", "MUSTANG", "A", "M")
    shop.fits("1967", "FORD", "FAIRLANE", "A", "F")
    shop.driver("owner", year="1967", model="MUSTANG")
    return shop


def sets(rows: list[Row]) -> dict[str, int]:
    """Set of parts → visitors, and no set twice."""
    parts: dict[int, list[str]] = defaultdict(list)
    visitors: dict[int, int] = {}
    for row in rows:
        parts[row["part_set"]].append(row["base_sku"])
        assert visitors.setdefault(row["part_set"], row["visitors"]) == row["visitors"]
    named = {"".join(skus): visitors[number] for number, skus in parts.items()}
    assert len(named) == len(parts)
    return named


def test_visitors_with_the_same_parts_stand_once(two_cars: Shop) -> None:
    for visitor in ("v1", "v2"):
        two_cars.view(visitor, BEFORE, "M")
        two_cars.view(visitor, BEFORE, "A")
        two_cars.view(visitor, "2025-12-02T10:00", "A")
    two_cars.order("v3", BEFORE, "A")
    assert sets(two_cars.run("visitor_parts")) == {"AM": 2, "A": 1}


def test_a_set_ends_at_the_cutoff(two_cars: Shop) -> None:
    two_cars.view("v1", BEFORE, "A")
    two_cars.view("v1", IN_TEST_WINDOW, "M")
    two_cars.view("v2", IN_TEST_WINDOW, "F")
    assert sets(two_cars.run("visitor_parts")) == {"A": 1}


def test_who_registered_a_car_is_no_visitor_and_an_address_without_one_is(two_cars: Shop) -> None:
    two_cars.view("owner", BEFORE, "M")
    two_cars.imported_order("nobody@x.com", "2025-08-01", "F")
    assert sets(two_cars.run("visitor_parts")) == {"F": 1}


def test_what_fits_no_car_is_no_part_of_a_set(two_cars: Shop) -> None:
    two_cars.item("GIFT")
    two_cars.view("v1", BEFORE, "GIFT")
    two_cars.view("v1", BEFORE, "A")
    two_cars.view("v2", BEFORE, "GIFT")
    assert sets(two_cars.run("visitor_parts")) == {"A": 1}


def test_a_crawler_tells_nothing(two_cars: Shop) -> None:
    for sku in "AMF":
        two_cars.view("robot", BEFORE, sku)
    assert sets(two_cars.run("visitor_parts", visitor_maximum_parts=2)) == {}
    assert sets(two_cars.run("visitor_parts", visitor_maximum_parts=3)) == {"AFM": 1}


def test_no_row_names_a_visitor(two_cars: Shop) -> None:
    two_cars.view("v1", BEFORE, "A")
    (row,) = two_cars.run("visitor_parts")
    assert set(row) == {"part_set", "base_sku", "visitors"}
