"""visitor_demand: which cars the visitors without a registered one want parts for. Shares worked by hand."""

from __future__ import annotations

import datetime
from collections import defaultdict
from fractions import Fraction

import numpy as np
import pytest
from sql.shop import OpenShop, Row, Shop

BEFORE = "2025-12-01T10:00"
IN_TEST_WINDOW = "2026-01-10T10:00"
# Shares are kept in whole billionths of a visitor.
BILLIONTHS = 5e-9


def demand(rows: list[Row], column: str = "weight") -> dict[tuple[int, str, str], float]:
    """(year, model, base SKU) → weight, where there is one."""
    return {
        (row["year"], row["model"], row["base_sku"]): row[column] for row in rows if row[column] is not None
    }


def owners(shop: Shop, model: str, number: int, year: str = "1967") -> None:
    for each in range(number):
        shop.driver(f"{model}{year}-{each}", year=year, model=model)


@pytest.fixture
def two_cars(shop: Shop) -> Shop:
    """A fits both cars, M the Mustang alone, F the Fairlane alone; three own a Mustang, one a Fairlane."""
    shop.fits("1967", "FORD", "MUSTANG", "A", "M")
    shop.fits("1967", "FORD", "FAIRLANE", "A", "F")
    owners(shop, "MUSTANG", 3)
    owners(shop, "FAIRLANE", 1)
    return shop


def test_one_part_is_shared_by_owners_over_visitors(two_cars: Shop) -> None:
    """Mustang (3 + 0.2) / 2 visits of A and M, Fairlane (1 + 0.2) / 1 visit of A: 4 to 3."""
    two_cars.view("v1", BEFORE, "A")
    two_cars.view("v2", BEFORE, "M")
    rows = two_cars.run("visitor_demand")
    assert demand(rows) == pytest.approx(
        {(1967, "MUSTANG", "A"): 4 / 7, (1967, "FAIRLANE", "A"): 3 / 7, (1967, "MUSTANG", "M"): 1.0},
        abs=BILLIONTHS,
    )
    assert demand(rows, "serving_weight") == demand(rows)
    assert {row["make"] for row in rows} == {"FORD"}


def test_owners_beside_the_registered_ones_are_a_setting(two_cars: Shop) -> None:
    """(3 + 1) / 2 against (1 + 1) / 1: even."""
    two_cars.view("v1", BEFORE, "A")
    two_cars.view("v2", BEFORE, "M")
    weights = demand(two_cars.run("visitor_demand", visitor_unregistered_owners=1.0))
    assert weights[1967, "MUSTANG", "A"] == pytest.approx(0.5, abs=BILLIONTHS)
    assert weights[1967, "FAIRLANE", "A"] == pytest.approx(0.5, abs=BILLIONTHS)


def test_two_parts_count_each_against_the_choice(shop: Shop) -> None:
    """A and B fit both cars, C the Mustang alone: of owners alike, (1 / 2)² against (1 / 4)² visits: 4 to 1."""
    shop.fits("1967", "FORD", "MUSTANG", "A", "B", "C")
    shop.fits("1967", "FORD", "FAIRLANE", "A", "B")
    owners(shop, "MUSTANG", 1)
    owners(shop, "FAIRLANE", 1)
    for sku in ("A", "B"):
        shop.view("v1", BEFORE, sku)
    for visitor in ("v2", "v3"):
        shop.view(visitor, BEFORE, "C")
    assert demand(shop.run("visitor_demand")) == pytest.approx(
        {
            **{(1967, "FAIRLANE", sku): 0.8 for sku in "AB"},
            **{(1967, "MUSTANG", sku): 0.2 for sku in "AB"},
            (1967, "MUSTANG", "C"): 2.0,
        },
        abs=BILLIONTHS,
    )


def test_parts_that_share_one_car_give_it_all(two_cars: Shop) -> None:
    for sku in ("A", "F"):
        two_cars.view("v1", BEFORE, sku)
    assert demand(two_cars.run("visitor_demand")) == {(1967, "FAIRLANE", "A"): 1, (1967, "FAIRLANE", "F"): 1}


def test_parts_for_no_common_car_are_asked_for_one_by_one(two_cars: Shop) -> None:
    """Somebody with two cars wants each part for one of them, and no part for both."""
    for sku in ("M", "F"):
        two_cars.view("v1", BEFORE, sku)
    assert demand(two_cars.run("visitor_demand")) == {(1967, "MUSTANG", "M"): 1, (1967, "FAIRLANE", "F"): 1}


def test_a_part_that_fits_no_car_says_nothing_about_the_car(two_cars: Shop) -> None:
    """A gift card or a universal part beside the others leaves what they tell."""
    for sku in ("A", "M", "GIFT-CARD"):
        two_cars.order("v1", BEFORE, sku)
    two_cars.view("v2", BEFORE, "GIFT-CARD")
    assert demand(two_cars.run("visitor_demand")) == {(1967, "MUSTANG", "A"): 1, (1967, "MUSTANG", "M"): 1}


def test_a_car_that_nobody_registered_may_be_a_visitors(shop: Shop) -> None:
    shop.fits("1967", "FORD", "MUSTANG", "A")
    shop.view("v1", BEFORE, "A")
    assert demand(shop.run("visitor_demand")) == {(1967, "MUSTANG", "A"): 1.0}


def test_crawlers_tell_nothing(two_cars: Shop) -> None:
    """Neither which car is theirs nor, by their visits, how much a part says about a car."""
    two_cars.fits("1967", "FORD", "MUSTANG", "M2", "M3")
    two_cars.view("v1", BEFORE, "A")
    two_cars.view("v2", BEFORE, "M")
    without = two_cars.run("visitor_demand", visitor_maximum_parts=2)
    for sku in ("M", "M2", "M3"):
        two_cars.view("crawler", BEFORE, sku)
    assert two_cars.run("visitor_demand", visitor_maximum_parts=2) == without
    counted = demand(two_cars.run("visitor_demand", visitor_maximum_parts=3))
    assert counted[1967, "MUSTANG", "M"] == 2.0
    # (3 + 0.2) / 5 against (1 + 0.2) / 1.
    assert counted[1967, "MUSTANG", "A"] == pytest.approx(0.64 / 1.84, abs=BILLIONTHS)


def test_years_are_those_that_all_parts_fit(shop: Shop) -> None:
    """A from 1965 to 1968, B from 1967 to 1970: 1967 and 1968; one owner against none, alike in visits."""
    for year in range(1965, 1969):
        shop.fits(str(year), "FORD", "MUSTANG", "A")
    for year in range(1967, 1971):
        shop.fits(str(year), "FORD", "MUSTANG", "B")
    owners(shop, "MUSTANG", 1, year="1968")
    for sku in ("A", "B"):
        shop.view("v1", BEFORE, sku)
    shares = {1967: 0.2 / 1.4, 1968: 1.2 / 1.4}
    assert demand(shop.run("visitor_demand")) == pytest.approx(
        {(year, "MUSTANG", sku): share for year, share in shares.items() for sku in "AB"}, abs=BILLIONTHS
    )


def test_years_without_overlap_are_two_cars(shop: Shop) -> None:
    shop.fits("1967", "FORD", "MUSTANG", "A")
    shop.fits("1968", "FORD", "MUSTANG", "B")
    for sku in ("A", "B"):
        shop.view("v1", BEFORE, sku)
    assert demand(shop.run("visitor_demand")) == {(1967, "MUSTANG", "A"): 1, (1968, "MUSTANG", "B"): 1}


def test_a_part_that_skips_a_year_has_no_demand_in_it(shop: Shop) -> None:
    """A fits 1966 and 1968, B all three years: no row says that A is wanted for a car that it does not fit."""
    for year in ("1966", "1967", "1968"):
        shop.fits(year, "FORD", "MUSTANG", "B", *(["A"] if year != "1967" else []))
    for sku in ("A", "B"):
        shop.view("v1", BEFORE, sku)
    weights = demand(shop.run("visitor_demand"))
    assert set(weights) == {
        (1966, "MUSTANG", "A"),
        (1968, "MUSTANG", "A"),
        *((year, "MUSTANG", "B") for year in (1966, 1967, 1968)),
    }
    assert weights[1966, "MUSTANG", "A"] == weights[1968, "MUSTANG", "A"] > 0


def test_the_owner_of_a_known_car_is_no_visitor(two_cars: Shop) -> None:
    """Under any account; who registered without a usable car is one, however many accounts look around."""
    two_cars.account("m2", email="MUSTANG1967-0@x.com")
    for user in ("MUSTANG1967-1", "m2"):
        two_cars.view(user, BEFORE, "M")
    for user in ("carless", "carless-phone"):
        two_cars.account(user, email="carless@x.com")
        two_cars.view(user, BEFORE, "F")
    assert demand(two_cars.run("visitor_demand")) == {(1967, "FAIRLANE", "F"): 1.0}


def test_a_visitor_counts_once(two_cars: Shop) -> None:
    """Views, carts and orders of any colour of a part, in any source and of any number, are one wish."""
    two_cars.fits("1967", "FORD", "MUSTANG", "8202", "8202B")
    two_cars.account("v1", email="v1@x.com")
    two_cars.view("v1", BEFORE, "8202")
    two_cars.cart("v1", BEFORE, "8202B")
    two_cars.order("v1", "2025-12-02", "8202B")
    two_cars.imported_order("v1@x.com", "2025-08-01", "8202")
    assert demand(two_cars.run("visitor_demand")) == {(1967, "MUSTANG", "8202"): 1.0}


def test_old_orders_come_from_the_order_history_and_later_ones_from_events(two_cars: Shop) -> None:
    """As in popularity: import_orders counts before the intent start alone."""
    two_cars.imported_order("old@x.com", "2025-08-31", "M")
    two_cars.imported_order("new@x.com", "2025-09-01", "F")
    assert demand(two_cars.run("visitor_demand")) == {(1967, "MUSTANG", "M"): 1.0}


@pytest.mark.parametrize(
    ("at", "training", "serving"),
    [
        ("2025-08-31T23:59:59", False, False),
        ("2025-09-01", True, True),
        ("2026-01-01T23:59:59", True, True),
        ("2026-01-02", False, True),
        ("2026-01-31T23:59:59", False, True),
        ("2026-02-01", False, False),
    ],
)
def test_windows_are_closed_at_their_start_alone(
    two_cars: Shop, at: str, training: bool, serving: bool
) -> None:
    two_cars.view("v1", at, "M")
    rows = two_cars.run("visitor_demand")
    expected = {(1967, "MUSTANG", "M"): 1.0}
    assert demand(rows) == (expected if training else {})
    assert demand(rows, "serving_weight") == (expected if serving else {})


def test_what_comes_after_the_cutoff_moves_the_serving_view_alone(two_cars: Shop) -> None:
    """Until the cutoff either car is possible; what the visitor views then leaves the Fairlane."""
    two_cars.view("v1", BEFORE, "A")
    before = demand(two_cars.run("visitor_demand"))
    two_cars.view("v1", IN_TEST_WINDOW, "F")
    for visitor in ("v2", "v3"):
        two_cars.view(visitor, IN_TEST_WINDOW, "M")
    rows = two_cars.run("visitor_demand")
    assert demand(rows) == before
    assert demand(rows, "serving_weight") == {
        (1967, "FAIRLANE", "A"): 1.0,
        (1967, "FAIRLANE", "F"): 1.0,
        (1967, "MUSTANG", "M"): 2.0,
    }


def crowd(shop: Shop, seed: int) -> None:
    """Visitors in both windows, parts for many cars without skipped years, and owners of some of the cars."""
    random = np.random.default_rng(seed)
    for part in range(20):
        for model in random.choice(["MUSTANG", "FAIRLANE", "F-100"], random.integers(1, 4), replace=False):
            first = int(random.integers(1960, 1970))
            for year in range(first, first + int(random.integers(1, 6))):
                shop.fits(str(year), "FORD", str(model), f"P{part}X")
    for number in range(30):
        shop.driver(
            f"u{number}",
            year=str(random.integers(1960, 1975)),
            model=str(random.choice(["MUSTANG", "FAIRLANE"])),
        )
    start = datetime.date(2025, 9, 1)
    for visitor in range(80):
        for _ in range(random.integers(1, 4)):
            day = start + datetime.timedelta(days=int(random.integers(150)))
            shop.view(f"v{visitor}", f"{day}T12:00", f"P{random.integers(20)}X")


@pytest.mark.parametrize("seed", range(2))
def test_agrees_with_bayes_rule_in_exact_fractions(shop: Shop, seed: int) -> None:
    """Every visitor by itself, over every car that all of its parts fit, or part by part where there is none."""
    crowd(shop, seed)
    tables = shop.run_tables(["visitor_demand"])
    fits: dict[tuple[int, str], set[str]] = defaultdict(set)
    for row in tables["fitment"]:
        fits[row["year"], row["model"]].add(row["base_sku"])
    owned: dict[tuple[int, str], int] = defaultdict(int)
    for row in tables["user_nodes"]:
        owned[row["year"], row["model"]] += 1
    for column, end in (("weight", "2026-01-02"), ("serving_weight", "2026-02-01")):
        wanted: dict[str, set[str]] = defaultdict(set)
        for row in tables["interaction_events"]:
            if row["event_date"] < datetime.date.fromisoformat(end):
                wanted[row["user_id"]].add(row["base_sku"])
        visits = {car: sum(len(parts & chosen) for chosen in wanted.values()) for car, parts in fits.items()}
        expected: dict[tuple[int, str, str], Fraction] = defaultdict(Fraction)
        questions = [
            question
            for chosen in wanted.values()
            for question in (
                [chosen] if any(map(chosen.issubset, fits.values())) else [{part} for part in chosen]
            )
        ]
        for chosen in questions:
            prior = {car: owned[car] + Fraction(1, 5) for car, parts in fits.items() if chosen <= parts}
            odds = {car: owners / visits[car] ** len(chosen) for car, owners in prior.items()}
            for car, odd in odds.items():
                for part in chosen:
                    expected[(*car, part)] += odd / sum(odds.values())
        weights = demand(tables["visitor_demand"], column)
        assert weights == pytest.approx({key: float(share) for key, share in expected.items()}, abs=1e-7)
        assert sum(weights.values()) == pytest.approx(sum(map(len, wanted.values())), abs=1e-5)


def test_two_runs_agree_to_the_last_bit(open_shop: OpenShop) -> None:
    """Whatever the order of the source rows."""
    results = []
    for name in ("first", "second"):
        shop = open_shop(name)
        crowd(shop, 0)
        if name == "second":
            for rows in shop.rows.values():
                rows.reverse()
        shop.run("visitor_demand")
        results.append(shop.results["visitor_demand"].path.read_bytes())
    assert results[0] == results[1]
