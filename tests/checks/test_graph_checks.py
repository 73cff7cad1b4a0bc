"""A training graph that knows something of the test window does not pass."""

from __future__ import annotations

import datetime
import shutil
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_run import FinishedRun

from holley_assets.checks.graph_checks import check_training_graph, check_visitor_demand, recounted_tables
from holley_assets.core.time_windows import (
    TimeWindows,
)


@pytest.fixture
def tables(weekly_run: FinishedRun, tmp_path: Path) -> dict[str, Path]:
    """Copies of the small run's tables."""
    for name in recounted_tables():
        shutil.copy(weekly_run.data_dir / "assets" / f"{name}.parquet", tmp_path)
    return {name: tmp_path / f"{name}.parquet" for name in recounted_tables()}


def passes(run: FinishedRun, tables: dict[str, Path], interactions: int = 0) -> bool:
    cutoff = TimeWindows.from_table(run.table("time_windows")).cutoff
    (result,) = check_training_graph(tables, cutoff=cutoff, interactions=interactions)
    return bool(result.passed)


def test_the_run_s_own_tables_pass(weekly_run: FinishedRun, tables: dict[str, Path]) -> None:
    assert passes(weekly_run, tables)


@pytest.mark.parametrize(
    ("table", "training", "serving"),
    [
        ("interacts_edges", "weight", "serving_weight"),
        ("product_nodes", "log_popularity", "serving_log_popularity"),
        ("product_nodes", "log_visitors", "serving_log_visitors"),
        ("user_nodes", "engagement_tier", "serving_engagement_tier"),
        ("co_purchased_edges", "weight", "serving_weight"),
        ("co_viewed_edges", "weight", "serving_weight"),
    ],
)
def test_columns_of_the_serving_view_in_the_training_view_are_found(
    weekly_run: FinishedRun, tables: dict[str, Path], table: str, training: str, serving: str
) -> None:
    content = pq.read_table(tables[table])
    assert content[training].to_pylist() != content[serving].to_pylist()
    leaked = content.set_column(content.schema.get_field_index(training), training, content[serving])
    pq.write_table(leaked, tables[table])
    assert not passes(weekly_run, tables)


def test_demand_of_the_serving_view_in_the_training_view_is_found(
    weekly_run: FinishedRun, tmp_path: Path
) -> None:
    cutoff = TimeWindows.from_table(weekly_run.table("time_windows")).cutoff
    files = {
        name: weekly_run.data_dir / "assets" / f"{name}.parquet"
        for name in ("visitor_demand", "interaction_events", "order_lines", "user_nodes")
    }
    assert check_visitor_demand(files, cutoff=cutoff).passed
    demand = pq.read_table(files["visitor_demand"])
    assert demand["weight"].to_pylist() != demand["serving_weight"].to_pylist()
    place = demand.schema.get_field_index("weight")
    leaked = tmp_path / "visitor_demand.parquet"
    pq.write_table(demand.set_column(place, "weight", demand["serving_weight"]), leaked)
    found = check_visitor_demand({**files, "visitor_demand": leaked}, cutoff=cutoff)
    assert not found.passed
    assert found.asset_key == dg.AssetKey("visitor_demand")


def test_demand_of_more_visitors_than_there_were_is_found(tmp_path: Path) -> None:
    """One visitor came the day before the cutoff, another on it; then a thousandth of a visitor is too many."""
    cutoff = datetime.date(2026, 2, 1)
    tables = {
        "interaction_events": {
            "event_date": [cutoff - datetime.timedelta(days=1), cutoff],
            "email_lower": pa.nulls(2, pa.string()),
            "user_id": ["one", "two"],
            "base_sku": ["A", "A"],
        },
        "order_lines": {
            "order_date": pa.array([], pa.date32()),
            "buyer": pa.array([], pa.string()),
            "base_sku": pa.array([], pa.string()),
            "counts_in_popularity": pa.array([], pa.bool_()),
        },
        "user_nodes": {"email_lower": ["a@example.com"]},
    }
    files = {name: tmp_path / f"{name}.parquet" for name in (*tables, "visitor_demand")}
    for name, columns in tables.items():
        pq.write_table(pa.table(columns), files[name])
    for weights, passes_check in (([0.25, 0.75], True), ([0.251, 0.75], False)):
        demand = {"year": [1969, 1970], "base_sku": ["A", "A"], "weight": weights}
        pq.write_table(pa.table(demand), files["visitor_demand"])
        assert check_visitor_demand(files, cutoff=cutoff).passed == passes_check


def test_a_visitor_too_many_is_found(weekly_run: FinishedRun, tables: dict[str, Path]) -> None:
    content = pq.read_table(tables["visitor_parts"])
    visitors = content["visitors"].to_numpy() + 10**6
    more = content.set_column(content.schema.get_field_index("visitors"), "visitors", pa.array(visitors))
    pq.write_table(more, tables["visitor_parts"])
    assert not passes(weekly_run, tables)


def test_more_interactions_than_there_were_are_found(
    weekly_run: FinishedRun, tables: dict[str, Path]
) -> None:
    many = (
        pq.read_table(tables["interacts_edges"]).num_rows + pq.read_table(tables["user_purchases"]).num_rows
    )
    assert not passes(weekly_run, tables, interactions=many + 1)


def test_without_any_interaction_there_is_nothing_to_leak(
    weekly_run: FinishedRun, tables: dict[str, Path]
) -> None:
    for name in ("interacts_edges", "co_purchased_edges", "user_purchases"):
        pq.write_table(pq.read_table(tables[name]).slice(0, 0), tables[name])
    assert passes(weekly_run, tables)
    assert isinstance(pq.read_table(tables["interacts_edges"]), pa.Table)
