"""What plain counts would have shown."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest

from holley_assets.assets.controls import rank_controls
from holley_assets.assets.layers import layer_table
from holley_assets.core.time_windows import (
    resolve_windows,
)
from holley_assets.settings import load_settings

SKUS = ["A", "B", "C"]
YEARS = [1967, 1968]


def cars(rows: int) -> dict[str, list[str]]:
    return {"make": ["FORD"] * rows, "model": ["GT"] * rows}


@pytest.mark.usefixtures("run_settings")
def test_demand_is_that_of_the_very_car_before_the_cutoff() -> None:
    """Everybody looks at A and few at C; owners of a 1968 car want C, and B only after the cutoff."""
    fitment = pa.table(
        {
            "year": np.repeat(YEARS, 3),
            **cars(6),
            **dict.fromkeys(("base_sku", "sku", "serving_sku"), SKUS * 2),
        }
    )
    demand = pa.table(
        {
            "year": [1967, 1967, 1968, 1968],
            **cars(4),
            "base_sku": ["B", "A", "C", "B"],
            "weight": [2.0, 1.0, 0.5, None],
        }
    )
    popularity = np.array([9.0, 5.0, 1.0], np.float32)
    vectors = np.array([[0.0, 0.6, 0.8], [0.6, 0.8, 0.0]], np.float32)  # of the 1967, then of the 1968 car
    settings = load_settings()
    found = rank_controls(
        pa.table(
            {"email_lower": ["new@example.com", "old@example.com"], "year": [1968, 1967], **cars(2)}
        ).append_column("profile", pa.array([1, 0], pa.int32())),
        counts=pa.table(
            {"base_sku": SKUS, "fitted_popularity": popularity[::-1], "counted_popularity": popularity}
        ),
        layers=layer_table([("levels", pa.array(SKUS), vectors, np.eye(3, dtype=np.float32))]),
        visitor_demand=demand,
        fitment=fitment,
        parts=pa.table({"sku": SKUS, "part_type": SKUS}),
        purchases=pa.table(
            {
                "email_lower": pa.array([], pa.string()),
                "base_sku": pa.array([], pa.string()),
                "order_date": pa.array([], pa.date32()),
            }
        ),
        windows=resolve_windows(settings.run, datetime.date(2026, 2, 1)),
        settings=settings,
    )
    shown: dict[tuple[str, str], list[str]] = {}
    for row in found.to_pylist():
        shown.setdefault((row["system"], row["email_lower"].split("@")[0]), []).append(row["base_sku"])
    assert shown == {
        ("fitted_popularity", "new"): ["C", "B", "A"],
        ("fitted_popularity", "old"): ["C", "B", "A"],
        ("counted_popularity", "new"): ["A", "B", "C"],
        ("counted_popularity", "old"): ["A", "B", "C"],
        ("levels", "new"): ["B", "A", "C"],
        ("levels", "old"): ["C", "B", "A"],
        ("visitor_demand", "new"): ["C", "A", "B"],
        ("visitor_demand", "old"): ["B", "A", "C"],
    }
