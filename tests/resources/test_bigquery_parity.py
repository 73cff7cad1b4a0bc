"""The same dirty source tables through DuckDB and through BigQuery's emulator: the same tables, row for row."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from bigquery_emulator import BigQueryEmulator

from holley_assets.assets.table_specs import TABLE_SPECS
from holley_assets.resources.bigquery_warehouse import BigQueryWarehouse
from holley_assets.resources.duckdb_warehouse import DuckDBWarehouse
from holley_assets.resources.source_tables import SOURCE_TABLES
from holley_assets.resources.sql_files import read_query
from holley_assets.resources.transpile import to_duckdb
from holley_assets.resources.warehouse import QueryResult, Warehouse
from holley_assets.sample_data import generate_sample
from holley_assets.settings import BigQuerySettings, RuleSettings, RunSettings

AS_OF = datetime.date(2026, 2, 1)
INTENT_START = datetime.date(2025, 9, 1)
PARAMETERS: dict[str, object] = {
    **RuleSettings().model_dump(),
    **RunSettings().model_dump(),
    "as_of": AS_OF,
    "cutoff": datetime.date(2026, 1, 2),
    "intent_start": INTENT_START,
}


def upstream_first() -> list[str]:
    """Every graph table, after those that it is made of."""
    ordered: list[str] = []

    def visit(name: str) -> None:
        for _, table in sorted(to_duckdb(read_query(name)).tables):
            if table in names:
                visit(table)
        if name not in ordered:
            ordered.append(name)

    names = {spec.name for spec in TABLE_SPECS}
    for name in sorted(names):
        visit(name)
    return ordered


def make_tables(warehouse: Warehouse, folder: Path) -> dict[str, QueryResult]:
    return {
        name: warehouse.query_to_parquet(name, PARAMETERS, folder / f"{name}.parquet")
        for name in upstream_first()
    }


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parity") / "sample"
    generate_sample(
        folder, users=300, kind="segment", seed=0, as_of=AS_OF, intent_start=INTENT_START, test_days=30
    )
    return folder


def test_every_graph_table_is_the_same_on_both(
    bigquery_emulator: BigQueryEmulator, sample: Path, tmp_path: Path
) -> None:
    bigquery_emulator.load_sources(sample)
    settings = BigQuerySettings(project=bigquery_emulator.project, working_dataset="parity")
    with bigquery_emulator.client() as client:
        client.create_dataset("parity")
        expected = make_tables(
            DuckDBWarehouse(
                sources={table: sample / f"{table}.parquet" for table in SOURCE_TABLES},
                assets={name: tmp_path / "duckdb" / f"{name}.parquet" for name in upstream_first()},
                database=tmp_path / "warehouse.duckdb",
                temporary_directory=tmp_path / "tmp",
            ),
            tmp_path / "duckdb",
        )
        found = make_tables(
            BigQueryWarehouse(client, None, settings, snapshots=1, temporary_directory=tmp_path / "tmp"),
            tmp_path / "bigquery",
        )
    assert sum(result.rows > 0 for result in expected.values()) == len(expected), "no table is empty"
    for name, result in expected.items():
        table, emulated = pq.read_table(result.path), pq.read_table(found[name].path)
        assert emulated.schema.equals(table.schema), name
        assert emulated.equals(table), f"{name}: {emulated.num_rows} rows, expected {table.num_rows}"
        assert found[name].dropped == result.dropped, name
