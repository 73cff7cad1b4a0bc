"""Shops to write by hand, and what their queries ask for."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sql.remembering_warehouse import RememberingWarehouse
from sql.shop import GRAPH_TABLES, PARAMETERS, OpenShop, Row, RunAlone, Shop


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A shop without any row."""
    return Shop(tmp_path)


@pytest.fixture
def open_shop(tmp_path: Path) -> OpenShop:
    """Opens shops in folders of their own, to compare them."""

    def open_in(name: str) -> Shop:
        folder = tmp_path / name
        folder.mkdir()
        return Shop(folder)

    return open_in


@pytest.fixture
def run_alone(shop: Shop) -> RunAlone:
    """Runs one query over tables that are given, and the shop's sources."""

    def run(name: str, tables: dict[str, pa.Table], **parameters: object) -> list[Row]:
        shop.write()
        assets = {table: shop.folder / f"{table}.asset.parquet" for table in {*tables, name}}
        for table, rows in tables.items():
            pq.write_table(rows, assets[table])
        warehouse = RememberingWarehouse(
            sources={table: shop.folder / f"{table}.parquet" for table in shop.rows},
            assets=assets,
            database=shop.folder / "warehouse.duckdb",
            temporary_directory=shop.folder / "tmp",
        )
        warehouse.query_to_parquet(name, {**PARAMETERS, **parameters}, assets[name])
        found: list[Row] = pq.read_table(assets[name]).to_pylist()
        return found

    return run


@pytest.fixture(scope="session")
def shop_parameters() -> dict[str, object]:
    """Parameters of all queries of the graph."""
    return dict(PARAMETERS)


@pytest.fixture
def graph_tables() -> list[str]:
    """Names of all tables."""
    return GRAPH_TABLES
