"""What an engine says of a failure keeps table, column and count, and loses every value."""

from __future__ import annotations

import traceback
from pathlib import Path

import google.api_core.exceptions as google_errors
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holley_assets.checks.violations import find_violations, open_tables
from holley_assets.resources.warehouse.bigquery.client import readable_errors
from holley_assets.resources.warehouse.bigquery.reads import sort_parquet
from holley_assets.resources.warehouse.duckdb import warehouse as warehouse_module
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.resources.warehouse.sql_files import Query

ADDRESS = "ann.smith@example.com"


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    pq.write_table(pa.table({"email_lower": [ADDRESS, "Ann Smith"]}), tmp_path / "user_nodes.parquet")
    # A byte that is no character, as an export in another encoding has it.
    broken = pa.array([ADDRESS.encode() + b"\xff"]).view(pa.binary())
    column = pa.StringArray.from_buffers(1, broken.buffers()[1], broken.buffers()[2])
    pq.write_table(pa.table({"email_lower": column}), tmp_path / "broken.parquet")
    return DuckDBWarehouse(
        sources={},
        assets={name: tmp_path / f"{name}.parquet" for name in ("user_nodes", "broken")},
        database=tmp_path / "warehouse.duckdb",
        temporary_directory=tmp_path / "tmp",
    )


def said(error: BaseException) -> str:
    """Everything that a log or Dagster's event log keeps of an error."""
    return "".join(traceback.format_exception(error, chain=True, limit=0)) + str(error)


@pytest.mark.parametrize(
    ("select", "table"),
    [
        ("SELECT CAST(email_lower AS INT64) AS x FROM `temp_holley_gnn.user_nodes`", "user_nodes"),
        ("SELECT CAST(email_lower AS DATE) AS x FROM `temp_holley_gnn.user_nodes`", "user_nodes"),
        ("SELECT CAST(email_lower AS TIMESTAMP) AS x FROM `temp_holley_gnn.user_nodes`", "user_nodes"),
        ("SELECT PARSE_DATE('%A', email_lower) AS x FROM `temp_holley_gnn.user_nodes`", "user_nodes"),
        ("SELECT ERROR(email_lower) AS x FROM `temp_holley_gnn.user_nodes`", "user_nodes"),
        ("SELECT UPPER(email_lower) AS x FROM `temp_holley_gnn.broken`", "broken"),
    ],
)
def test_a_query_that_fails_on_a_value(
    warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, select: str, table: str
) -> None:
    monkeypatch.setattr(warehouse_module, "read_query", lambda name, _: Query(name, (), select))
    with pytest.raises(WarehouseError) as raised:
        warehouse.query_to_parquet("result", {}, tmp_path / "result.parquet")
    text = said(raised.value)
    assert f"query result, which reads {table}, failed: " in str(raised.value)
    assert "smith" not in text.lower() and "\n" not in str(raised.value)


def test_a_table_that_cannot_be_staged(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    with pytest.raises(WarehouseError, match=r"writing .*warehouse.duckdb failed") as raised:
        warehouse.replace_table("out", "broken", tmp_path / "broken.parquet")
    assert "smith" not in said(raised.value)


def test_a_check_and_a_sort_that_fail_on_a_value(warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
    with open_tables({"users": tmp_path / "user_nodes.parquet"}) as connection:
        with pytest.raises(WarehouseError, match="a check failed") as raised:
            find_violations(connection, "SELECT CAST(email_lower AS INTEGER) AS x FROM users")
        assert "smith" not in said(raised.value)
    with pytest.raises(WarehouseError, match=r"sorting sorted\.parquet failed") as raised:
        sort_parquet(
            tmp_path / "broken.parquet", tmp_path / "sorted.parquet", "email_lower", tmp_path / "tmp"
        )
    assert "smith" not in said(raised.value)


@pytest.mark.parametrize(
    "answer",
    [
        google_errors.BadRequest(f"Bad int64 value: {ADDRESS}"),
        google_errors.BadRequest(f"POST https://x/y: Could not cast literal \"{ADDRESS}\" to type DATE"),
        google_errors.BadRequest(f"Invalid date: '{ADDRESS}'\nerror stream: {ADDRESS}"),
        google_errors.InternalServerError(f"row 7 of {ADDRESS}"),
        google_errors.RetryError("timed out", google_errors.TooManyRequests(f"string: {ADDRESS}")),
    ],
)  # fmt: skip
def test_what_bigquery_quotes_of_its_data(answer: Exception) -> None:
    with (
        pytest.raises(WarehouseError, match="BigQuery: query fitment") as raised,
        readable_errors("query fitment"),
    ):
        raise answer
    assert "smith" not in said(raised.value) and "\n" not in str(raised.value)
