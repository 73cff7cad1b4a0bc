"""Input that leaves little to work with: the run delivers what it can, or leaves the output alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from small_run import FinishedRun, execute_job, failure_of, read_asset

from holley_assets.pipeline import delivery
from holley_assets.ranking.recommendations import wide_table

EVENTS = "ingestion_unified_schema_incremental"
USERS = "ingestion_unified_attributes_schema_incremental"


def rewrite(source: Path, table: str, change: Callable[[pa.Table], pa.Table]) -> None:
    path = source / f"{table}.parquet"
    pq.write_table(change(pq.read_table(path)), path)


def delivered(data_dir: Path) -> pa.Table:
    with duckdb.connect(str(data_dir / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute("SELECT * FROM temp_holley_gnn.recommendations").to_arrow_table()


def without_registered_users(source: Path) -> None:
    """Visitors nobody knows still look at parts; no customer has any interaction, order or click."""
    known = pc.unique(pq.read_table(source / f"{USERS}.parquet", columns=["user_id"])["user_id"])

    def strangers(table: pa.Table) -> pa.Table:
        return table.filter(pc.invert(pc.is_in(table["user_id"], value_set=known)))

    rewrite(source, EVENTS, strangers)
    rewrite(source, "treatment_interaction", strangers)
    rewrite(source, "import_orders", lambda table: table.slice(0, 0))


def test_without_any_interaction_the_job_still_delivers(source: Path, run_settings: Path) -> None:
    without_registered_users(source)
    result = execute_job()
    assert result.success
    assert read_asset(run_settings, "interacts_edges").num_rows == 0
    assert delivered(run_settings).num_rows > 1000
    report = json.loads((run_settings / "latest_eval_report.json").read_text())
    assert report["decision"]["outcome"] == "inconclusive"
    assert report["metrics"]["gnn"]["cold"]["hit_rate@4"] is None, "what does not exist is null, never 0"


def test_a_day_in_the_future_of_all_data_is_told(
    source: Path, run_settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLLEY_AS_OF", "2026-04-15")
    result = execute_job()
    assert result.success
    assert delivered(run_settings).num_rows > 1000
    failed = {
        evaluation.check_name for evaluation in result.get_asset_check_evaluations() if not evaluation.passed
    }
    assert {"events_reach_the_test_window", "test_set_can_decide"} <= failed
    report = json.loads((run_settings / "latest_eval_report.json").read_text())
    assert (report["decision"]["outcome"], report["test_set"]["clicks"]) == ("inconclusive", 0)


def test_where_every_event_is_older_than_the_window_nothing_is_delivered(
    source: Path, run_settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLLEY_AS_OF", "2027-06-01")
    result = execute_job()
    assert not result.success
    assert "some_part_may_be_recommended" in failure_of(result, "parts")
    assert not (run_settings / "warehouse.duckdb").exists()


def test_without_any_image_nothing_is_delivered(source: Path, run_settings: Path) -> None:
    """Images come from events alone, so that no event means no eligible part."""
    rewrite(source, EVENTS, lambda table: table.slice(0, 0))
    result = execute_job()
    assert not result.success
    assert "some_part_may_be_recommended" in failure_of(result, "parts")
    assert not (run_settings / "warehouse.duckdb").exists()


def failed_checks(result: dg.ExecuteInProcessResult) -> list[str]:
    return [
        f"{check.asset_key.to_user_string()}: {check.check_name}"
        for check in result.get_asset_check_evaluations()
        if not check.passed and check.blocking
    ]


def test_a_table_that_lost_rows_stops_the_run_and_leaves_the_output(
    continued_run: tuple[FinishedRun, dg.DagsterInstance],
) -> None:
    run, instance = continued_run
    before = delivered(run.data_dir)
    rewrite(run.source_dir, USERS, lambda table: table.slice(0, table.num_rows // 2))
    for _ in range(2):
        again = execute_job(instance=instance)
        assert not again.success, "a second try is not compared with the first"
        assert failed_checks(again) == ["user_accounts: table_did_not_shrink_since_the_previous_run"]
    assert delivered(run.data_dir).equals(before)


def test_a_smaller_table_passes_when_told_so(
    continued_run: tuple[FinishedRun, dg.DagsterInstance], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, instance = continued_run
    rewrite(run.source_dir, USERS, lambda table: table.slice(0, table.num_rows // 2))
    monkeypatch.setenv("HOLLEY_CHECK_MINIMUM_ROWS_SHARE", "0")
    assert execute_job(instance=instance, only=["time_windows", "user_accounts"]).success


def test_a_broken_rule_stops_the_delivery_and_leaves_the_output(
    continued_run: tuple[FinishedRun, dg.DagsterInstance], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, instance = continued_run
    before = delivered(run.data_dir)
    honest = wide_table

    def careless(*args: Any, **kwargs: Any) -> tuple[pa.Table, dict[str, int]]:
        table, dropped = honest(*args, **kwargs)
        place = table.schema.get_field_index("rec1_price")
        return table.set_column(place, "rec1_price", pa.array(np.full(table.num_rows, 49.99))), dropped

    monkeypatch.setattr(delivery, "wide_table", careless)
    result = execute_job("daily_score", instance=instance, only=["recommendations", "recommendations_table"])
    assert not result.success
    (check,) = [
        check for check in result.get_asset_check_evaluations() if not check.passed and check.blocking
    ]
    assert check.check_name == "every_price_reaches_the_minimum"
    assert check.metadata["violations"].value == before.num_rows
    examples = check.metadata["examples"]
    assert isinstance(examples, dg.TableMetadataValue) and len(examples.records) == 3
    assert "@" not in repr(check.metadata), "an example names nobody"
    assert "recommendations_table" not in [event.step_key for event in result.get_step_success_events()]
    assert delivered(run.data_dir).equals(before)

    # Around the checks: the output alone, in a run without them.
    around = execute_job(instance=instance, only=["recommendations_table"])
    line = failure_of(around, "recommendations_table")
    assert "every_price_reaches_the_minimum failed" in line and "\n" not in line
    assert delivered(run.data_dir).equals(before)


def test_a_file_that_the_checks_did_not_see_is_not_delivered(
    continued_run: tuple[FinishedRun, dg.DagsterInstance],
) -> None:
    run, instance = continued_run
    before = delivered(run.data_dir)
    pq.write_table(run.table("recommendations").slice(1), run.data_dir / "assets" / "recommendations.parquet")
    result = execute_job(instance=instance, only=["recommendations_table"])
    assert "the checks saw" in failure_of(result, "recommendations_table")
    assert delivered(run.data_dir).equals(before)


def test_what_passed_may_be_delivered_again(continued_run: tuple[FinishedRun, dg.DagsterInstance]) -> None:
    run, instance = continued_run
    with duckdb.connect(str(run.data_dir / "warehouse.duckdb")) as connection:
        connection.execute("DROP TABLE temp_holley_gnn.recommendations")
    assert execute_job(instance=instance, only=["recommendations_table"]).success
    assert delivered(run.data_dir).num_rows == run.table("recommendations").num_rows
