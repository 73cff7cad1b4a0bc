"""Visits of the test users' cars, from the tables of a run."""

from __future__ import annotations

import pyarrow as pa

from holley_assets.evaluation.report_sections import visits_of_test_users


def test_visits_of_test_users_by_hand() -> None:
    """Ann's car shares its class with the year that has the visits; Bob's has no part; Cid clicked nothing."""
    make = pa.array(["FORD", "FORD", "FORD"]).dictionary_encode()
    model = pa.array(["MUSTANG", "MUSTANG", "MUSTANG"]).dictionary_encode()
    fitment = pa.table(
        {
            "year": pa.array([1967, 1968, 1968]),
            "make": make,
            "model": model,
            "base_sku": ["A", "A", "A"],
        }
    ).slice(0, 2)
    users = pa.table(
        {
            "email_lower": ["ann@example.com", "bob@example.com", "cid@example.com"],
            "year": pa.array([1967, 1999, 1968]),
            "make": pa.array(["FORD", "EDSEL", "FORD"]).dictionary_encode(),
            "model": pa.array(["MUSTANG", "PACER", "MUSTANG"]).dictionary_encode(),
        }
    )
    demand = pa.table(
        {
            "year": pa.array([1968, 1967]),
            "make": pa.array(["FORD", "FORD"]),
            "model": pa.array(["MUSTANG", "MUSTANG"]),
            "base_sku": ["A", "A"],
            "weight": [2.5, None],
        }
    )
    labels = pa.table({"email_lower": ["bob@example.com", "ann@example.com"], "base_sku": ["A", "A"]})
    found = visits_of_test_users(users, labels, fitment, demand)
    assert sorted(found.to_pylist(), key=lambda row: row["email_lower"]) == [
        {"email_lower": "ann@example.com", "visits": 2.5},
        {"email_lower": "bob@example.com", "visits": None},
    ]
