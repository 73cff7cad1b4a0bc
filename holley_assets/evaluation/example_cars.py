"""Which cars stand for all in the report: a rule, so that nobody picks those that look well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from holley_assets.terms import CAR

# Below one visit a car is as good as never seen.
SEEN = 1.0
# Cars of each group.
EACH = 2
POPULAR, MIDDLE, UNSEEN = "much traffic", "in the middle", "least traffic"
GROUPS = (POPULAR, MIDDLE, UNSEEN)
# What each term of a score is, in words that people read.
TERM_NOTES = {
    "popularity": "how often visitors choose it among what fits their car",
    "shop": "correction towards its popularity in the whole shop",
    "season": "recent orders against those of all time",
    "make": "what owners of the make want",
    "model": "what owners of the model want",
    "class": "what owners of the years that exactly the same parts fit want",
    "messages": "what owners of cars that share parts want",
    "attention": "layers of graph attention",
    "personal": "taste inferred from what the customer met",
    "history": "the customer's own history",
}


class ExampleCar(NamedTuple):
    """A car of the customers.

    Attributes:
        year, make, model: the car.
        owners: customers who have it.
        visits: those of its class before the cutoff.
    """

    year: int
    make: str
    model: str
    owners: int
    visits: float

    @property
    def name(self) -> str:
        """The car in words."""
        return f"{self.year} {self.make} {self.model}"


def cars_with_owners(user_nodes: pa.Table, visits: pa.Table) -> list[ExampleCar]:
    """Each car that customers have and parts fit.

    Args:
        user_nodes: year, make, model of each customer.
        visits: year, make, model, visits (:func:`.car_traffic.class_visits`).
    """
    plain = pa.schema([("year", pa.int64()), ("make", pa.string()), ("model", pa.string())])
    owners = user_nodes.select(list(CAR)).cast(plain).group_by(list(CAR)).aggregate([([], "count_all")])
    counted = visits.cast(plain.append(pa.field("visits", pa.float64())))
    rows = owners.join(counted, list(CAR), join_type="inner").to_pylist()
    cars = [
        ExampleCar(row["year"], row["make"], row["model"], row["count_all"], row["visits"]) for row in rows
    ]
    return sorted(cars)


def in_order(cars: Sequence[ExampleCar], group: str) -> Iterator[ExampleCar]:
    """The cars of a group, the one that stands for it best first.

    Much traffic: most visits first. In the middle: nearest to the median of those that were seen. No traffic: below
    :data:`SEEN` visits, most owners first, and after them the others, fewest visits first. Ties go by the number of
    owners, then by name.

    Raises:
        ValueError: no such group.
    """
    seen = [car for car in cars if car.visits >= SEEN]
    if group == POPULAR:
        return iter(sorted(seen, key=lambda car: (-car.visits, -car.owners, car.name)))
    if group == MIDDLE:
        median = float(np.median([car.visits for car in seen])) if seen else 0.0
        return iter(sorted(seen, key=lambda car: (abs(car.visits - median), -car.owners, car.name)))
    if group == UNSEEN:
        return iter(sorted(cars, key=lambda car: (max(car.visits, SEEN), -car.owners, car.name)))
    raise ValueError(f"{group!r} is none of {', '.join(GROUPS)}")


def largest_difference(shown: Sequence[dict[str, Any]], by_sql: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What two lists of one car have in common, and why the model ranks as it does where they differ.

    Args:
        shown: parts by the model, best first: base_sku, score, terms and rule (why it is not shown, or None).
        by_sql: parts by the pipeline, best first, with the same keys; score and terms are the model's.

    Returns:
        ``common``, how many parts are in both; and, where they differ, ``preferred`` and ``over``, the best part that
        only the model shows and the best that only the pipeline shows, ``rule``, the rule of the model's list that took
        the latter out, and ``terms``: each term of the first less that of the second, largest first. The terms sum to
        the difference of the scores. Else these are None and empty.
    """
    names = {part["base_sku"] for part in shown}
    others = {part["base_sku"] for part in by_sql}
    only = [part for part in shown if part["base_sku"] not in others]
    missed = [part for part in by_sql if part["base_sku"] not in names]
    if not only or not missed:
        return {"common": len(names & others), "preferred": None, "over": None, "rule": None, "terms": {}}
    first, second = only[0], missed[0]
    terms = {name: first["terms"][name] - second["terms"][name] for name in first["terms"]}
    return {
        "common": len(names & others),
        "preferred": first["base_sku"],
        "over": second["base_sku"],
        "rule": second["rule"],
        "terms": dict(sorted(terms.items(), key=lambda item: -abs(item[1]))),
    }
