"""Which cars stand in the report, and what is said of two lists of parts."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from holley_assets.evaluation.example_cars import (
    GROUPS,
    MIDDLE,
    POPULAR,
    UNSEEN,
    ExampleCar,
    cars_with_owners,
    in_order,
    largest_difference,
)


def car(model: str, owners: int, visits: float) -> ExampleCar:
    return ExampleCar(1969, "FORD", model, owners, visits)


CARS = [
    car("A", 5, 90.0),
    car("B", 7, 90.0),
    car("C", 1, 11.0),
    car("D", 1, 9.0),
    car("E", 2, 1.0),
    car("F", 3, 0.999),
    car("G", 8, 0.0),
    car("H", 8, 0.5),
]


@pytest.mark.parametrize(
    ("group", "names"),
    [
        # Ties of visits go by owners.
        (POPULAR, "BACDE"),
        # The median of those seen is 11: C is on it, D two below, E ten below, A and B are far above.
        (MIDDLE, "CDEBA"),
        # G and H tie in owners, so by name; E has as many visits as counts as seen, after it the fewest first.
        (UNSEEN, "GHFEDCBA"),
    ],
)
def test_each_group_has_its_order(group: str, names: str) -> None:
    assert [one.model for one in in_order(CARS, group)] == list(names)
    assert [one.model for one in in_order(CARS[::-1], group)] == list(names)
    assert list(in_order([], group)) == []


def test_a_group_that_there_is_not() -> None:
    with pytest.raises(ValueError, match="none of much traffic"):
        in_order(CARS, "all")
    assert len(set(GROUPS)) == 3


def test_a_car_counts_its_owners_and_has_the_visits_of_its_class() -> None:
    users = pa.table(
        {
            "year": [1969, 1969, 1970, 1971],
            "make": pa.array(["FORD"] * 4).dictionary_encode(),
            "model": ["F 100", "F 100", "F 100", "UNKNOWN"],
        }
    )
    visits = pa.table(
        {"year": [1969, 1970, 1980], "make": ["FORD"] * 3, "model": ["F 100"] * 3, "visits": [2.5, 0.0, 9.0]}
    )
    assert cars_with_owners(users, visits) == [
        ExampleCar(1969, "FORD", "F 100", 2, 2.5),
        ExampleCar(1970, "FORD", "F 100", 1, 0.0),
    ]
    assert cars_with_owners(users, visits)[0].name == "1969 FORD F 100"


def part(base_sku: str, popularity: float, model: float, rule: str | None = None) -> dict[str, Any]:
    return {
        "base_sku": base_sku,
        "score": popularity + model,
        "terms": {"popularity": popularity, "model": model},
        "rule": rule,
    }


def test_the_first_part_of_each_list_that_the_other_lacks_is_compared() -> None:
    shown = [part("A", 0.9, 0.1), part("B", 0.2, 0.5), part("C", 0.1, 0.1)]
    by_sql = [part("A", 0.9, 0.1), part("D", 0.4, -0.2), part("E", 0.0, 0.0)]
    found = largest_difference(shown, by_sql)
    assert (found["common"], found["preferred"], found["over"], found["rule"]) == (1, "B", "D", None)
    # Largest first, and the terms sum to the difference of the scores.
    assert list(found["terms"]) == ["model", "popularity"]
    assert found["terms"] == {"model": pytest.approx(0.7), "popularity": pytest.approx(-0.2)}
    assert sum(found["terms"].values()) == pytest.approx(shown[1]["score"] - by_sql[1]["score"])


def test_a_rule_that_took_the_part_out_is_named() -> None:
    found = largest_difference(
        [part("B", 0.1, 0.1)], [part("D", 0.9, 0.9, "at most 2 of a part type: Wheel")]
    )
    assert found["common"] == 0 and found["rule"] == "at most 2 of a part type: Wheel"


@pytest.mark.parametrize("by_sql", [[], [part("A", 0.9, 0.1)]])
def test_equal_lists_leave_nothing_to_explain(by_sql: list[dict[str, Any]]) -> None:
    found = largest_difference([part("A", 0.9, 0.1)], by_sql)
    assert found == {"common": len(by_sql), "preferred": None, "over": None, "rule": None, "terms": {}}
