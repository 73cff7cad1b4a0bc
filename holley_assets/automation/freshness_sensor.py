"""Asks every hour how old the source tables and the delivered tables are, and how the kill switch stands."""

import datetime
from collections.abc import Mapping

import dagster as dg

from holley_assets.automation.schedules import starts_by_itself
from holley_assets.checks.output_watch import asking, judge_outputs, judge_switch
from holley_assets.checks.source_watch import judge_freshness, silence, unanswered
from holley_assets.checks.standing import news
from holley_assets.core.time_windows import (
    SAMPLE_SOURCE,
    resolve_windows,
)
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.source_looks import Look, look_at_sources
from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.resources.warehouse.source_tables import TableDescription
from holley_assets.resources.warehouse_resource import WarehouseResource

# Seconds. Limits are in days.
INTERVAL = 3600


def _not_asked(dataset: str, table: str) -> TableDescription:
    raise WarehouseError(f"{dataset}.{table} was not asked for, since no source table answered")


@dg.sensor(
    minimum_interval_seconds=INTERVAL,
    default_status=dg.DefaultSensorStatus.RUNNING if starts_by_itself() else dg.DefaultSensorStatus.STOPPED,
    description="Looks every hour how long ago each source table changed (HOLLEY_WATCH_…_DAYS) and how old the "
    "delivered table and the serving table are (HOLLEY_WATCH_OUTPUT_DAYS). One that is too old fails its check, and so "
    "does a kill switch that is on. It starts nothing.",
)
def freshness_sensor(
    context: dg.SensorEvaluationContext, settings: SettingsResource, warehouse: WarehouseResource
) -> dg.SensorResult:
    """One look. A table that is missing or does not answer is upstream_sensor's to tell."""
    loaded = settings.load()
    now = datetime.datetime.now(datetime.UTC)
    windows = resolve_windows(loaded.run, now.date())
    looks: Mapping[str, Look] = {}
    if windows.source != SAMPLE_SOURCE:
        looks = look_at_sources(loaded, warehouse, windows.source_location)
    silent = unanswered(looks)
    verdicts = [
        judge_freshness(table, look.description, loaded.watch, now)
        for table, look in looks.items()
        if look.description is not None
    ]
    # A warehouse that was silent on every source is not waited for again: the evaluation would run out of time.
    all_silent = bool(silent) and len(silent) == len(looks)
    describe = _not_asked if all_silent else asking(loaded, warehouse)
    verdicts += judge_outputs(context.instance, loaded, now, describe)
    note = f"; {silence(looks)}" if silent else ""
    failed = [
        f"{verdict.check.asset_key.to_user_string()} ({verdict.reason})"
        for verdict in verdicts
        if not verdict.passed
    ]
    said = f"{len(verdicts) - len(failed)} of {len(verdicts)} are fresh"
    if failed:
        said += f", not {', '.join(failed)}"
    if not all_silent and (switch := judge_switch(loaded, warehouse)) is not None:
        verdicts.append(switch)
        if not switch.passed:
            said += f"; {switch.description}"
    return dg.SensorResult(skip_reason=said + note, asset_events=news(context.instance, verdicts, now))
