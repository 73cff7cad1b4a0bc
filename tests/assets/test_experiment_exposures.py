"""An experiment from its declaration to the log of exposures, on a copy of the small weekly run."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from promotion import promote_version
from small_run import FinishedRun, execute_job, failure_of

from holley_assets.resources.warehouse.exposures import EXPOSURES_SCHEMA

ONLY = ["mixed_recommendations", "serving_table"]
DECLARATION = """
name = "spring"
salt = "holley"
share = 0.5
primary_metric = "click_rate"
minimal_effect = 0.1
start = 2026-02-01
planned_end = 2026-03-01
looks = 4
"""


class Delivery:
    """Stages and publishes the serving table of the weekly run, whose model is the champion."""

    def __init__(self, run: FinishedRun, instance: dg.DagsterInstance) -> None:
        self.run, self.instance = run, instance
        promote_version(run.table("trained_checkpoint")["model_version"][0].as_py())

    def deliver(self) -> dg.ExecuteInProcessResult:
        return execute_job("daily_score", instance=self.instance, only=ONLY)

    def table(self, name: str) -> pa.Table:
        with duckdb.connect(str(self.run.data_dir / "warehouse.duckdb"), read_only=True) as connection:
            try:
                return connection.execute(f"FROM holley_serving.{name} ORDER BY email_lower").to_arrow_table()
            except duckdb.CatalogException:
                return pa.table({})


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
    runs = [delivery.deliver(), delivery.deliver()]
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
    refused = delivery.deliver()
    assert not refused.success
    assert failure_of(refused, "serving_table").startswith(
        "Not published, the previous table stays: experiment spring has started and its declaration is frozen: "
        "primary_metric is conversion and was click_rate"
    )
    assert delivery.table("experiment_exposures").equals(log)

    # The kill switch works all the same, and what it takes back is said.
    killed = execute_job(
        "serve_sql_only",
        instance=delivery.instance,
        only=["serving_switch", *ONLY],
        config={"serving_switch": {"by": "ada", "reason": "a test"}},
    )
    assert killed.success
    assert set(delivery.table("email_recommendations")["arm"].to_pylist()) == {"sql"}
    assert delivery.table("experiment_exposures").equals(log)
    path.write_text(DECLARATION)
    assert delivery.deliver().success
    switched = delivery.table("experiment_exposures")
    assert switched["assigned_arm"].equals(log["assigned_arm"])
    assert switched["received_arm"].unique().to_pylist() == ["sql"]
