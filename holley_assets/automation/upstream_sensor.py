"""Watches the seven source tables: tells the graph when one changed, and delivers when the required ones all did."""

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Mapping

import dagster as dg

from holley_assets.assets.sources import source_materialization
from holley_assets.automation.deliveries import Delivery, last_updated, newest_delivery
from holley_assets.automation.jobs import daily_score, weekly_retrain
from holley_assets.automation.schedules import other_run_in_progress, starts_by_itself
from holley_assets.automation.serving_jobs import serve_graph_again
from holley_assets.checks.source_watch import (
    ROWS_WHEN_WHOLE,
    judge_answers,
    judge_presence,
    silence,
    unanswered,
)
from holley_assets.checks.standing import Verdict, news
from holley_assets.core.tags import (
    AS_OF_TAG,
)
from holley_assets.core.time_windows import (
    SAMPLE_SOURCE,
    resolve_windows,
)
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.source_looks import Look, look_at_sources
from holley_assets.resources.warehouse_resource import WarehouseResource
from holley_assets.settings import WatchSettings

# Seconds. Metadata cost nothing, and a delivery takes about as long as this; sooner would help nobody.
INTERVAL = 600
NAME = "upstream_sensor"
_RUN_KEY = "dagster/run_key"
_SENSOR_NAME = "dagster/sensor_name"
_DELIVERING = (weekly_retrain, daily_score, serve_graph_again)


@dataclasses.dataclass(frozen=True)
class Seen:
    """What the cursor keeps of a table."""

    modified: datetime.datetime
    rows_when_whole: int
    """Rows that the next look compares with, by :func:`judge_presence`."""


def read_cursor(cursor: str | None) -> dict[str, Seen]:
    """Tables as they were last seen; none before the first look.

    Raises:
        ValueError: somebody wrote another cursor; one line.
    """
    try:
        return {
            table: Seen(datetime.datetime.fromisoformat(seen["modified"]), int(seen["rows_when_whole"]))
            for table, seen in json.loads(cursor or "{}").items()
        }
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ValueError(
            f"the cursor of {NAME} is not what it wrote: reset it on the sensor's page"
        ) from None


def write_cursor(seen: Mapping[str, Seen]) -> str:
    """Inverse of :func:`read_cursor`."""
    tables = {
        table: {"modified": known.modified.isoformat(), "rows_when_whole": known.rows_when_whole}
        for table, known in sorted(seen.items())
    }
    return json.dumps(tables)


def judge(
    known: Mapping[str, Seen], looks: Mapping[str, Look], delivery: Delivery | None, minimum_share: float
) -> dict[str, Verdict]:
    """Whether each table that answered is there and did not shrink."""
    sources = delivery.sources if delivery else {}
    verdicts = {
        table: judge_presence(
            table,
            look,
            known[table].rows_when_whole if table in known else None,
            sources[table].rows if table in sources else None,
            minimum_share,
        )
        for table, look in looks.items()
    }
    return {table: verdict for table, verdict in verdicts.items() if verdict is not None}


def see(
    known: Mapping[str, Seen], looks: Mapping[str, Look], verdicts: Mapping[str, Verdict]
) -> dict[str, Seen]:
    """What is known after a look: nothing changes for a table that did not answer or is missing."""
    seen = dict(known)
    for table, look in looks.items():
        if look.description is not None:
            rows = int(verdicts[table].metadata[ROWS_WHEN_WHOLE])
            seen[table] = Seen(look.description.last_modified, rows)
    return seen


def changes(
    instance: dg.DagsterInstance, known: Mapping[str, Seen], looks: Mapping[str, Look], source: str
) -> list[dg.AssetMaterialization]:
    """A materialization of each table that changed since the last look and that no run has told of already."""
    found = []
    for table, look in looks.items():
        description = look.description
        if description is None or (table in known and known[table].modified == description.last_modified):
            continue
        event = instance.get_latest_materialization_event(dg.AssetKey(table))
        told = event.asset_materialization if event else None
        if told is None or last_updated(told) != description.last_modified.timestamp():
            found.append(source_materialization(table, description, source=source, found_by=NAME))
    return found


def request_delivery(
    instance: dg.DagsterInstance,
    watch: WatchSettings,
    looks: Mapping[str, Look],
    verdicts: Mapping[str, Verdict],
    delivery: Delivery | None,
    now: datetime.datetime,
) -> dg.RunRequest | dg.SkipReason:
    """The run of ``daily_score`` as of the day of ``now``, if all required tables changed since ``delivery``.

    That is the newest one, and anybody's: what a schedule or a person delivered is not delivered again.
    """
    if set(watch.required_tables) & set(unanswered(looks)):
        return dg.SkipReason(f"Asked again at the next tick: {silence(looks)}")
    broken = [f"{table} ({verdict.reason})" for table, verdict in verdicts.items() if not verdict.passed]
    if broken:
        return dg.SkipReason(f"Nothing is delivered until they are whole again: {', '.join(broken)}")
    if delivery is None:
        return dg.SkipReason("Nothing was ever delivered: waits for a first weekly_retrain")
    times = {
        table: description.last_modified.timestamp()
        for table in watch.required_tables
        if (description := looks[table].description) is not None
    }
    late = [
        table
        for table, at in times.items()
        if table in delivery.sources and delivery.sources[table].last_updated == at
    ]
    since = f"since run {delivery.run_id[:8]}, which delivered {delivery.at:%Y-%m-%d %H:%M} UTC"
    if late:
        return dg.SkipReason(
            f"{len(times) - len(late)} of {len(times)} changed {since}; not {', '.join(late)}"
        )
    run_key = f"upstream {hashlib.sha256(repr(sorted(times.items())).encode()).hexdigest()[:16]}"
    return _unless_too_soon(instance, run_key, watch, delivery.at, now) or dg.RunRequest(
        run_key=run_key, tags={AS_OF_TAG: now.date().isoformat()}
    )


def _unless_too_soon(
    instance: dg.DagsterInstance,
    run_key: str,
    watch: WatchSettings,
    delivered: datetime.datetime,
    now: datetime.datetime,
) -> dg.SkipReason | None:
    for job in _DELIVERING:
        busy = other_run_in_progress(instance, job.name, "")
        if busy is not None:
            return dg.SkipReason(f"Run {busy.run_id[:8]} of {job.name} is still in progress")
    asked = instance.get_runs(dg.RunsFilter(tags={_RUN_KEY: run_key}), limit=1)
    # One that a tick, cut short, has made and not launched is launched by asking again.
    if asked and asked[0].status is not dg.DagsterRunStatus.NOT_STARTED:
        status = asked[0].status.value.lower()
        return dg.SkipReason(f"Run {asked[0].run_id[:8]} was started for exactly these tables: {status}")
    earliest = max(delivered, _newest_start(instance) or delivered) + datetime.timedelta(
        hours=watch.hours_between
    )
    if now < earliest:
        return dg.SkipReason(
            f"All required tables changed; not before {earliest:%Y-%m-%d %H:%M} UTC, {watch.hours_between:g} hours "
            "after the newest delivery or attempt (HOLLEY_WATCH_HOURS_BETWEEN)"
        )
    return None


def _newest_start(instance: dg.DagsterInstance) -> datetime.datetime | None:
    """When the newest run of this sensor started or failed to: one that fails is not followed at once by the next."""
    records = instance.get_run_records(dg.RunsFilter(tags={_SENSOR_NAME: NAME}), limit=1)
    at = (records[0].start_time or records[0].end_time) if records else None
    return datetime.datetime.fromtimestamp(at, tz=datetime.UTC) if at else None


@dg.sensor(
    name=NAME,
    job=daily_score,
    minimum_interval_seconds=INTERVAL,
    default_status=dg.DefaultSensorStatus.RUNNING if starts_by_itself() else dg.DefaultSensorStatus.STOPPED,
    description="Looks at the seven source tables every ten minutes. Tells the graph which of them changed; starts "
    "daily_score, as of the day, once all tables in HOLLEY_WATCH_REQUIRED changed since the newest delivery. A table "
    "that is gone or shrank fails its check and holds deliveries up; a warehouse that does not answer is asked again.",
)
def upstream_sensor(
    context: dg.SensorEvaluationContext, settings: SettingsResource, warehouse: WarehouseResource
) -> dg.SensorResult:
    """One look, and what follows from it."""
    loaded = settings.load()
    now = datetime.datetime.now(datetime.UTC)
    windows = resolve_windows(loaded.run, now.date())
    if windows.source == SAMPLE_SOURCE:
        return dg.SensorResult(
            skip_reason="HOLLEY_SOURCE_DIR is not set: runs generate their sample, and nothing is upstream",
            cursor=context.cursor,
        )
    known = read_cursor(context.cursor)
    looks = look_at_sources(loaded, warehouse, windows.source_location)
    delivery = newest_delivery(context.instance)
    verdicts = judge(known, looks, delivery, loaded.checks.minimum_rows_share)
    decided = request_delivery(context.instance, loaded.watch, looks, verdicts, delivery, now)
    request, skip = (decided, None) if isinstance(decided, dg.RunRequest) else (None, decided)
    return dg.SensorResult(
        run_requests=[request] if request else None,
        skip_reason=skip,
        asset_events=[
            *changes(context.instance, known, looks, windows.source),
            *news(context.instance, [*verdicts.values(), judge_answers(looks)], now),
        ],
        cursor=write_cursor(see(known, looks, verdicts)),
    )
