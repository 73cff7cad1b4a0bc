"""A training graph that knows something of the test window does not pass."""

from __future__ import annotations

import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_run import FinishedRun

from holley_assets.checks.graph_checks import check_training_graph, recounted_tables
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
        ("visitor_demand", "weight", "serving_weight"),
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
