"""One message a run, in the failing check's own words."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from webhook import Webhook

from holley_assets.automation import alert_sensor as module
from holley_assets.automation.alert_sensor import alert_sensor
from holley_assets.automation.alerts import Alert, Severity
from holley_assets.automation.run_alerts import run_alert
from holley_assets.core.materialized import Materialized


@dg.asset
def table() -> None: ...


@dg.asset_check(asset=table)
def every_row_is_sound() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=False, severity=dg.AssetCheckSeverity.WARN, description="2 rows of ann@example.com are not"
    )


@dg.asset
def broken() -> None:
    raise dg.Failure("HOLLEY_SAMPLE_KIND=odd is not allowed\nsecond line")


@dg.asset
def sound() -> None: ...


def execute(instance: dg.DagsterInstance, *assets: object, job: str) -> dg.DagsterRun:
    definitions = dg.Definitions(
        assets=[asset for asset in assets if isinstance(asset, dg.AssetsDefinition)],
        asset_checks=[every_row_is_sound] if table in assets else [],
        jobs=[dg.define_asset_job(job, dg.AssetSelection.all() | dg.AssetSelection.all_asset_checks())],
    )
    result = definitions.resolve_job_def(job).execute_in_process(instance=instance, raise_on_error=False)
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    return run


def test_a_failed_check_in_a_green_run_is_a_warning_in_its_own_words() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = execute(instance, table, job="green")
        alert = run_alert(instance, run, "https://dagster.example.com/", {})
    assert run.is_success and alert is not None
    assert (alert.severity, alert.title) == (Severity.WARNING, "green: 1 checks failed")
    assert alert.body.splitlines() == [
        "warning: table: every_row_is_sound: 2 rows of ann@example.com are not",
        f"https://dagster.example.com/runs/{run.run_id}",
    ]


def test_a_failed_step_is_told_in_one_line_and_a_sound_run_not_at_all() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        failed = run_alert(instance, execute(instance, broken, job="failing"), None, {})
        assert run_alert(instance, execute(instance, sound, job="sound"), None, {}) is None
    assert failed is not None and failed.severity is Severity.ERROR
    assert failed.body.splitlines()[0] == "ERROR: step broken: HOLLEY_SAMPLE_KIND=odd is not allowed"


def test_a_run_that_died_is_told_with_what_dagster_says_of_it() -> None:
    definitions = dg.Definitions(assets=[sound], jobs=[dg.define_asset_job("dying")])
    with dg.DagsterInstance.ephemeral() as instance:
        run = instance.create_run_for_job(
            definitions.resolve_job_def("dying"), status=dg.DagsterRunStatus.STARTED
        )
        instance.report_run_failed(run, "Detected run worker status FAILED")
        ended = instance.get_run_by_id(run.run_id)
        assert ended is not None
        alert = run_alert(instance, ended, None, {})
    assert alert is not None and "died without a failed step: Detected run worker" in alert.body


def test_each_run_is_told_once_and_the_past_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Alert] = []

    def receiver(alert: Alert) -> bool:
        taken.append(alert)
        return True

    monkeypatch.setattr(module, "apprise_receivers", lambda urls: ({"receiver": receiver}, []))
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        context = dg.build_sensor_context(instance=instance)
        monkeypatch.delenv("HOLLEY_ALERT_URLS", raising=False)
        assert "not set" in str(alert_sensor(context))
        monkeypatch.setenv("HOLLEY_ALERT_URLS", "json://127.0.0.1/")
        execute(instance, broken, job="before")
        alert_sensor(context)
        assert taken == []
        execute(instance, broken, job="failing")
        execute(instance, table, job="green")
        alert_sensor(context)
        alert_sensor(context)
    assert sorted(alert.title for alert in taken) == ["failing failed", "green: 1 checks failed"]
    assert not any("@" in alert.body for alert in taken)


def test_a_wrong_address_keeps_nothing_from_the_others_and_gets_it_once_corrected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, webhook: Webhook
) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        context = dg.build_sensor_context(instance=instance)
        monkeypatch.setenv("HOLLEY_ALERT_URLS", webhook.url)
        alert_sensor(context)
        execute(instance, broken, job="failing")
        monkeypatch.setenv("HOLLEY_ALERT_URLS", f"nosuch://token {webhook.url}")
        for _ in range(2):
            with pytest.raises(ValueError, match=r"address 1 \(nosuch://…\) is not one"):
                alert_sensor(context)
            assert len(webhook.received) == 1
        monkeypatch.setenv("HOLLEY_ALERT_URLS", f"{webhook.url}corrected {webhook.url}")
        assert "1 alerts delivered, 0 wait" in str(alert_sensor(context))
    assert len(webhook.received) == 2


@dg.asset(check_specs=[dg.AssetCheckSpec("every_key_is_unique", asset="guarded", blocking=True)])
def guarded() -> Materialized:
    words = "3 keys have more than one row"
    return dg.MaterializeResult(
        check_results=[dg.AssetCheckResult(check_name="every_key_is_unique", passed=False, description=words)]
    )


def test_a_run_that_a_check_ended_is_told_in_the_words_of_the_check_alone() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        run = execute(instance, guarded, job="gated")
        alert = run_alert(instance, run, None, {})
    assert not run.is_success and alert is not None
    assert alert.body.splitlines() == [
        "ERROR: guarded: every_key_is_unique: 3 keys have more than one row",
        f"Run {run.run_id}",
    ]
