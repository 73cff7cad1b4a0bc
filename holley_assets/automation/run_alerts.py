"""Alerts of runs: those that failed or died, and those that failed checks left green."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
from dagster._core.errors import DagsterAssetCheckFailedError
from dagster._core.events import JobFailureData

from holley_assets.automation.alert_texts import check_line, first_line, link, message, severity_of
from holley_assets.automation.alerts import Alert, CheckNote, Severity
from holley_assets.automation.check_alerts import is_told, note_check


def run_alert(
    instance: dg.DagsterInstance, run: dg.DagsterRun, ui_url: str | None, checks: dict[str, CheckNote]
) -> Alert | None:
    """What is to be told of a finished run, all in one message; ``None`` if nothing went wrong.

    Args:
        checks: how each check stood. What failed before, for the same reason, and was told then, without a run, is not
            told again because somebody ran that check by hand; how the checks of this run stand is noted.
    """
    evaluations = list(_evaluations(instance, run.run_id))
    failed = [
        evaluation
        for _, evaluation in evaluations
        if not evaluation.passed and not is_told(checks, evaluation)
    ]
    for moment, evaluation in evaluations:
        note_check(checks, moment, evaluation)
    died = run.status is dg.DagsterRunStatus.FAILURE
    if not died and not failed:
        return None
    lines = [check_line(evaluation) for evaluation in failed]
    if died:
        lines += list(_failures(instance, run.run_id, checks_told=bool(failed)))
    return Alert(
        severity=Severity.ERROR if died else severity_of(failed),
        title=f"{run.job_name} failed" if died else f"{run.job_name}: {len(failed)} checks failed",
        body=message(lines, link(ui_url, "runs", run.run_id) or [f"Run {run.run_id}"]),
        key=f"run {run.run_id}",
        run_id=run.run_id,
    )


def _evaluations(
    instance: dg.DagsterInstance, run_id: str
) -> Iterator[tuple[float, dg.AssetCheckEvaluation]]:
    """When each check of a run was evaluated, and how."""
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
    for record in records:
        event = record.event_log_entry.dagster_event
        if event is not None:
            yield record.event_log_entry.timestamp, event.asset_check_evaluation_data


def _failures(instance: dg.DagsterInstance, run_id: str, *, checks_told: bool) -> Iterator[str]:
    """The steps that failed with the first line of their errors; where none did, what Dagster says of the run.

    Args:
        checks_told: leave out a step that a blocking check ended, since the check has said more.
    """
    kinds = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE}
    entries = [
        record.event_log_entry for record in instance.get_records_for_run(run_id, of_type=kinds).records
    ]
    steps = [
        entry.dagster_event
        for entry in entries
        if entry.dagster_event and entry.dagster_event.is_step_failure
    ]
    for event in steps:
        data = event.step_failure_data
        if checks_told and data.error and data.error.cls_name == DagsterAssetCheckFailedError.__name__:
            continue
        words = data.user_failure_data.description if data.user_failure_data else None
        if words is None:
            words = data.error.message if data.error else "failed"
        yield f"ERROR: step {event.step_key}: {first_line(str(words))}"
    if not steps:
        said = next((_run_error(entry.dagster_event) for entry in entries if entry.dagster_event), None)
        yield f"ERROR: the run died without a failed step: {said or 'Dagster says nothing of it'}"


def _run_error(event: dg.DagsterEvent) -> str | None:
    """What ended a run outside its steps, such as another run's lease; else what Dagster says of it."""
    # A run that a daemon found dead has no such data.
    data = event.event_specific_data
    error = data.error if isinstance(data, JobFailureData) else None
    return first_line(error.message.partition(": ")[2] or error.message) if error else event.message
