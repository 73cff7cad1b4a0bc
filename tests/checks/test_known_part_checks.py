"""Orders, events and catalogue rows whose part no other table knows: at each limit and on both sides of it."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holley_assets.checks.known_part_checks import (
    EVENTS_ARE_KNOWN,
    KNOWN_PART_CHECKS,
    ORDERS_ARE_KNOWN,
    PARTS_FIT,
    check_known_parts,
)
from holley_assets.settings import CheckSettings

EVENTS = "ingestion_unified_schema_incremental"
SHARE_OF = {
    ORDERS_ARE_KNOWN: ("import_orders", "dropped", "product unknown"),
    EVENTS_ARE_KNOWN: (EVENTS, "dropped", "product unknown"),
    PARTS_FIT: ("import_items", "kept", "fits no vehicle"),
}


@pytest.fixture
def tables(tmp_path: Path) -> dict[str, Path]:
    """Parts that are known, and what orders and events name."""
    skus = ["8202B", *["X1"] * 3, *["ann@example.com"] * 2, *(f"Y{number:02}" for number in range(9))]
    named = pa.table({"sku": skus, "base_sku": ["8202", *skus[1:]]})
    made = {
        "parts": pa.table({"base_sku": ["8202"]}),
        "interaction_events": named.slice(0, 2),
        "order_lines": named.append_column("source", pa.array(["import_orders"] * len(skus))),
    }
    elsewhere = pa.table({"sku": ["Z"] * 9, "base_sku": ["Z"] * 9, "source": ["events"] * 9})
    made["order_lines"] = pa.concat_tables([made["order_lines"], elsewhere])
    for name, table in made.items():
        pq.write_table(table, tmp_path / f"{name}.parquet")
    return {name: tmp_path / f"{name}.parquet" for name in made}


def verdicts(
    tables: dict[str, Path], *counts: tuple[str, str, str | None, int]
) -> dict[str, dg.AssetCheckResult]:
    """What is said of these rows of ``source_rows``."""
    names = ("source_table", "outcome", "reason", "source_rows")
    types = (pa.string(), pa.string(), pa.string(), pa.int64())
    rows = pa.Table.from_pylist(
        [dict(zip(names, row, strict=True)) for row in counts],
        schema=pa.schema(list(zip(names, types, strict=True))),
    )
    limits = CheckSettings(
        minimum_known_parts_share=0.5,
        usual_known_parts_share=0.9,
        minimum_fitting_parts_share=0.2,
        usual_fitting_parts_share=0.6,
    )
    return {str(result.check_name): result for result in check_known_parts(rows, tables, limits)}


@pytest.mark.parametrize(
    ("check", "limit", "usual"),
    [(ORDERS_ARE_KNOWN, 500, 900), (EVENTS_ARE_KNOWN, 500, 900), (PARTS_FIT, 200, 600)],
)
def test_each_share_warns_and_stops_at_its_limits(
    tables: dict[str, Path], check: str, limit: int, usual: int
) -> None:
    table, outcome, reason = SHARE_OF[check]
    for known, passed, stops in (
        (1000, True, False),
        (usual, True, False),
        (usual - 1, False, False),
        (limit, False, False),
        (limit - 1, False, True),
        (0, False, True),
    ):
        counts = [
            (table, "kept", None, known),
            (table, outcome, reason, 1000 - known),
            # Neither what is dropped for another reason nor another table's rows are judged.
            (table, "dropped", "no SKU", 5000),
            (table, "in", None, 6000),
            ("treatment_interaction", "dropped", "product unknown", 7000),
        ]
        found = verdicts(tables, *counts)
        result = found.pop(check)
        assert (result.passed, result.severity == dg.AssetCheckSeverity.ERROR) == (passed, stops), known
        assert f"{known / 1000:.1%} of 1,000 " in str(result.description)
        assert all(other.passed for other in found.values())


def test_without_rows_there_is_nothing_to_judge(tables: dict[str, Path]) -> None:
    found = verdicts(tables)
    assert all(result.passed and result.metadata["value"].value == 1.0 for result in found.values())
    assert "no row of import_orders to judge" in str(found[ORDERS_ARE_KNOWN].description)


def test_the_ten_commonest_are_named_and_no_address(tables: dict[str, Path]) -> None:
    found = verdicts(tables, ("import_orders", "dropped", "product unknown", 14))
    words = str(found[ORDERS_ARE_KNOWN].description)
    assert "unknown: X1 (3), " in words and "Y07 (1)" in words
    assert "Y08" not in words and "8202" not in words and "Z" not in words and "@" not in words
    assert "unknown: X1 (1)" in str(found[EVENTS_ARE_KNOWN].description)


def test_they_stop_what_comes_after() -> None:
    assert {spec.name for spec in KNOWN_PART_CHECKS if spec.blocking} == SHARE_OF.keys()
