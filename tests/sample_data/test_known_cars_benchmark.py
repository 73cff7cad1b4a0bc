"""The cars of visitors that the benchmark knows are those that the sample drew."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pytest
from known_cars import parts_of_visitors, true_cars

from holley_assets.sample_data.parameters import SampleParameters

CUTOFF = datetime.date(2026, 1, 1)


@pytest.fixture(scope="module")
def parameters() -> SampleParameters:
    return SampleParameters.resolve(
        users=200,
        kind="segment",
        seed=3,
        as_of=datetime.date(2026, 2, 15),
        intent_start=datetime.date(2025, 12, 1),
        products=None,
        models=None,
        test_days=30,
    )


def tables() -> dict[str, pa.Table]:
    day = datetime.date(2025, 12, 30)
    events = [
        ("v000000001", "A", day),
        ("v000000001", "A", day),
        ("v000000001", "B", CUTOFF),
        ("v000000001", "X", day),
        ("v000000002", "A", day),
        ("v000000002", "B", day),
        ("v000000002", "C", day),
        ("user@example.com", "A", day),
    ]
    return {
        "interaction_events": pa.table(
            {
                "email_lower": [name if "@" in name else None for name, _, _ in events],
                "user_id": [None if "@" in name else name for name, _, _ in events],
                "base_sku": [sku for _, sku, _ in events],
                "event_date": [date for _, _, date in events],
            }
        ),
        "order_lines": pa.table(
            {
                "buyer": ["guest000007@example.com", "guest000007@example.com", "guest000008@example.com"],
                "base_sku": ["A", "B", "A"],
                "source": ["import_orders", "events", "import_orders"],
                "counts_in_popularity": [True, True, False],
                "order_date": [day] * 3,
            }
        ),
        "fits_edges": pa.table({"base_sku": ["A", "B", "C"]}),
        "user_nodes": pa.table({"email_lower": ["user@example.com"]}),
    }


def test_what_visitors_met_is_what_the_query_counts() -> None:
    """Before the cutoff, of parts that fit a car, of visitors of at most two parts, each pair once."""
    met = parts_of_visitors(tables(), CUTOFF, maximum_parts=2)
    assert met[["visitor", "base_sku"]].to_numpy().tolist() == [[1, "A"], [7, "A"]]


def test_true_cars_are_drawn_again_alike_and_most_visitors_have_one(parameters: SampleParameters) -> None:
    cars = true_cars(parameters)
    assert cars.equals(true_cars(parameters))
    per_visitor = cars.groupby("visitor").size()
    assert per_visitor.index.min() >= 0
    assert (per_visitor == 1).mean() > 0.9
