"""How old source tables and delivered tables may be, in Dagster's own daemon on a moving clock."""

from __future__ import annotations

import asyncio
import datetime
from pathlib import Path

import dagster as dg
import pytest
import time_machine
from automation.conftest import MONDAY, day
from automation.moving_clock import Daemon
from automation.stand_ins import definitions
from automation.test_upstream_sensor import EVENTS, USERS, change, deliver, keep_rows, path_of
from dagster_graphql.schema import create_schema
from small_run import failure_of

from holley_assets.checks.month_spending import MONTH_KEEPS_TO_ITS_BUDGET
from holley_assets.checks.output_watch import (
    DELIVERED_IS_FRESH,
    SERVED_IS_FRESH,
    judge_output,
    judge_switch,
)
from holley_assets.checks.source_watch import IS_FRESH, IS_THERE, judge_freshness
from holley_assets.checks.standing import Verdict
from holley_assets.core.event_log import newest_evaluation
from holley_assets.resources.serving_switch import OFF, ON, record_decision
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.warehouse.interface import MissingTableError, WarehouseError
from holley_assets.resources.warehouse.source_tables import TableDescription
from holley_assets.resources.warehouse_resource import WarehouseResource
from holley_assets.settings import WatchSettings

SENSOR = "freshness_sensor"
SECOND = datetime.timedelta(seconds=1)


def described(modified: datetime.datetime) -> TableDescription:
    return TableDescription("somewhere", {}, 10, modified)


def look(daemon: Daemon, when: datetime.datetime) -> str:
    return daemon.said_at(SENSOR, when)


def verdict_of(daemon: Daemon, table: str) -> dg.AssetCheckEvaluation:
    latest = newest_evaluation(daemon.instance, dg.AssetCheckKey(dg.AssetKey(table), IS_FRESH))
    assert latest is not None
    return latest.evaluation


def test_exactly_at_the_limit_a_source_table_is_fresh_whatever_the_time_zone() -> None:
    pacific = datetime.timezone(datetime.timedelta(hours=-8))
    at_the_limit = described((MONDAY - datetime.timedelta(days=2)).astimezone(pacific))
    assert judge_freshness(EVENTS, at_the_limit, WatchSettings(), MONDAY).passed
    late = judge_freshness(EVENTS, at_the_limit, WatchSettings(), MONDAY + SECOND)
    assert (late.passed, late.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert late.description == (
        f"{EVENTS} changed 2.0 days ago, 2026-01-31 00:00 UTC; 2 days are allowed "
        "(HOLLEY_WATCH_INGESTION_UNIFIED_SCHEMA_INCREMENTAL_DAYS)"
    )


def test_a_late_table_fails_its_check_once_and_passes_when_it_comes(daemon: Daemon, exports: Path) -> None:
    change(exports, MONDAY)
    daemon.start(SENSOR)
    assert look(daemon, day(0, 1)) == "9 of 9 are fresh"
    change(exports, day(1), USERS)
    assert look(daemon, day(2, 1)) == f"8 of 9 are fresh, not {EVENTS} (stale)"
    assert not verdict_of(daemon, EVENTS).passed and verdict_of(daemon, USERS).passed
    look(daemon, day(2, 12))
    look(daemon, day(2, 19))
    key = dg.AssetCheckKey(dg.AssetKey(EVENTS), IS_FRESH)
    history = daemon.instance.event_log_storage.get_asset_check_execution_history(key, limit=50)
    assert [record.status.value for record in history] == ["FAILED", "SUCCEEDED"]
    daemon.restart()
    change(exports, day(2, 20), EVENTS)
    path_of(exports, "import_orders").rename(exports / "away")
    assert look(daemon, day(2, 21)) == "8 of 8 are fresh", "one that is missing is upstream_sensor's to tell"
    assert verdict_of(daemon, EVENTS).passed
    path_of(exports, "import_items").write_bytes(b"half a fi")
    assert "1 of 7 source tables do not answer (import_items)" in look(daemon, day(2, 22.1))


def test_the_output_is_judged_by_the_event_log_and_by_the_warehouse(
    daemon: Daemon, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = judge(daemon, MONDAY)
    assert (never.passed, never.reason) == (True, "never delivered")
    change(exports, MONDAY)
    deliver(daemon)
    delivered = daemon.now
    written = described(MONDAY)
    assert judge(daemon, day(7), written).passed
    stale = judge(daemon, day(7) + SECOND, written)
    assert (stale.passed, stale.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "is 7.0 days old, of 2026-02-02 00:00 UTC; 7 days are allowed" in stale.description

    older = judge(daemon, delivered, described(MONDAY - datetime.timedelta(days=8)))
    assert (older.passed, older.reason) == (False, "stale"), "somebody put an old table in its place"
    silent = judge(daemon, delivered, WarehouseError("BigQuery: no answer"))
    assert silent.passed and silent.description.endswith("does not answer: BigQuery: no answer")
    gone = judge(daemon, delivered, MissingTableError("working.recommendations does not exist"))
    assert (gone.passed, gone.reason) == (False, "missing")


def test_a_rollback_brings_rows_of_the_delivery_before() -> None:
    """Also where a challenger was delivered after the champion that goes."""
    with dg.DagsterInstance.ephemeral() as instance:
        for number, model in enumerate(["first", *["second"] * 25, "third"]):
            fill(instance, day(number), model)
        assert age_of(instance, day(27)) == 1
        fill(instance, day(27), "first", rolled_back_from="second")
        assert age_of(instance, day(27)) == 27, "of the first model's only delivery"
        fill(instance, day(28), "second")
        assert age_of(instance, day(29)) == 1, "what is delivered afterwards counts, of whatever model"


def fill(instance: dg.DagsterInstance, when: datetime.datetime, model: str, **more: str) -> None:
    filled = dg.AssetMaterialization(DELIVERED_IS_FRESH.asset_key, metadata={"model_version": model, **more})
    with time_machine.travel(when, tick=False):
        instance.report_runless_asset_event(filled)


def age_of(instance: dg.DagsterInstance, now: datetime.datetime) -> float:
    """Age in days of the delivered table, which somebody has just touched."""
    verdict = judge_output(
        instance, DELIVERED_IS_FRESH, "working", "recommendations", 7.0, now, lambda *_: described(now)
    )
    return float(verdict.metadata["age_days"])


def judge(
    daemon: Daemon, now: datetime.datetime, found: TableDescription | Exception | None = None
) -> Verdict:
    def describe(dataset: str, table: str) -> TableDescription:
        if isinstance(found, Exception):
            raise found
        return found or described(daemon.now)

    return judge_output(daemon.instance, DELIVERED_IS_FRESH, "working", "recommendations", 7.0, now, describe)


def test_the_serving_table_is_judged_where_this_project_fills_it(
    daemon: Daemon, exports: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(exports, MONDAY)
    deliver(daemon)
    daemon.start(SENSOR)
    # The stand-ins write no table: the event log says delivered, and the warehouse knows nothing of it.
    assert look(daemon, day(0, 1)) == "8 of 9 are fresh, not recommendations_table (missing)"
    monkeypatch.setenv("HOLLEY_SERVING_MODE", "full")
    assert "recommendations_table (missing), serving_table (missing)" in look(daemon, day(0, 3))
    latest = newest_evaluation(daemon.instance, SERVED_IS_FRESH)
    assert latest is not None and not latest.evaluation.passed
    assert str(latest.evaluation.description).startswith("holley_serving.email_recommendations was delivered")


CHECKS_OF_AN_ASSET = """
query Checks($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) {
    ... on AssetNode {
      assetChecksOrError {
        ... on AssetChecks {
          checks {
            name
            canExecuteIndividually
            executionForLatestMaterialization { status evaluation { severity description } }
          }
        }
      }
    }
  }
}
"""


def shown(daemon: Daemon, table: str) -> dict[str, tuple[str, str] | None]:
    """Status and words of each check of an asset, as the user interface asks for them."""
    result = asyncio.run(
        create_schema().execute_async(
            CHECKS_OF_AN_ASSET,
            variable_values={"key": {"path": [table]}},
            context_value=daemon.request_context(),
        )
    )
    assert result.errors is None, result.errors
    found = {}
    for check in result.data["assetNodeOrError"]["assetChecksOrError"]["checks"]:
        assert check["canExecuteIndividually"] == "CAN_EXECUTE"
        execution = check["executionForLatestMaterialization"]
        found[check["name"]] = execution and (execution["status"], execution["evaluation"]["description"])
    return found


def test_the_user_interface_shows_what_was_evaluated_without_a_run(daemon: Daemon, exports: Path) -> None:
    change(exports, MONDAY)
    daemon.start(SENSOR, "upstream_sensor")
    assert shown(daemon, EVENTS) == {IS_FRESH: None, IS_THERE: None}
    look(daemon, day(0, 1))
    assert {name: execution and execution[0] for name, execution in shown(daemon, EVENTS).items()} == {
        IS_FRESH: "SUCCEEDED",
        IS_THERE: "SUCCEEDED",
    }
    path_of(exports, EVENTS).rename(exports / "away")
    look(daemon, day(2, 1))
    there = shown(daemon, EVENTS)[IS_THERE]
    assert there is not None
    assert there[0] == "FAILED" and there[1].startswith(f"{EVENTS}: the table is missing; expected ")
    (exports / "away").rename(path_of(exports, EVENTS))
    deliver(daemon)
    look(daemon, day(2, 3))
    assert shown(daemon, EVENTS)[IS_FRESH] == (
        "FAILED",
        f"{EVENTS} changed 2.1 days ago, 2026-02-02 00:00 UTC; 2 days are allowed "
        "(HOLLEY_WATCH_INGESTION_UNIFIED_SCHEMA_INCREMENTAL_DAYS)",
    )
    delivered = shown(daemon, "recommendations_table")["delivered_table_is_fresh"]
    assert delivered is not None and delivered[0] == "FAILED"


def test_a_person_runs_the_same_checks_by_hand(daemon: Daemon, exports: Path) -> None:
    """On everything, and on one check; what cannot be judged ends the run in one line."""
    change(exports, MONDAY - datetime.timedelta(days=3))
    job = definitions.resolve_implicit_global_asset_job_def()
    # The step that makes an asset checks it too; only that check cannot be asked for alone.
    own = {dg.AssetCheckKey(dg.AssetKey("time_windows"), MONTH_KEEPS_TO_ITS_BUDGET)}
    every = job.get_subset(
        asset_selection=set(), asset_check_selection=set(job.asset_layer.asset_graph.asset_check_keys) - own
    )
    result = every.execute_in_process(instance=daemon.instance, raise_on_error=False)
    verdicts = result.get_asset_check_evaluations()
    assert len(verdicts) == 18
    failed = {verdict.asset_key.to_user_string() for verdict in verdicts if not verdict.passed}
    assert failed == {EVENTS, USERS}
    keep_rows(exports, MONDAY, "import_items", 0.5)
    there = job.get_subset(
        asset_selection=set(), asset_check_selection={dg.AssetCheckKey(dg.AssetKey("import_items"), IS_THERE)}
    )
    (shrunk,) = there.execute_in_process(instance=daemon.instance).get_asset_check_evaluations()
    assert not shrunk.passed and shrunk.metadata["reason"].value == "shrunk"
    path_of(exports, EVENTS).write_bytes(b"half a fi")
    one = job.get_subset(
        asset_selection=set(), asset_check_selection={dg.AssetCheckKey(dg.AssetKey(EVENTS), IS_FRESH)}
    )
    result = one.execute_in_process(instance=daemon.instance, raise_on_error=False)
    assert not result.success and result.get_asset_check_evaluations() == []
    assert failure_of(result, "source_watch").startswith(
        f"{EVENTS}: {path_of(exports, EVENTS)} cannot be read"
    )


def test_a_kill_switch_that_is_on_is_told_since_when_by_whom_and_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    settings, warehouse = SettingsResource().load(), WarehouseResource()
    opened = warehouse.open(settings, tmp_path)
    shadow = judge_switch(settings, warehouse)
    assert shadow is not None and shadow.passed
    assert "off: it was never pulled; HOLLEY_SERVING_MODE is shadow, so that this project serves nobody" in (
        shadow.description
    )
    monkeypatch.setenv("HOLLEY_SERVING_MODE", "ab")
    settings = SettingsResource().load()
    never = judge_switch(settings, warehouse)
    assert never is not None and never.passed and never.description.endswith("off: it was never pulled")

    with time_machine.travel(MONDAY, tick=False):
        record_decision(opened, settings, ON, by="ada", reason="wrong parts", run_id="1")
    pulled = judge_switch(settings, warehouse)
    assert pulled is not None and not pulled.passed
    assert pulled.severity == dg.AssetCheckSeverity.WARN
    assert pulled.reason == f"on since {MONDAY:%Y-%m-%d %H:%M} UTC"
    assert f"on since {MONDAY:%Y-%m-%d %H:%M} UTC by ada: wrong parts" in pulled.description
    assert pulled.description.endswith("SQL pipeline's parts. Job serve_graph_again lets it go")
    assert pulled.metadata["kill_switch_run"] == "1"

    monkeypatch.setenv("HOLLEY_SERVING_MODE", "shadow")
    unserved = judge_switch(SettingsResource().load(), warehouse)
    assert unserved is not None and "serves nobody" in unserved.description
    assert "everybody gets" not in unserved.description
    monkeypatch.setenv("HOLLEY_SERVING_MODE", "ab")

    record_decision(opened, settings, OFF, by="bob", reason="repaired", run_id="2")
    released = judge_switch(settings, warehouse)
    assert released is not None and released.passed and released.reason == "off"

    monkeypatch.setenv("HOLLEY_SERVING_KILL_SWITCH", "true")
    by_setting = judge_switch(SettingsResource().load(), warehouse)
    assert by_setting is not None and not by_setting.passed
    assert by_setting.reason == "on by HOLLEY_SERVING_KILL_SWITCH"
