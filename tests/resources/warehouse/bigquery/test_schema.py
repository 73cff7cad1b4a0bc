"""Schemas survive the way to BigQuery and back."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from bigquery_emulator import BigQueryEmulator

from holley_assets.resources.warehouse.bigquery.schema import (
    columns_of_schema,
    schema_of_arrow,
    schema_of_columns,
)
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES

EVENTS = "ingestion_unified_schema_incremental"


def test_every_source_table_survives() -> None:
    for table in SOURCE_TABLES.values():
        found = columns_of_schema(schema_of_columns(table.columns))
        assert found == {
            name: kind[0] if isinstance(kind, tuple) else kind for name, kind in table.columns.items()
        }


def test_nested_rows_reach_the_emulator(bigquery_emulator: BigQueryEmulator, tmp_path: Path) -> None:
    event_properties = [{"property_name": "Price", "string_value": "12.5", "double_value": 12.5}]
    table = pa.Table.from_pylist([{"user_id": "u", "event_properties": event_properties}])
    pq.write_table(table, tmp_path / "events.parquet")
    bigquery_emulator.load_parquet("schemas", EVENTS, tmp_path / "events.parquet")
    with bigquery_emulator.client() as client:
        described = client.get_table(f"schemas.{EVENTS}")
        assert (described.num_rows, columns_of_schema(described.schema)) == (
            1,
            columns_of_schema(schema_of_arrow(table.schema)),
        )
        (row,) = client.query(
            f"SELECT user_id, property.double_value FROM `schemas.{EVENTS}` JOIN UNNEST(event_properties) AS property"
        ).result()
        assert tuple(row) == ("u", 12.5)
