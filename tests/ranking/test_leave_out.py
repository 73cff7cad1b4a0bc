"""The pipeline's scores without a visitor's own orders: answers worked out by hand."""

from __future__ import annotations

import datetime
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from holley_assets.ranking import Candidates, build_candidates
from holley_assets.ranking.leave_out import TierMinimums, sql_without_own_orders

SKUS = ["A", "B", "C"]
CARS = {"FORD GT": ("FORD", "GT"), "FORD T": ("FORD", "T"), "GMC 10": ("GMC", "10"), "GM C10": ("GM", "C10")}
MINIMUMS = TierMinimums(segment=5, make=8, pair=2)
JANUARY = [datetime.date(2026, 1, number) for number in range(32)[1:]]
# Who bought what on which day of January.
ORDERS = [
    ("bert", "A", 5),
    ("anna", "A", 10),
    ("carl", "B", 7),
    ("bert", "A", 6),
    ("dora", "A", 2),
    ("carl", "C", 7),
    ("anna", "A", 20),
    ("bert", "B", 5),
    ("none", "C", 3),
    ("carl", "X", 7),
    ("emma", "X", 7),
    ("fred", "X", 7),
]
CAR_OF = {
    "anna": "FORD GT",
    "bert": "FORD GT",
    "carl": "FORD T",
    "dora": "FORD GT",
    "emma": "GM C10",
    "fred": "GMC 10",
    "gina": "GMC 10",
}


def candidates() -> Candidates:
    """Three parts that fit all cars."""
    cars = [car for car in CARS.values() for _ in SKUS]
    fitment = pa.table(
        {
            "year": [1967] * len(cars),
            "make": [make for make, _ in cars],
            "model": [model for _, model in cars],
            **dict.fromkeys(("base_sku", "sku", "serving_sku"), SKUS * len(CARS)),
        }
    )
    parts = pa.table({"sku": SKUS, "part_type": SKUS})
    return build_candidates(fitment, parts, view="training", apply_rules=True)


def counts(orders: list[tuple[str, str, int]]) -> pa.Table:
    """What table popularity says of these orders."""
    rows = []
    for make, model in CARS.values():
        # X fits none of them and comes last, as a part that no rule lets through.
        for sku in (*SKUS, "X"):
            of = [buyer for buyer, part, _ in orders if part == sku]
            row: dict[str, Any] = {"make": make, "model": model, "base_sku": sku, "orders": len(of)}
            row["segment_orders"] = sum(CARS.get(CAR_OF.get(one, "")) == (make, model) for one in of)
            row["make_orders"] = sum(CARS.get(CAR_OF.get(one, ""), ("",))[0] == make for one in of)
            rows.append(row)
    return pa.Table.from_pylist(rows)


def scores(*visits: tuple[str, int], minimums: TierMinimums = MINIMUMS) -> list[list[float]]:
    """Of A, B and C, of visits by these users on these days of January."""
    visited = pa.table(
        {
            "visit": range(len(visits)),
            "email_lower": [user for user, _ in visits],
            "visit_date": [JANUARY[day - 1] for _, day in visits],
            "make": [CARS[CAR_OF[user]][0] for user, _ in visits],
            "model": [CARS[CAR_OF[user]][1] for user, _ in visits],
        }
    )
    known = candidates()
    found = known.find_segments(visited["make"], visited["model"])
    pair = np.concatenate([np.flatnonzero(known.pair_segment == segment) for segment in found])
    result = sql_without_own_orders(
        visited,
        known,
        offsets=np.arange(len(visits) + 1) * 3,
        pair=pair,
        popularity=counts(ORDERS),
        orders=pa.table(
            {
                "email_lower": [buyer for buyer, _, _ in ORDERS],
                "base_sku": [part for _, part, _ in ORDERS],
                "order_date": [JANUARY[day - 1] for _, _, day in ORDERS],
            }
        ),
        users=pa.table(
            {
                "email_lower": list(CAR_OF),
                "make": [CARS[car][0] for car in CAR_OF.values()],
                "model": [CARS[car][1] for car in CAR_OF.values()],
            }
        ),
        minimums=minimums,
    )
    return result.reshape(-1, 3).tolist()


def segment(count: int) -> object:
    """What equals the score of a segment in which so many of the part were ordered."""
    return pytest.approx(10 * math.log1p(count))


def of_make(count: int) -> object:
    return pytest.approx(8 * math.log1p(count))


def anywhere(count: int) -> object:
    return pytest.approx(2 * math.log1p(count))


def test_nothing_is_left_out_of_who_ordered_nothing_since() -> None:
    """A GT has six orders, five of A; FORD has nine, two of B; C was ordered twice, once by somebody without a car."""
    assert scores(("anna", 21)) == [[segment(5), of_make(2), anywhere(2)]]


def test_orders_since_the_visit_are_left_out_of_part_car_and_make() -> None:
    """Anna ordered A twice: one of five, then the segment has five orders and the make eight: both just enough."""
    assert scores(("anna", 20), ("anna", 11)) == [[segment(4), of_make(2), anywhere(2)]] * 2
    # Without both the segment has four orders and the make seven, which is too few: three of A are left.
    assert scores(("anna", 10)) == [[anywhere(3), anywhere(2), anywhere(2)]]


def test_orders_of_what_does_not_fit_count_in_the_totals() -> None:
    """Carl ordered B, C and X: the make is left with six of nine orders, and with seven if X were forgotten."""
    enough = TierMinimums(segment=5, make=6, pair=1)
    assert scores(("carl", 7), minimums=enough) == [[of_make(5), of_make(1), anywhere(1)]]
    assert scores(("carl", 7), minimums=TierMinimums(5, 7, 1)) == [[anywhere(5), anywhere(1), anywhere(1)]]


@pytest.mark.parametrize(
    ("least", "expected"), [(1, [segment(0)] * 3), (2, [anywhere(5), anywhere(2), anywhere(2)])]
)
def test_cars_whose_names_run_together_are_two(least: int, expected: list[object]) -> None:
    """Fred's order alone is of a GMC 10; Emma's is of a GM C10."""
    assert scores(("gina", 1), minimums=TierMinimums(segment=least, make=99, pair=0)) == [expected]


def test_of_each_visitor_its_own_orders_are_left_out() -> None:
    """Orders of both are mixed; Bert comes first."""
    alone = [scores(("bert", 6))[0], scores(("anna", 11))[0]]
    assert scores(("bert", 6), ("anna", 11)) == alone == scores(("anna", 11), ("bert", 6))[::-1]


def test_visits_of_one_user_are_left_out_each_for_itself() -> None:
    first, second = scores(("bert", 5), ("bert", 6), minimums=TierMinimums(1, 1, 1))
    # From the fifth on: two of A and the one B of the segment, which leaves Carl's; then one of A alone.
    assert first == [segment(3), of_make(1), of_make(1)]
    assert second == [segment(4), segment(1), of_make(1)]


def test_no_visit_has_no_scores() -> None:
    empty = pa.table(
        {name: pa.array([], pa.string()) for name in ("email_lower", "base_sku", "make", "model")}
    )
    dates = pa.array([], pa.date32())
    found = sql_without_own_orders(
        empty.append_column("visit", pa.array([], pa.int64())).append_column("visit_date", dates),
        candidates(),
        offsets=np.zeros(1, np.int64),
        pair=np.empty(0, np.int64),
        popularity=counts(ORDERS),
        orders=empty.append_column("order_date", dates),
        users=empty,
        minimums=MINIMUMS,
    )
    assert found.tolist() == []
