"""Is each source table there, whole and fresh? The daemon asks; a person may run the same checks by hand."""

import datetime
from collections.abc import Iterator, Mapping

import dagster as dg

from holley_assets.checks.standing import Verdict, judge_age, minute
from holley_assets.core.event_log import newest_evaluation
from holley_assets.core.time_windows import (
    SAMPLE_SOURCE,
    resolve_windows,
)
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.source_looks import Look, look_at_sources
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES, TableDescription
from holley_assets.resources.warehouse_resource import WarehouseResource
from holley_assets.settings import SettingsError, WatchSettings

IS_THERE = "table_is_there_and_did_not_shrink"
IS_FRESH = "table_is_fresh"
ANSWERS = dg.AssetCheckKey(dg.AssetKey("time_windows"), "every_source_table_answers")
WHOLE, MISSING, SHRUNK = "whole", "missing", "shrunk"
ROWS_WHEN_WHOLE = "rows_when_whole"

_DESCRIPTIONS = {
    IS_THERE: "The table exists and has at least HOLLEY_CHECK_MINIMUM_ROWS_SHARE of the rows that it had when it "
    "was seen whole: they rise with the table, and sink only to what the newest delivery read. upstream_sensor looks "
    "every ten minutes.",
    IS_FRESH: "The table changed within its HOLLEY_WATCH_…_DAYS. freshness_sensor looks every hour.",
}


def judge_presence(
    table: str, look: Look, rows_when_whole: int | None, rows_delivered: int | None, minimum_share: float
) -> Verdict | None:
    """Whether ``table`` is there and did not shrink; ``None`` where nobody can tell.

    The verdict carries the rows that the next look compares with, if any are known.

    Args:
        rows_when_whole: rows to compare with, of the look before; ``None`` at the first look.
        rows_delivered: rows that the newest delivery read; ``None`` where nobody knows.
        minimum_share: share of ``rows_when_whole`` below which it shrank.
    """
    check = dg.AssetCheckKey(dg.AssetKey(table), IS_THERE)
    known = {} if rows_when_whole is None else {ROWS_WHEN_WHOLE: rows_when_whole}
    if look.missing:
        return Verdict(check, False, MISSING, look.problem, metadata=known)
    if look.description is None:
        return None
    rows = look.description.rows
    if rows_when_whole is not None and rows < minimum_share * rows_when_whole:
        words = (
            f"{table} shrank to {rows:,} rows from {rows_when_whole:,}; at least {minimum_share:.0%} expected. "
            "Where that is right, reset the cursor of upstream_sensor"
        )
        return Verdict(check, False, SHRUNK, words, metadata={"rows": rows, **known})
    words = f"{rows:,} rows, last changed {minute(look.description.last_modified)}"
    following = _following(rows, rows_when_whole, rows_delivered)
    return Verdict(check, True, WHOLE, words, metadata={"rows": rows, ROWS_WHEN_WHOLE: following})


def _following(rows: int, rows_when_whole: int | None, rows_delivered: int | None) -> int:
    """Rows to compare with after a look that found ``rows`` and passed.

    Did they follow each look, a table that loses a little between any two would reach zero unseen. So they sink only
    to what a delivery has read since, whose own checks took it for whole.
    """
    if rows_when_whole is None:
        return rows
    used = rows_when_whole if rows_delivered is None else min(rows_when_whole, rows_delivered)
    return max(rows, used)


def judge_freshness(
    table: str, description: TableDescription, limits: WatchSettings, now: datetime.datetime
) -> Verdict:
    """Whether ``table`` changed within its limit; exactly at the limit it is fresh."""
    changed = description.last_modified
    return judge_age(
        dg.AssetCheckKey(dg.AssetKey(table), IS_FRESH),
        changed,
        limits.stale_after_days(table),
        now,
        words=lambda days: f"{table} changed {days:.1f} days ago, {minute(changed)}",
        setting=f"{table}_days",
    )


def judge_answers(looks: Mapping[str, Look]) -> Verdict:
    """Whether the warehouse told of every table what it is; it is asked again, so that this is a warning.

    The reason names who is silent: one view, which never answers, must not hide that later nobody does.
    """
    silent = unanswered(looks)
    if not silent:
        words = f"{len(looks)} source tables answer"
        return Verdict(ANSWERS, True, "answered", words, severity=dg.AssetCheckSeverity.WARN)
    tables = ", ".join(silent)
    reason = "unanswered: all" if len(silent) == len(looks) else f"unanswered: {tables}"
    return Verdict(ANSWERS, False, reason, silence(looks), dg.AssetCheckSeverity.WARN, {"tables": tables})


def unanswered(looks: Mapping[str, Look]) -> list[str]:
    """Tables of which nothing is known."""
    return [table for table, look in looks.items() if look.unanswered]


def silence(looks: Mapping[str, Look]) -> str:
    """Which tables do not answer, and what one of them said, in one line."""
    silent = unanswered(looks)
    who = f"{len(silent)} of {len(looks)} source tables do not answer ({', '.join(silent)})"
    return f"{who}: {looks[silent[0]].problem}"


@dg.multi_asset_check(
    name="source_watch",
    specs=[
        *(
            dg.AssetCheckSpec(name, asset=table, description=words)
            for table in SOURCE_TABLES
            for name, words in _DESCRIPTIONS.items()
        ),
        dg.AssetCheckSpec(
            ANSWERS.name,
            asset=ANSWERS.asset_key,
            description="The warehouse tells the rows and the last change of every source table.",
        ),
    ],
    can_subset=True,
)
def source_watch(
    context: dg.AssetCheckExecutionContext, settings: SettingsResource, warehouse: WarehouseResource
) -> Iterator[dg.AssetCheckResult]:
    """What both sensors see, for a person who looks by hand."""
    now = datetime.datetime.now(datetime.UTC)
    try:
        loaded = settings.load()
        windows = resolve_windows(loaded.run, now.date())
    except SettingsError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    selected = context.selected_asset_check_keys
    if windows.source == SAMPLE_SOURCE:
        for check in selected:
            words = "the run generates its sample: nothing is upstream"
            yield Verdict(check, True, "sample", words).result()
        return
    looks = look_at_sources(loaded, warehouse, windows.source_location)
    for check in selected:
        verdict: Verdict | None
        if check == ANSWERS:
            verdict = judge_answers(looks)
        else:
            table = check.asset_key.to_user_string()
            look = looks[table]
            if check.name == IS_THERE:
                known = _rows_when_whole(context.instance, check)
                # What was delivered is the sensor's to say; until it does, the rows to compare with do not sink.
                verdict = judge_presence(table, look, known, None, loaded.checks.minimum_rows_share)
            elif look.description is not None:
                verdict = judge_freshness(table, look.description, loaded.watch, now)
            else:
                verdict = None
            if verdict is None:
                raise dg.Failure(look.problem, allow_retries=False)
        yield verdict.result()


def _rows_when_whole(instance: dg.DagsterInstance, check: dg.AssetCheckKey) -> int | None:
    latest = newest_evaluation(instance, check)
    known = latest.evaluation.metadata.get(ROWS_WHEN_WHOLE) if latest else None
    return None if known is None else int(str(known.value))
