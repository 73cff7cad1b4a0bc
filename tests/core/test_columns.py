"""Every column that the UI shows says what it means."""

from __future__ import annotations

import pytest
from small_run import FinishedRun

from holley_assets.core.columns import COLUMNS, OF_TABLE, describe_column
from holley_assets.experiment.outcomes import OUTCOMES_SCHEMA
from holley_assets.ranking.arms import ARM, ASSIGNED_ARM
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES


@pytest.mark.parametrize(
    ("asset", "column", "columns", "described"),
    [
        ("fitment", "year", {"year"}, "model year of the car"),
        ("fits_edges", "weight", {"weight"}, "always 1"),
        (
            "popularity",
            "serving_orders",
            {"orders", "serving_orders"},
            "one a buyer, base SKU and day; as of the run's",
        ),
        (
            "popularity",
            "orders",
            {"orders", "serving_orders"},
            "one a buyer, base SKU and day; as of the cutoff",
        ),
        ("daily_orders", "orders", {"orders"}, "buyers who ordered the part on that day"),
        ("recommendations", "rec2_price", {"rec2_price"}, "price of the part in slot 2, US dollars"),
        ("recommendations", "rec_part_4", {"rec_part_4"}, "SKU shown in slot 4"),
    ],
)
def test_descriptions_by_hand(asset: str, column: str, columns: set[str], described: str) -> None:
    assert described in str(describe_column(asset, column, columns))


def test_what_nobody_described_has_no_description() -> None:
    assert describe_column("fitment", "colour", {"colour"}) is None


def test_every_column_of_every_asset_is_described(weekly_run: FinishedRun) -> None:
    found = {
        path.stem: weekly_run.table(path.stem).column_names
        for path in weekly_run.data_dir.glob("assets/*.parquet")
    }
    # Nothing is staged for a serving table that the run may not touch.
    found["mixed_recommendations"] = [ARM, ASSIGNED_ARM]
    found |= {name: list(table.columns) for name, table in SOURCE_TABLES.items()}
    # A job of its own reads the experiment.
    found["experiment_outcomes"] = OUTCOMES_SCHEMA.names
    missing = [
        f"{asset}.{column}"
        for asset, columns in found.items()
        for column in columns
        if describe_column(asset, column, columns) is None
    ]
    assert missing == []
    named = {column.removeprefix("serving_") for columns in found.values() for column in columns}
    assert set(COLUMNS) - named == set()
    assert {(asset, column) for asset, of in OF_TABLE.items() for column in of} <= {
        (asset, column.removeprefix("serving_")) for asset, columns in found.items() for column in columns
    }
