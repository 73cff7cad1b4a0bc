"""Tells people what went wrong: failed and dead runs, failed checks, errors of schedules and sensors."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterator

import dagster as dg

from holley_assets.resources.alerts import (
    Alert,
    Severity,
    apprise_receivers,
    deliver,
    load_outbox,
    save_outbox,
)
from holley_assets.settings import AlertSettings, load_section

# Seconds. Runs are found by the time of their last change, not by the ids of events, which are not in order
# across runs on SQLite; what lies within the overlap is seen twice and told once, by its key.
_OVERLAP = 600.0
_REMEMBERED = 7 * 24 * 3600.0
_MESSAGE_LINES = 10

_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


def run_alert(instance: dg.DagsterInstance, run: dg.DagsterRun, ui_url: str | None) -> Alert | None:
    """What is to be told of a finished run, all in one message; ``None`` if nothing went wrong."""
    failed_checks = list(_failed_checks(instance, run.run_id))
    died = run.status is dg.DagsterRunStatus.FAILURE
    if not died and not failed_checks:
        return None
    lines = [f"{'ERROR' if error else 'warning'}: {words}" for error, words in failed_checks]
    if died:
        lines += list(_failures(instance, run.run_id))
    left = len(lines) - _MESSAGE_LINES
    if left > 0:
        lines = [*lines[:_MESSAGE_LINES], f"and {left} more"]
    lines.append(f"{ui_url.rstrip('/')}/runs/{run.run_id}" if ui_url else f"Run {run.run_id}")
    return Alert(
        severity=Severity.ERROR if died or any(error for error, _ in failed_checks) else Severity.WARNING,
        title=f"{run.job_name} failed" if died else f"{run.job_name}: {len(failed_checks)} checks failed",
        body="\n".join(lines),
        key=f"run {run.run_id}",
        run_id=run.run_id,
    )


def _failed_checks(instance: dg.DagsterInstance, run_id: str) -> Iterator[tuple[bool, str]]:
    """Whether it is an error, and the check with its own words, of each failed check of a run."""
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION).records
    for record in records:
        event = record.event_log_entry.dagster_event
        evaluation = event.asset_check_evaluation_data if event else None
        if evaluation is not None and not evaluation.passed:
            words = f"{evaluation.asset_key.to_user_string()}: {evaluation.check_name}"
            if evaluation.description:
                words += f": {evaluation.description}"
            yield evaluation.severity is dg.AssetCheckSeverity.ERROR, words


def _failures(instance: dg.DagsterInstance, run_id: str) -> Iterator[str]:
    """The steps that failed with the first line of their errors; where none did, what Dagster says of the run."""
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
        words = data.user_failure_data.description if data.user_failure_data else None
        if words is None:
            words = data.error.message if data.error else "failed"
        yield f"ERROR: step {event.step_key}: {str(words).strip().splitlines()[0]}"
    if not steps:
        said = next((entry.dagster_event.message for entry in entries if entry.dagster_event), None)
        yield f"ERROR: the run died without a failed step: {said or 'Dagster says nothing of it'}"


@dg.sensor(
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends failed runs, runs that died and failed checks (also those in a green run) to HOLLEY_ALERT_URLS: "
    "one message a run, never twice. What a receiver did not take is tried again.",
)
def alert_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    settings = load_section(AlertSettings)
    urls = settings.addresses
    if not urls:
        return dg.SkipReason("HOLLEY_ALERT_URLS is not set: nobody is told")
    instance = context.instance
    storage = instance.daemon_cursor_storage
    now = time.time()
    outbox = load_outbox(storage, now)
    since = datetime.datetime.fromtimestamp(outbox.cursor - _OVERLAP, tz=datetime.UTC)
    # What ended before the first look is history.
    first_look = not outbox.told and outbox.cursor == now
    changed = instance.get_run_records(dg.RunsFilter(statuses=_FINISHED, updated_after=since))
    for record in reversed(changed):
        key = f"run {record.dagster_run.run_id}"
        if first_look:
            outbox.told[key] = now
            continue
        if key in outbox.told:
            continue
        alert = run_alert(instance, record.dagster_run, settings.ui_url)
        if alert is not None:
            outbox.put(alert, now)
    outbox.cursor = now
    outbox.forget(now - _REMEMBERED)

    def save() -> None:
        save_outbox(storage, outbox)

    save()
    receivers = apprise_receivers(urls)
    delivered, waiting = deliver(outbox, receivers, save, now)
    return dg.SkipReason(f"{delivered} alerts delivered, {waiting} wait")
