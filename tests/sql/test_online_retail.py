"""The real order log, where it is at hand: counts that its README tells, and keys that are keys."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from holley_assets.checks.source_row_checks import check_source_rows, outcomes
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES, validate_source_tables

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "online_retail"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"{FOLDER} is not here")

KEYS = {
    "user_accounts": ["user_id"],
    "user_nodes": ["email_lower"],
    "parts": ["sku"],
    "product_nodes": ["base_sku"],
    "vehicle_nodes": ["make", "model"],
    "interacts_edges": ["email_lower", "base_sku"],
    "fits_edges": ["make", "model", "base_sku"],
    "owns_edges": ["email_lower"],
    "fitment": ["year", "make", "model", "base_sku"],
    "user_purchases": ["email_lower", "base_sku", "order_date"],
    "popularity": ["make", "model", "base_sku"],
}


@pytest.fixture(scope="module")
def tables(
    tmp_path_factory: pytest.TempPathFactory, shop_parameters: dict[str, object]
) -> dict[str, pa.Table]:
    folder = tmp_path_factory.mktemp("online_retail")
    names = [
        "user_accounts",
        "machine_bursts",
        "interaction_events",
        "order_lines",
        "daily_orders",
        "parts",
        "fitment",
        "fits_edges",
        "user_nodes",
        "product_nodes",
        "vehicle_nodes",
        "owns_edges",
        "interacts_edges",
        "user_purchases",
        "popularity",
        "test_clicks",
        "source_rows",
    ]
    warehouse = DuckDBWarehouse(
        sources={table: FOLDER / f"{table}.parquet" for table in SOURCE_TABLES},
        assets={name: folder / f"{name}.parquet" for name in names},
        database=folder / "warehouse.duckdb",
        temporary_directory=folder / "tmp",
    )
    validate_source_tables(warehouse)
    parameters = shop_parameters | {
        "as_of": datetime.date(2011, 12, 10),
        "cutoff": datetime.date(2011, 11, 10),
        "intent_start": datetime.date(2011, 6, 1),
    }
    dropped = {
        name: warehouse.query_to_parquet(name, parameters, folder / f"{name}.parquet").dropped
        for name in names
    }
    # 17,563 clicks; 1,060 of them are further orders of a part by one customer.
    assert dropped["machine_bursts"] == {}
    assert dropped["test_clicks"] == {"another click of the user on the part": 1060}
    return {name: pq.read_table(folder / f"{name}.parquet") for name in names}


def test_counts_are_those_of_its_readme(tables: dict[str, pa.Table]) -> None:
    assert tables["user_nodes"].num_rows == 4334
    assert tables["parts"].num_rows == 3659
    assert tables["test_clicks"].num_rows == 17_563 - 1060
    assert pc.count_distinct(tables["test_clicks"]["email_lower"]).as_py() == 1423


@pytest.mark.parametrize("table", KEYS)
def test_keys_are_unique_sorted_and_not_null(tables: dict[str, pa.Table], table: str) -> None:
    keys = tables[table].select(KEYS[table])
    assert all(column.null_count == 0 for column in keys.columns)
    assert keys.group_by(KEYS[table]).aggregate([]).num_rows == keys.num_rows
    assert keys.equals(keys.sort_by([(name, "ascending") for name in KEYS[table]]))


def test_every_product_was_seen_with_price_and_image(tables: dict[str, pa.Table]) -> None:
    assert tables["parts"]["price"].null_count == 0
    assert tables["parts"]["image"].null_count == 0


def test_its_rows_add_up_and_its_parts_are_known(tables: dict[str, pa.Table]) -> None:
    rows = tables["source_rows"]
    (added,) = check_source_rows(rows, 0.0)
    assert added.passed, added.description
    found = outcomes(rows)
    assert found["import_orders"] == {"in": 141_765, "kept": 140_955, "duplicate row": 810}
    assert found["treatment_interaction"]["kept"] == tables["test_clicks"].num_rows
    assert all("product unknown" not in counts for counts in found.values())
    assert "fits no vehicle" not in found["import_items"]


def test_each_product_fits_four_families(tables: dict[str, pa.Table]) -> None:
    assert tables["vehicle_nodes"].num_rows == 24
    assert pc.mode(tables["product_nodes"]["fitment_breadth"])[0]["mode"].as_py() == 4
