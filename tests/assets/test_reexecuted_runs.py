"""A run that is executed again from failure, by Dagster's own means: its plan and its settings are those of before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pytest
from promotion import promote_version
from small_run import FinishedRun, execute_job

from holley_assets.assets import publisher
from holley_assets.assets.serving_plan import present_plan
from holley_assets.automation.leased_executor import leased
from holley_assets.definitions import definitions
from holley_assets.resources.serving_switch import record_decision
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.resources.warehouse_resource import WarehouseResource


def daily_score() -> dg.JobDefinition:
    """The end of the job, with its lease, whose steps see what a test has patched."""
    job = definitions.resolve_job_def("daily_score").with_executor_def(leased(dg.in_process_executor))
    staged = dg.AssetKey("mixed_recommendations")
    # Without the standing checks of the table, which the whole job does not run either.
    checks = {key for key in job.asset_layer.asset_graph.asset_check_keys if key.asset_key == staged}
    return job.get_subset(
        asset_selection={staged, dg.AssetKey("serving_table")}, asset_check_selection=checks
    )


class FailedRun:
    """A daily run that staged its rows, passed its checks and failed when it was about to publish."""

    def __init__(self, run: FinishedRun, instance: dg.DagsterInstance, patch: pytest.MonkeyPatch) -> None:
        self.run, self.instance, self.patch = run, instance, patch
        asked = present_plan
        patch.setattr(publisher, "present_plan", self._fail)
        first = dg.execute_job(dg.reconstructable(daily_score), instance, raise_on_error=False)
        patch.setattr(publisher, "present_plan", asked)
        assert [event.step_key for event in first.all_events if event.is_step_failure] == ["serving_table"]
        self.failed = first.run_id

    @staticmethod
    def _fail(*_: object) -> Any:
        raise WarehouseError("the connection broke")

    def again(self) -> dg.JobExecutionResult:
        """Execute it again from failure."""
        options = dg.ReexecutionOptions.from_failure(self.failed, self.instance)
        result = dg.execute_job(
            dg.reconstructable(daily_score), self.instance, reexecution_options=options, raise_on_error=False
        )
        steps = {event.step_key for event in result.all_events if event.is_step_start}
        assert steps == {"serving_table"}, "what was staged is not staged again"
        return result

    def served(self) -> pa.Table | None:
        with duckdb.connect(str(self.run.data_dir / "warehouse.duckdb"), read_only=True) as connection:
            try:
                rows = connection.execute("FROM holley_serving.email_recommendations ORDER BY email_lower")
                return rows.to_arrow_table()
            except duckdb.CatalogException:
                return None

    def decide(self, state: str) -> None:
        """What another run writes down of the kill switch."""
        settings = SettingsResource().load()
        warehouse = WarehouseResource().open(settings, settings.run.data_dir)
        record_decision(warehouse, settings, state, by="bob", reason="complaints", run_id=f"run {state}")  # type: ignore[arg-type]

    def make_parts_anew(self) -> None:
        """An input of the staged rows, by other rules."""
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("HOLLEY_RULE_MINIMUM_PRICE", "60")
            assert execute_job("daily_score", instance=self.instance, only=["parts"]).success

    def alter_staged(self) -> None:
        """Another price in one staged row."""
        with duckdb.connect(str(self.run.data_dir / "warehouse.duckdb")) as connection:
            names = connection.execute("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'staging'")
            (name,) = [name for (name,) in names.fetchall() if name.startswith("mixed")]
            row = f"SELECT MIN(email_lower) FROM staging.{name}"
            connection.execute(f"UPDATE staging.{name} SET rec1_price = 1 WHERE email_lower = ({row})")


@pytest.fixture
def failed(
    continued_run: tuple[FinishedRun, dg.DagsterInstance], monkeypatch: pytest.MonkeyPatch
) -> Iterator[FailedRun]:
    run, instance = continued_run
    promote_version(run.table("trained_checkpoint")["model_version"][0].as_py())
    monkeypatch.setenv("HOLLEY_SERVING_MODE", "full")
    yield FailedRun(run, instance, monkeypatch)


# What changed since: settings, and what the refusal says.
CHANGES: Mapping[str, tuple[dict[str, str], str]] = {
    "the switch is pulled by its setting": (
        {"HOLLEY_SERVING_KILL_SWITCH": "true"},
        "the kill switch is on by",
    ),
    "the rollout is smaller": (
        {"HOLLEY_SERVING_MODE": "rollout", "HOLLEY_SERVING_SHARE": "10"},
        "HOLLEY_SERVING_MODE=rollout is 10% now",
    ),
    "nobody is served": ({"HOLLEY_SERVING_MODE": "shadow"}, "HOLLEY_SERVING_MODE is shadow"),
    "the salt is another": ({"HOLLEY_SERVING_SALT": "other"}, "another HOLLEY_SERVING_SALT"),
    "the rules are stricter": (
        {"HOLLEY_RULE_MINIMUM_PRICE": "60"},
        "judged by HOLLEY_RULE_MINIMUM_PRICE=50.0, and it is 60.0",
    ),
}


def test_a_run_that_is_executed_again_is_judged_by_the_present(failed: FailedRun) -> None:
    def refused(words: str) -> None:
        before = failed.served()
        result = failed.again()
        assert not result.success, f"published, where it should say: {words}"
        (event,) = [event for event in result.all_events if event.is_step_failure]
        said = str(event.step_failure_data.user_failure_data.description)  # type: ignore[union-attr]
        assert words in said and "\n" not in said
        assert failed.served() == before, f"refused and written: {words}"

    for settings, words in CHANGES.values():
        with pytest.MonkeyPatch.context() as environment:
            for name, value in settings.items():
                environment.setenv(name, value)
            refused(words)

    # Nothing changed: the run goes on where it broke off.
    assert failed.again().success
    table = failed.served()
    assert table is not None and set(table["arm"].to_pylist()) == {"graph"}

    # What others do. The rows are proven before anybody is asked, so that the later attack is told of first.
    failed.decide("on")
    refused("by bob: complaints; run serve_sql_only")
    failed.alter_staged()
    refused("the checks saw")
    failed.make_parts_anew()
    refused("another version of parts")
