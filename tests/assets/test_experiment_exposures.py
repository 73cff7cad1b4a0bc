"""An experiment from its declaration to its readout, on a copy of the small weekly run."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from experiment_world import declaration_text
from mlflow.tracking import MlflowClient
from promotion import promote_version
from small_run import FinishedRun, execute_job, failure_of

from holley_assets.ranking.arms import user_buckets
from holley_assets.resources.warehouse.exposures import EXPOSURES_SCHEMA

TIER = ("email_lower", "serving_engagement_tier")
ONLY = ["mixed_recommendations", "serving_table"]
DECLARATION = declaration_text()


class Delivery:
    """Stages and publishes the serving table of the weekly run, whose model is the champion."""

    def __init__(self, run: FinishedRun, instance: dg.DagsterInstance) -> None:
        self.run, self.instance = run, instance
        promote_version(run.table("trained_checkpoint")["model_version"][0].as_py())

    def deliver(self) -> dg.ExecuteInProcessResult:
        return execute_job("daily_score", instance=self.instance, only=ONLY)

    def publish(self) -> dg.ExecuteInProcessResult:
        """What was staged, once more."""
        return execute_job("daily_score", instance=self.instance, only=["serving_table"])

    def table(self, name: str) -> pa.Table:
        with duckdb.connect(str(self.run.data_dir / "warehouse.duckdb"), read_only=True) as connection:
            try:
                return connection.execute(f"FROM holley_serving.{name} ORDER BY email_lower").to_arrow_table()
            except duckdb.CatalogException:
                return pa.table({})


def mlflow_client(data_dir: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{data_dir}/mlflow.db")


@pytest.fixture
def delivery(
    continued_run: tuple[FinishedRun, dg.DagsterInstance], monkeypatch: pytest.MonkeyPatch
) -> Delivery:
    for name, value in (("MODE", "ab"), ("EXPERIMENT", "spring")):
        monkeypatch.setenv(f"HOLLEY_SERVING_{name}", value)
    return Delivery(*continued_run)


def test_deliveries_of_a_day_leave_one_row_a_user(
    delivery: Delivery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert delivery.deliver().success
    assert delivery.table("experiment_exposures").num_rows == 0, "no experiment is declared"

    path = tmp_path / "spring.toml"
    path.write_text(DECLARATION)
    monkeypatch.setenv("HOLLEY_EXPERIMENT_DECLARATION", str(path))
    runs = [delivery.publish(), delivery.publish()]
    assert all(run.success for run in runs)
    served, log = delivery.table("email_recommendations"), delivery.table("experiment_exposures")
    assert log.column_names == EXPOSURES_SCHEMA.names
    for name in ("email_lower", "assigned_arm", "model_version", "rec_part_1", "rec_part_4"):
        assert log[name].equals(served[name]), name
    assert log["received_arm"].equals(served["arm"])
    assert set(log["assigned_arm"].to_pylist()) == {"graph", "sql"}
    assert {str(day) for day in log["exposure_day"].unique().to_pylist()} == {"2026-02-01"}
    assert log["share"].unique().to_pylist() == [0.5]
    assert log["run_id"].unique().to_pylist() == [runs[1].run_id], "the last delivery"
    of_graph = log.filter(pc.equal(log["received_arm"], "graph"))
    assert of_graph["system"].unique().to_pylist() == ["gnn"]

    path.write_text(DECLARATION.replace("click_rate", "conversion"))
    refused = delivery.publish()
    assert not refused.success
    assert failure_of(refused, "serving_table").startswith(
        "Not published, the previous table stays: experiment spring has started and its declaration is frozen: "
        "primary_metric is conversion and was click_rate"
    )
    assert delivery.table("experiment_exposures").equals(log)

    path.write_text(DECLARATION)
    killed = execute_job(
        "serve_sql_only",
        instance=delivery.instance,
        only=["serving_switch", *ONLY],
        config={"serving_switch": {"by": "ada", "reason": "a test"}},
    )
    assert killed.success
    switched = delivery.table("experiment_exposures")
    assert switched["assigned_arm"].equals(log["assigned_arm"])
    assert switched["received_arm"].unique().to_pylist() == ["sql"]


@pytest.mark.parametrize(("mode", "percent"), [("rollout", 25), ("ab", 50)])
def test_an_experiment_whose_readout_says_harm_returns_to_the_sql_pipeline(
    delivery: Delivery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, percent: int
) -> None:
    path = tmp_path / "spring.toml"
    path.write_text(DECLARATION)
    monkeypatch.setenv("HOLLEY_EXPERIMENT_DECLARATION", str(path))
    monkeypatch.setenv("HOLLEY_SERVING_MODE", mode)
    monkeypatch.setenv("HOLLEY_SERVING_SHARE", "25")
    kept = delivery.run.data_dir / "experiments" / "spring.json"
    kept.parent.mkdir()
    kept.write_text(
        json.dumps(
            {"decision": {"outcome": "harm"}, "next_share": {"share": 0.0, "reason": "Clicks are fewer."}}
        )
    )
    assert delivery.deliver().success
    log = delivery.table("experiment_exposures")
    assert delivery.table("email_recommendations")["arm"].unique().to_pylist() == ["sql"]
    assert log["received_arm"].unique().to_pylist() == ["sql"]
    assert log["share"].unique().to_pylist() == [percent / 100]
    buckets = user_buckets(log["email_lower"], "holley:spring").to_pylist()
    assert log["assigned_arm"].to_pylist() == [
        "graph" if bucket < percent * 100 else "sql" for bucket in buckets
    ]


def test_without_an_experiment_the_job_says_so_and_ends_well(
    continued_run: tuple[FinishedRun, dg.DagsterInstance], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, instance = continued_run
    path = tmp_path / "spring.toml"
    path.write_text(DECLARATION)
    for declaration, said in (
        (None, "there is no experiment: HOLLEY_EXPERIMENT_DECLARATION is not set"),
        (
            str(path),
            "experiment spring has not started: it does with the first delivery to customers on or after",
        ),
    ):
        if declaration:
            monkeypatch.setenv("HOLLEY_EXPERIMENT_DECLARATION", declaration)
        result = execute_job("read_experiment", instance=instance)
        assert result.success
        assert not result.get_asset_materialization_events()
        (observation,) = result.get_asset_observation_events()
        description = str(observation.event_specific_data.asset_observation.description)  # type: ignore[union-attr]
        assert said in description
        # Who would be shown the parts, and how many of them clicked in the week before the run's day.
        assert ("Power plan: A change of 10 % needs " in description) is (declaration is not None)
        assert (f"with the {run.table('recommendations').num_rows:,} users" in description) is (
            declaration is not None
        )
        assert ("in the 7 days from 2026-01-25 on" in description) is (declaration is not None)
        assert {event.step_key for event in result.all_events if event.is_step_skipped} == {
            "experiment_readout"
        }


def test_with_a_table_of_sends_who_was_sent_a_mail_was_exposed(
    delivery: Delivery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spring.toml"
    path.write_text(DECLARATION)
    monkeypatch.setenv("HOLLEY_EXPERIMENT_DECLARATION", str(path))
    monkeypatch.setenv("HOLLEY_EXPERIMENT_SENDS_TABLE", "mails.sent")
    monkeypatch.setenv("HOLLEY_EXPERIMENT_SENDS_EMAIL_COLUMN", "Recipient")
    monkeypatch.setenv("HOLLEY_EXPERIMENT_SENDS_TIME_COLUMN", "SentDay")
    assert delivery.deliver().success

    missing = execute_job("read_experiment", instance=delivery.instance)
    said = failure_of(missing, "experiment_outcomes")
    assert said.startswith(
        "HOLLEY_EXPERIMENT_SENDS_TABLE=mails.sent, HOLLEY_EXPERIMENT_SENDS_EMAIL_COLUMN=Recipient, "
        "HOLLEY_EXPERIMENT_SENDS_TIME_COLUMN=SentDay: query shown_exposures reads experiment_sends, which is missing"
    )
    # The copied run's own source tables, not those of the run that all tests share.
    folder, windows = delivery.run.source_dir, delivery.run.table("time_windows")
    place = windows.column_names.index("source_location")
    pq.write_table(
        windows.set_column(place, windows.schema.field(place), [[str(folder)] * windows.num_rows]),
        delivery.run.data_dir / "assets" / "time_windows.parquet",
    )
    served = delivery.table("email_recommendations")["email_lower"].to_pylist()
    sends = pa.table({"Recipient": [*served[:9], "else@x.com"], "SentDay": [datetime.date(2026, 2, 1)] * 10})
    pq.write_table(sends.rename_columns(["Recipient", "Day"]), folder / "sent.parquet")
    other = execute_job("read_experiment", instance=delivery.instance)
    said = failure_of(other, "experiment_outcomes")
    assert "SentDay" in said.partition(": ")[2] and "\n" not in said

    pq.write_table(sends, folder / "sent.parquet")
    result = execute_job("read_experiment", instance=delivery.instance)
    assert result.success
    assert delivery.run.table("experiment_outcomes")["email_lower"].to_pylist() == served[:9]
    readout = json.loads((delivery.run.run_folder(result.run_id) / "experiment_readout.json").read_text())
    assert readout["exposure_source"] == "sent" and readout["traffic"]["users"] == 9
    metadata = {
        event.asset_key.to_user_string(): event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key is not None
    }
    assert metadata["experiment_outcomes"]["sends"].value == 9
    assert metadata["experiment_outcomes"]["sends_dropped"].value == {"not in the delivery": 1}
    assert "on which a mail was sent" in str(metadata["experiment_readout"]["readout"].value)


def test_the_first_delivery_is_read_on_its_day(
    delivery: Delivery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are exposed on the first day, and data end before it: nobody has done anything since."""
    path = tmp_path / "spring.toml"
    path.write_text(f"{DECLARATION}\n[windows]\nclick_days = 7\norder_days = 90\n")
    monkeypatch.setenv("HOLLEY_EXPERIMENT_DECLARATION", str(path))
    assert delivery.deliver().success
    result = execute_job("read_experiment", instance=delivery.instance)
    assert result.success
    served = delivery.table("email_recommendations")
    outcomes = delivery.run.table("experiment_outcomes")
    assert outcomes["email_lower"].equals(served["email_lower"])
    assert outcomes["assigned_arm"].equals(served["assigned_arm"])
    assert pc.sum(outcomes["clicks"]).as_py() == 0 and pc.sum(outcomes["orders"]).as_py() == 0
    lines = delivery.run.table("order_lines")
    known = pc.is_in(lines["email_lower"], value_set=served["email_lower"].combine_chunks())
    recent = pc.greater_equal(lines["order_date"], pa.scalar(datetime.date(2025, 11, 3)))
    counted = pc.and_(pc.and_(known, recent), lines["counts_as_order"])
    assert pc.sum(outcomes["orders_before"]).as_py() == pc.sum(counted).as_py() > 0
    tiers = dict(zip(*(delivery.run.table("user_nodes")[name].to_pylist() for name in TIER), strict=True))
    assert outcomes["tier"].to_pylist() == [tiers[user] for user in outcomes["email_lower"].to_pylist()]

    folder = delivery.run.run_folder(result.run_id)
    readout = json.loads((folder / "experiment_readout.json").read_text())
    assert readout["decision"]["outcome"] == "keep running"
    assert readout["traffic"]["users"] == served.num_rows
    assert "spring" in (folder / "experiment_readout.html").read_text()
    assert (delivery.run.data_dir / "experiments" / "spring.json").read_text() == (
        folder / "experiment_readout.json"
    ).read_text()
    checks = {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
    assert checks == {
        "both_arms_have_their_users": True,
        "graph_does_no_harm": True,
        "experiment_is_not_over": True,
    }
    (shown,) = [
        event.step_materialization_data.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey("experiment_readout")
    ]
    assert shown["decision"].value == "keep running"
    assert str(shown["next_share"].value).startswith("50%: No look since 2026-02-08 has been read")
    assert "tracking_problem" not in shown
    client = mlflow_client(delivery.run.data_dir)
    run = client.get_run(str(shown["mlflow_run"].value))
    assert run.data.tags["experiment"] == "spring" and run.data.tags["decision"] == "keep running"
    assert run.data.metrics["users.graph"] + run.data.metrics["users.sql"] == served.num_rows
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert files == {"experiment_readout.html", "experiment_readout.json"}
