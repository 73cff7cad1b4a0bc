"""The serving table in production: the arms, the kill switch, an experiment, the versions that are kept."""

from __future__ import annotations

import datetime
import json
import re
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from experiment_world import declaration_text
from small_run import execute_job, failure_of

from holley_assets.assets import publisher
from holley_assets.assets.serving_plan import present_plan
from holley_assets.ranking.arms import user_buckets
from holley_assets.resources.serving_switch import record_decision
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.warehouse.interface import Warehouse
from production.production_world import OUTPUT, Production, Weekly, rows_by_email

EXPERIMENT = declaration_text()
NOON = datetime.datetime(2026, 2, 1, 12, tzinfo=datetime.UTC)


def test_the_champion_fills_its_arm_of_the_serving_table(serving: pa.Table, weekly: Weekly) -> None:
    buckets = user_buckets(serving["email_lower"], "holley").to_pylist()
    versions = {"graph": weekly.model_version, "sql": "sql"}
    rows = serving.to_pylist()
    assert {row["arm"] for row in rows} == set(versions)
    for row, bucket in zip(rows, buckets, strict=True):
        assert row["arm"] == row["assigned_arm"] == ("graph" if bucket < 5000 else "sql")
        assert row["model_version"] == versions[row["arm"]]


def test_both_arms_are_what_was_staged(production: Production, serving: pa.Table) -> None:
    staged = {
        "graph": rows_by_email(production.asset("recommendations")),
        "sql": rows_by_email(production.asset("sql_recommendations")),
    }
    for row in serving.to_pylist():
        arm = row.pop("arm")
        del row["assigned_arm"]
        assert row == staged[arm][row["email_lower"]]


def test_a_pulled_switch_stops_the_publication_within_its_statement(
    production: Production, serving: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLLEY_SERVING_MODE", "ab")
    settings = SettingsResource().load()
    asked = present_plan

    def ask_then_pull(warehouse: Warehouse, *others: Any) -> Any:
        present = asked(warehouse, *others)
        record_decision(warehouse, settings, "on", by="ada", reason="wrong parts", run_id="in between")
        return present

    with production.instance() as instance, monkeypatch.context() as patched:
        patched.setattr(publisher, "present_plan", ask_then_pull)
        result = execute_job("daily_score", instance=instance, only=["serving_table"])
    assert "the kill switch is on since" in failure_of(result, "serving_table")
    assert rows_by_email(production.served()) == rows_by_email(serving)
    with production.instance() as instance:
        assert execute_job(
            "daily_score", instance=instance, only=["mixed_recommendations", "serving_table"]
        ).success
    switched = production.served()
    assert set(switched["arm"].to_pylist()) == {"sql"}
    assert set(switched["assigned_arm"].to_pylist()) == {"graph", "sql"}


def readout_of(production: Production, run_id: str) -> dict[str, Any]:
    key = production.store().artifact_key(run_id, "experiment_readout.json")
    return dict(json.loads(production.store().local_path(key).read_text()))


def test_an_experiment_is_logged_and_read_by_what_was_published_and_by_what_was_sent(
    production: Production, serving: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spring.toml"
    path.write_text(EXPERIMENT)
    monkeypatch.setenv("HOLLEY_SERVING_MODE", "ab")
    monkeypatch.setenv("HOLLEY_SERVING_EXPERIMENT", "spring")
    monkeypatch.setenv("HOLLEY_EXPERIMENT_DECLARATION", str(path))
    with production.instance() as instance:
        before = execute_job("read_experiment", instance=instance)
        assert before.success
        (observation,) = before.get_asset_observation_events()
        plan = str(observation.event_specific_data.asset_observation.description)  # type: ignore[union-attr]
        users = production.asset("recommendations").num_rows
        assert "Power plan: A change of 10 % needs" in plan and f"with the {users:,} users" in plan
        for only in (["mixed_recommendations", "serving_table"], ["serving_table"]):
            assert execute_job("daily_score", instance=instance, only=only).success
        read = execute_job("read_experiment", instance=instance)
    assert read.success
    served = production.served()
    log = production.table("holley_serving", "experiment_exposures")
    assert rows_by_email(log).keys() == rows_by_email(served).keys() and log.num_rows == served.num_rows
    for email, row in rows_by_email(log).items():
        shown = rows_by_email(served)[email]
        assert (row["assigned_arm"], row["received_arm"]) == (shown["assigned_arm"], shown["arm"])
        assert row["rec_part_1"] == shown["rec_part_1"]
    with production.bigquery.client() as client:
        table = client.get_table("holley_serving.experiment_exposures")
    assert table.time_partitioning.field == "exposure_day"
    assert production.table("holley_serving", "experiment_declarations").num_rows == 1
    outcomes = production.asset("experiment_outcomes")
    assert outcomes.num_rows == log.num_rows
    readout = readout_of(production, read.run_id)
    assert readout["decision"]["outcome"] == "keep running" and readout["exposure_source"] == "published"
    assert readout["traffic"]["users"] == log.num_rows

    # A table of the mails that were really sent, in a dataset and with columns of its own.
    mailed = sorted(rows_by_email(served))[:9]
    sends = pa.table(
        {"Recipient": [*mailed, mailed[0], "else@x.com"], "SentAt": [NOON] * 11, "Campaign": [7] * 11}
    )
    pq.write_table(sends, tmp_path / "sent.parquet")
    production.bigquery.load_parquet("mails", "sent", tmp_path / "sent.parquet")
    for name, value in (("TABLE", "mails.sent"), ("EMAIL_COLUMN", "Recipient"), ("TIME_COLUMN", "SentAt")):
        monkeypatch.setenv(f"HOLLEY_EXPERIMENT_SENDS_{name}", value)
    with production.instance() as instance:
        read = execute_job("read_experiment", instance=instance)
    assert read.success
    assert production.asset("experiment_outcomes")["email_lower"].to_pylist() == mailed
    readout = readout_of(production, read.run_id)
    assert readout["exposure_source"] == "sent" and readout["traffic"]["users"] == 9
    (outcomes_shown,) = [
        event.step_materialization_data.materialization.metadata
        for event in read.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey("experiment_outcomes")
    ]
    assert outcomes_shown["sends"].value == 9
    assert outcomes_shown["sends_dropped"].value == {"duplicate row": 1, "not in the delivery": 1}


def test_the_table_before_stays_as_a_snapshot(
    production: Production, serving: pa.Table, weekly: Weekly
) -> None:
    with production.bigquery.client() as client:
        names = [item.table_id for item in client.list_tables(OUTPUT)]
    (snapshot,) = [name for name in names if re.fullmatch(r"recommendations_\d{8}T\d{9}", name)]
    assert rows_by_email(production.table(OUTPUT, snapshot)) == rows_by_email(weekly.delivered)


def test_a_missing_dataset_ends_the_run_before_any_query_is_paid(
    production: Production, weekly: Weekly
) -> None:
    with production.instance() as instance, pytest.MonkeyPatch.context() as patched:
        patched.setenv("HOLLEY_SERVING_MODE", "ab")
        patched.setenv("HOLLEY_SERVING_DATASET", "nowhere")
        result = execute_job("daily_score", instance=instance)
    assert failure_of(result, "time_windows") == (
        "dataset holley-emulated.nowhere does not exist: create it in US"
    )
    with production.bigquery.client() as client:
        assert result.run_id not in {job.labels.get("run_id") for job in client.list_jobs(page_size=10_000)}
