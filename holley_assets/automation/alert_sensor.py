"""Tells people what went wrong: runs, checks, schedules and sensors."""

from __future__ import annotations

import datetime
import time

import dagster as dg

from holley_assets.automation.alerts import Outbox, apprise_receivers, deliver, load_outbox, save_outbox
from holley_assets.automation.check_alerts import check_alert
from holley_assets.automation.run_alerts import run_alert
from holley_assets.automation.tick_alerts import tick_alert
from holley_assets.settings import AlertSettings, load_section

# Seconds. Runs and checks are found by their times, not by the ids of events, which are not in order across runs on
# SQLite; what lies within the overlap is seen twice and told once.
_OVERLAP = 600.0
_REMEMBERED = 7 * 24 * 3600.0

_NAME = "alert_sensor"
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]


def look(instance: dg.DagsterInstance, outbox: Outbox, now: float, ui_url: str | None) -> None:
    """Put what went wrong since the last look into ``outbox``."""
    since = outbox.cursor - _OVERLAP
    # What ended before the first look is history.
    first_look = not outbox.told and outbox.cursor == now
    changed = instance.get_run_records(
        dg.RunsFilter(
            statuses=_FINISHED, updated_after=datetime.datetime.fromtimestamp(since, tz=datetime.UTC)
        )
    )
    for record in reversed(changed):
        key = f"run {record.dagster_run.run_id}"
        if first_look:
            outbox.told[key] = now
        elif key not in outbox.told:
            outbox.put(run_alert(instance, record.dagster_run, ui_url, outbox.checks), now)
    outbox.put(check_alert(instance, since, outbox.checks, ui_url, first_look), now)
    outbox.put(tick_alert(instance, now, since, outbox.ticks, ui_url, first_look, own_name=_NAME), now)
    outbox.cursor = now
    outbox.forget(now - _REMEMBERED)


@dg.sensor(
    name=_NAME,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends to HOLLEY_ALERT_URLS what went wrong, never twice: runs that failed or died and failed checks "
    "(also those in a green run), one message a run; checks evaluated without a run, when they begin to fail and for "
    "each other reason; errors of schedules and sensors, each once. What a receiver did not take is tried again.",
)
def alert_sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    settings = load_section(AlertSettings)
    urls = settings.addresses
    if not urls:
        return dg.SkipReason("HOLLEY_ALERT_URLS is not set: nobody is told")
    storage = context.instance.daemon_cursor_storage
    now = time.time()
    outbox = load_outbox(storage, now)
    look(context.instance, outbox, now, settings.ui_url)

    def save() -> None:
        save_outbox(storage, outbox)

    save()
    receivers, wrong = apprise_receivers(urls)
    # An address that is wrong today is to get, once it is corrected, what the others have taken.
    delivered, waiting = deliver(outbox, receivers, save, now, hold=bool(wrong))
    if wrong:
        raise ValueError("; ".join(wrong))
    return dg.SkipReason(f"{delivered} alerts delivered, {waiting} wait")
