"""Visits of a car's class, worked out by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from holley_assets.evaluation.car_traffic import NAMES, class_visits, slice_of


def cars(*rows: tuple[int, str, str, str]) -> dict[str, list[object]]:
    return {
        name: list(column)
        for name, column in zip(("year", "make", "model", "base_sku"), zip(*rows, strict=True), strict=True)
    }


# 1967 and 1968 have the same parts, 1969 one more; the Pontiacs have those of 1967 under another name.
FITMENT = pa.table(
    cars(
        (1967, "CHEVROLET", "CAMARO", "A"),
        (1967, "CHEVROLET", "CAMARO", "B"),
        (1968, "CHEVROLET", "CAMARO", "B"),
        (1968, "CHEVROLET", "CAMARO", "A"),
        (1969, "CHEVROLET", "CAMARO", "A"),
        (1969, "CHEVROLET", "CAMARO", "B"),
        (1969, "CHEVROLET", "CAMARO", "C"),
        (1967, "CHEVROLET", "NOVA", "C"),
        (1967, "PONTIAC", "FIREBIRD", "A"),
        (1967, "PONTIAC", "FIREBIRD", "B"),
        (1967, "PONTIAC", "CAMARO", "A"),
        (1967, "PONTIAC", "CAMARO", "B"),
    )
)


def test_cars_of_a_model_with_the_same_parts_share_their_visits() -> None:
    demand = pa.table(
        {
            **cars(
                (1967, "CHEVROLET", "CAMARO", "A"),
                (1968, "CHEVROLET", "CAMARO", "B"),
                (1969, "CHEVROLET", "CAMARO", "C"),
                (1967, "PONTIAC", "FIREBIRD", "A"),
                (1999, "NO", "SUCH", "A"),
                (1967, "PONTIAC", "FIREBIRD", "B"),
                # A known make or model alone, or a year that nothing fits, is no car.
                (1967, "PONTIAC", "SUCH", "A"),
                (1967, "NO", "CAMARO", "A"),
                (1967, "CHEVROLET", "FIREBIRD", "A"),
                (1970, "CHEVROLET", "CAMARO", "A"),
            ),
            "weight": [1.5, 2.25, 4.0, None, 7.0, 0.5, 16.0, 32.0, 64.0, 128.0],
        }
    )
    rows = class_visits(FITMENT, demand).to_pylist()
    found = {(row["year"], row["make"], row["model"]): row["visits"] for row in rows}
    assert found == {
        (1967, "CHEVROLET", "CAMARO"): 3.75,
        (1968, "CHEVROLET", "CAMARO"): 3.75,
        (1969, "CHEVROLET", "CAMARO"): 4.0,
        (1967, "CHEVROLET", "NOVA"): 0.0,
        (1967, "PONTIAC", "FIREBIRD"): 0.5,
        (1967, "PONTIAC", "CAMARO"): 0.0,
    }


def test_nothing_seen_is_no_visits() -> None:
    nothing = pa.table({**{name: [] for name in ("year", "make", "model", "base_sku")}, "weight": []}).cast(
        pa.schema(
            [
                ("year", pa.int64()),
                ("make", pa.string()),
                ("model", pa.string()),
                ("base_sku", pa.string()),
                ("weight", pa.float64()),
            ]
        )
    )
    assert class_visits(FITMENT, nothing)["visits"].to_pylist() == [0.0] * 6
    assert class_visits(FITMENT.slice(0, 0), nothing).num_rows == 0


@pytest.mark.parametrize(
    ("visits", "name"),
    [
        (0.0, "below 1"),
        (0.99, "below 1"),
        (1.0, "1–3"),
        (2.9, "1–3"),
        (3.0, "3–6"),
        (5.9, "3–6"),
        (6.0, "6–12"),
        (11.9, "6–12"),
        (12.0, "12–25"),
        (24.9, "12–25"),
        (25.0, "25–100"),
        (99.9, "25–100"),
        (100.0, "100 and more"),
    ],
)
def test_slices(visits: float, name: str) -> None:
    assert NAMES[slice_of(np.array([visits]))[0]] == name
    assert slice_of(np.array([np.nan]))[0] == -1
