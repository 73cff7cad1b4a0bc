"""Rows in = rows kept + rows dropped, at the limit and on both sides of it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from holley_assets.checks.source_row_checks import ROWS_ADD_UP, SOURCE_ROW_CHECKS, check_source_rows, outcomes
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES

SCHEMA = pa.schema(
    {
        "source_table": pa.string(),
        "outcome": pa.string(),
        "reason": pa.string(),
        "source_rows": pa.int64(),
    }
)


def table_of(*rows: tuple[str, str, str | None, int]) -> pa.Table:
    """Rows of asset ``source_rows``."""
    return pa.Table.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], schema=SCHEMA)


def orders(rows_in: int, kept: int, dropped: int, lost: int = 0) -> pa.Table:
    """What became of the order lines."""
    return table_of(
        ("import_orders", "in", None, rows_in),
        ("import_orders", "kept", None, kept),
        ("import_orders", "dropped", "no SKU", dropped - 1),
        ("import_orders", "dropped", "no e-mail", 1),
        ("import_orders", "lost", "missing in order_lines", lost),
    )


@pytest.mark.parametrize(
    ("rows", "late_share", "passed"),
    [
        (orders(1000, 990, 10), 0.0, True),
        (orders(1000, 989, 10, lost=1), 0.0, False),
        (orders(1000, 989, 10, lost=1), 0.001, True),
        (orders(1000, 988, 10, lost=2), 0.001, False),
        (orders(999, 988, 10, lost=1), 0.001, False),
        # Lost by the accounting itself, and counted twice by it.
        (orders(1000, 980, 10), 0.001, False),
        (orders(1000, 991, 10), 0.001, False),
        (orders(0, 0, 1), 1.0, False),
        (table_of(), 0.0, True),
    ],
)
def test_rows_add_up(rows: pa.Table, late_share: float, passed: bool) -> None:
    (result,) = check_source_rows(rows, late_share)
    assert result.passed == passed
    assert result.severity.value == "ERROR"


def test_it_names_the_table_and_the_difference() -> None:
    events = [("ingestion_unified_schema_incremental", "in", None, 3)]
    rows = pa.concat_tables([table_of(*events), orders(2000, 1500, 10)])
    (result,) = check_source_rows(rows, 0.001)
    assert result.description == (
        "ingestion_unified_schema_incremental: 3 rows in, 0 kept and 0 dropped, a difference of 3; "
        "import_orders: 2,000 rows in, 1,500 kept and 10 dropped, a difference of 490"
    )
    assert result.metadata["import_orders_without_a_reason"].value == 490
    assert result.metadata["import_items_without_a_reason"].value == 0


def test_outcomes_name_every_table_and_reason() -> None:
    found = outcomes(orders(1000, 990, 10))
    assert found.keys() == SOURCE_TABLES.keys()
    assert found["import_orders"] == {
        "in": 1000,
        "kept": 990,
        "no SKU": 9,
        "no e-mail": 1,
        "missing in order_lines": 0,
    }
    assert found["import_items"] == {"in": 0, "kept": 0}


def test_it_stops_what_comes_after() -> None:
    (spec,) = SOURCE_ROW_CHECKS
    assert spec.name == ROWS_ADD_UP and spec.blocking
