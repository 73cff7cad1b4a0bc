"""The live pipeline's own table as system sql, on both warehouses."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bigquery_emulator import BigQueryEmulator

from holley_assets.assets.live_baseline import read_live_baseline, with_live_baseline
from holley_assets.ranking.recommendations import WIDE_SCHEMA
from holley_assets.resources.warehouse.bigquery.warehouse import BigQueryWarehouse
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.interface import Warehouse, WarehouseError
from holley_assets.settings import BigQuerySettings, SettingsError

CUTOFF = datetime.date(2026, 1, 2)
USERS = pa.array(["a@x.com", "b@x.com"])
OpenLive = Callable[[pa.Table], Warehouse]


def row(email: str, day: str, *skus: str) -> dict[str, Any]:
    """A row of the live table, generated at 05:00."""
    slots = {
        f"{name}{slot}{end}": value
        for slot, sku in enumerate(skus, start=1)
        for name, end, value in (("rec_part_", "", sku), ("rec", "_score", 10.0 - slot))
    }
    at = datetime.datetime.fromisoformat(f"{day}T05:00:00+00:00")
    return {"email_lower": email, "generated_at": at, **slots}


@pytest.fixture(params=["duckdb", "bigquery"])
def open_live(
    request: pytest.FixtureRequest, bigquery_emulator: BigQueryEmulator, tmp_path: Path
) -> Iterator[OpenLive]:
    path = tmp_path / "live.parquet"

    def open_duckdb(table: pa.Table) -> Warehouse:
        pq.write_table(table, path)
        return DuckDBWarehouse(
            sources={},
            assets={"live_recommendations": path},
            database=tmp_path / "warehouse.duckdb",
            temporary_directory=tmp_path / "tmp",
        )

    def open_bigquery(table: pa.Table) -> Warehouse:
        pq.write_table(table, path)
        bigquery_emulator.load_parquet("live_pipeline", "recommendations", path)
        client.create_dataset("live_work", exists_ok=True)
        return BigQueryWarehouse(
            client,
            None,
            BigQuerySettings(project=bigquery_emulator.project, working_dataset="live_work"),
            temporary_directory=tmp_path / "tmp",
            stand_ins={"live_recommendations": "live_pipeline.recommendations"},
        )

    with bigquery_emulator.client() as client:
        yield open_duckdb if request.param == "duckdb" else open_bigquery


def test_wide_becomes_long_for_the_test_users(open_live: OpenLive) -> None:
    rows = [
        row("A@x.com ", "2026-01-02", "p2r", "P1", "P2B"),
        row("stranger@x.com", "2026-01-02", "P9"),
        # What the table said before, and what it says after the cutoff.
        row("a@x.com", "2025-12-26", "OLD"),
        row("b@x.com", "2026-01-03", "LEAK"),
    ]
    live = read_live_baseline(open_live(pa.Table.from_pylist(rows, WIDE_SCHEMA)), USERS, cutoff=CUTOFF)
    assert (live.generated, live.users) == (CUTOFF, 2)
    assert live.rankings.to_pylist() == [
        {"email_lower": "a@x.com", "system": "sql", "rank": 1, "base_sku": "P2", "score": 9.0},
        {"email_lower": "a@x.com", "system": "sql", "rank": 2, "base_sku": "P1", "score": 8.0},
    ]
    computed = pa.table(
        {
            "email_lower": ["a@x.com", "a@x.com"],
            "system": pa.array(["gnn", "sql"]).dictionary_encode(),
            "rank": pa.array([1, 1], pa.int32()),
            "base_sku": ["P5", "P6"],
            "score": [1.0, 2.0],
        }
    )
    mixed = with_live_baseline(computed, live)
    assert [(row["system"], row["base_sku"]) for row in mixed.to_pylist()] == [
        ("gnn", "P5"),
        ("sql", "P2"),
        ("sql", "P1"),
    ]
    assert mixed.schema.field("rank").type == pa.int32()


def test_a_table_that_knows_the_test_window_is_refused(open_live: OpenLive) -> None:
    live = open_live(pa.Table.from_pylist([row("a@x.com", "2026-01-03", "P1")], WIDE_SCHEMA))
    with pytest.raises(SettingsError) as error:
        read_live_baseline(live, USERS, cutoff=CUTOFF)
    assert str(error.value) == (
        "HOLLEY_EVALUATION_LIVE_TABLE cannot be the baseline: it was generated from 2026-01-03 on, and what was "
        "generated after the cutoff 2026-01-02 knows what happened in the test window; name a copy of that day or "
        "before, or unset it"
    )


def test_another_table_is_refused_in_one_line(open_live: OpenLive) -> None:
    live = open_live(pa.table({"email_lower": ["a@x.com"], "rank": [1]}))
    with pytest.raises(WarehouseError, match="generated_at") as error:
        read_live_baseline(live, USERS, cutoff=CUTOFF)
    assert "\n" not in str(error.value)
