"""A run under the lease: it waits for another, says for whom, lets go at its end, and pulls the kill switch before."""

import threading
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from holley_assets.automation import last_words
from holley_assets.automation.leased_executor import leased
from holley_assets.automation.run_alerts import run_alert
from holley_assets.console.jobs import Progress, follow
from holley_assets.core.materialized import Materialized
from holley_assets.resources.lease import FolderLease, Holder, LeaseError
from holley_assets.resources.serving_switch import read_switch
from holley_assets.resources.warehouse_resource import WarehouseResource
from holley_assets.settings import load_settings_of_switch

OTHER = Holder.here("other-run", "weekly_retrain")


@dg.op
def work(context: dg.OpExecutionContext) -> None:
    lease = FolderLease(Path(load_settings_of_switch().run.data_dir))
    lease.require(context.run_id)
    with pytest.raises(LeaseError, match="was taken over"):
        lease.require("another run")


def daily_job() -> dg.JobDefinition:
    @dg.job(name="daily_score", executor_def=leased(dg.in_process_executor))
    def daily_score() -> None:
        work()

    return daily_score


def pulling_job() -> dg.JobDefinition:
    @dg.job(name="serve_sql_only", executor_def=leased(dg.in_process_executor))
    def serve_sql_only() -> None:
        work()

    return serve_sql_only


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.DagsterInstance:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path / "data"))
    return dg.DagsterInstance.local_temp(str(tmp_path))


def messages(instance: dg.DagsterInstance, run_id: str) -> list[str]:
    return [entry.user_message or "" for entry in instance.all_logs(run_id)] + [
        str(entry.dagster_event.message) for entry in instance.all_logs(run_id) if entry.dagster_event
    ]


@dg.asset
def eval_report() -> Materialized:
    metadata: dict[str, dg.MetadataValue | str] = {
        "decision": "neutral",
        "reason": "The lift is small.",
        "report": dg.MetadataValue.path("/x.html"),
    }
    return dg.MaterializeResult(metadata=metadata)


@dg.asset(deps=[eval_report])
def broken() -> None:
    raise dg.Failure("there is no part")


def answered_job(*assets: dg.AssetsDefinition) -> dg.JobDefinition:
    job = dg.define_asset_job("answered", executor_def=leased(dg.in_process_executor))
    return dg.Definitions(assets=assets, jobs=[job]).resolve_job_def("answered")


def job_with_a_report() -> dg.JobDefinition:
    return answered_job(eval_report)


def job_that_fails_after_its_report() -> dg.JobDefinition:
    return answered_job(eval_report, broken)


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (job_with_a_report, "neutral. The lift is small. Report: /x.html\n"),
        (job_that_fails_after_its_report, "answered failed. ERROR: step broken: there is no part. Run "),
    ],
)
def test_the_log_of_a_run_ends_with_what_its_report_says(
    instance: dg.DagsterInstance,
    capfd: pytest.CaptureFixture[str],
    job: Callable[[], dg.JobDefinition],
    words: str,
) -> None:
    """Unless it failed: then it ends with the reason."""
    dg.execute_job(dg.reconstructable(job), instance, raise_on_error=False)
    capfd.readouterr()
    last_words.print_words()
    assert capfd.readouterr().err.startswith(words)


def test_a_run_holds_the_lease_while_it_works_and_no_longer(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    assert dg.execute_job(dg.reconstructable(daily_job), instance).success
    assert FolderLease(tmp_path / "data").acquire(OTHER) is None


def test_a_run_waits_for_another_and_says_for_whom(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    other = FolderLease(tmp_path / "data")
    assert other.acquire(OTHER) is None
    threading.Timer(1.0, other.release).start()
    result = dg.execute_job(dg.reconstructable(daily_job), instance)
    assert result.success
    assert any("run other-ru of weekly_retrain" in said for said in messages(instance, result.run_id))
    run = instance.get_run_by_id(result.run_id)
    seen: list[Progress] = []
    follow(instance, find=lambda: run, is_alive=lambda: False, report=seen.append)
    assert seen[0].waits_for is not None and "run other-ru of weekly_retrain" in seen[0].waits_for
    assert {progress.waits_for for progress in seen[1:]} == {None}
    assert [progress.ended for progress in seen] == [None, None, "work"], "other events are no progress"


def test_the_wait_ends_in_one_line_and_the_switch_was_pulled_before(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLLEY_LEASE_WAIT_MINUTES", "0")
    other = FolderLease(tmp_path / "data")
    assert other.acquire(OTHER) is None
    result = dg.execute_job(
        dg.reconstructable(pulling_job), instance, raise_on_error=False, tags={"note": "an emergency"}
    )
    assert not result.success
    said = messages(instance, result.run_id)
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    alert = run_alert(instance, run, None, {})
    assert alert is not None
    assert "the run died without a failed step: HOLLEY_DATA_DIR=" in alert.body
    assert "run other-ru of weekly_retrain" in alert.body and "this run waited 0 minutes" in alert.body
    settings = load_settings_of_switch()
    switch = read_switch(WarehouseResource().open(settings, settings.run.data_dir), settings)
    assert switch.is_on and switch.decision is not None
    assert (switch.decision.decided_by, switch.decision.run_id) == ("job serve_sql_only", result.run_id)
    assert any(f"The kill switch is {switch.words}" in words for words in said)
    other.release()


def test_wrong_settings_are_for_the_first_step_to_tell(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLLEY_SOURCE_DIR", "/nowhere")
    result = dg.execute_job(dg.reconstructable(pulling_job), instance, raise_on_error=False)
    said = messages(instance, result.run_id)
    assert any("No lease is taken: HOLLEY_SOURCE_DIR=/nowhere is not allowed" in words for words in said)
    assert any("The kill switch is on since" in words for words in said)
