"""The one reader of materializations and verdicts in the event log: the newest, and those of good runs before."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Iterator, Mapping, Sequence

import dagster as dg
from dagster._core.storage.asset_check_execution_record import (
    COMPLETED_ASSET_CHECK_EXECUTION_RECORD_STATUSES as EVALUATED,
)
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord

from holley_assets.core.metadata_keys import ROW_COUNT, SOURCE_KIND

# Successful runs are rarely this far apart; the search stops somewhere.
_SEARCHED = 50
_PAGE = 20


@dataclasses.dataclass(frozen=True)
class PreviousRun:
    """A successful run that made an asset, and the metadata that it left there."""

    run_id: str
    metadata: Mapping[str, object]


@dataclasses.dataclass(frozen=True)
class PreviousRows:
    """Rows of an asset in ``run_id``, the newest successful run on the same kind of source."""

    run_id: str
    rows: int


def previous_runs(
    instance: dg.DagsterInstance, asset: dg.AssetKey, source_kind: str
) -> Iterator[PreviousRun]:
    """Successful runs on ``source_kind`` that made ``asset``, newest first.

    A failed run is no yardstick: a table that lost half its rows would pass on the second try. Nor is a
    run on another kind of source: a sample of another size is not a table that shrank.
    """
    for made in materializations(instance, asset, limit=_SEARCHED):
        if made.metadata.get(SOURCE_KIND) != source_kind:
            continue
        run = instance.get_run_by_id(made.run_id)
        if run is not None and run.status is dg.DagsterRunStatus.SUCCESS:
            yield PreviousRun(made.run_id, made.metadata)


def previous_rows(instance: dg.DagsterInstance, asset: str, source_kind: str) -> PreviousRows | None:
    """Rows in the newest materialization by a successful run on ``source_kind``; ``None`` without one."""
    for run in previous_runs(instance, dg.AssetKey(asset), source_kind):
        rows = run.metadata.get(ROW_COUNT)
        if rows is not None:
            return PreviousRows(run.run_id, int(str(rows)))
    return None


@dataclasses.dataclass(frozen=True)
class Materialization:
    """A materialization: its place in the event log, its run, when it was (UTC), its metadata as plain values, tags."""

    storage_id: int
    run_id: str
    at: datetime.datetime
    metadata: Mapping[str, object]
    tags: Mapping[str, str]


def materializations(
    instance: dg.DagsterInstance, asset: dg.AssetKey, *, limit: int | None = None
) -> Iterator[Materialization]:
    """Materializations of ``asset``, newest first, read page by page as they are asked for.

    Args:
        limit: events that are looked at, at most; None looks at all.
    """
    cursor = None
    left = limit
    while left is None or left > 0:
        size = _PAGE if left is None else min(_PAGE, left)
        page = instance.fetch_materializations(dg.AssetRecordsFilter(asset_key=asset), size, cursor)
        yield from _read(page.records)
        if not page.has_more:
            return
        cursor = page.cursor
        left = None if left is None else left - size


def materialization_at(
    instance: dg.DagsterInstance, asset: dg.AssetKey, storage_id: int
) -> Materialization | None:
    """The materialization of ``asset`` at a place in the event log; ``None`` if there is none."""
    wanted = dg.AssetRecordsFilter(asset_key=asset, storage_ids=[storage_id])
    return next(_read(instance.fetch_materializations(wanted, limit=1).records), None)


def _read(records: Sequence[dg.EventLogRecord]) -> Iterator[Materialization]:
    for record in records:
        if record.asset_materialization is not None:
            values = {name: value.value for name, value in record.asset_materialization.metadata.items()}
            at = datetime.datetime.fromtimestamp(record.timestamp, tz=datetime.UTC)
            tags = record.asset_materialization.tags or {}
            yield Materialization(record.storage_id, record.run_id, at, values, tags)


def newest_materialization(instance: dg.DagsterInstance, asset: dg.AssetKey) -> Materialization | None:
    """The newest materialization of ``asset``; ``None`` if there is none."""
    return next(materializations(instance, asset, limit=1), None)


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """What was found out about a check, by which run (empty for the daemon) and when (UTC)."""

    run_id: str
    at: datetime.datetime
    evaluation: dg.AssetCheckEvaluation


def newest_evaluation(instance: dg.DagsterInstance, check: dg.AssetCheckKey) -> Evaluated | None:
    """The newest evaluation of a check; ``None`` without one.

    A run writes down what it is going to evaluate before it does. Such a plan is passed over, so that a check may ask
    what was found before it, and so that a run that ended before it judged anything hides no verdict.
    """
    found = instance.event_log_storage.get_asset_check_execution_history(check, limit=1, status=EVALUATED)
    return evaluation_of(found[0]) if found else None


def evaluation_of(record: AssetCheckExecutionRecord) -> Evaluated | None:
    """The evaluation that a record holds; ``None`` where it holds a plan."""
    if record.event is None or not isinstance(record.evaluation, dg.AssetCheckEvaluation):
        return None
    at = datetime.datetime.fromtimestamp(record.event.timestamp, tz=datetime.UTC)
    return Evaluated(record.run_id, at, record.evaluation)


def runs_since(instance: dg.DagsterInstance, moment: datetime.datetime) -> list[str]:
    """Ids of all runs that were created at ``moment`` (UTC) or later, whatever became of them."""
    # The filter leaves out what was created at exactly its moment.
    filters = dg.RunsFilter(created_after=moment - datetime.timedelta(microseconds=1))
    return list(instance.get_run_ids(filters))


def run_lineage(run: dg.DagsterRun) -> list[str]:
    """Ids of a run, of the one it repeats and of the first in that line, without repeats."""
    ids = [run.run_id, run.parent_run_id, run.root_run_id]
    return list(dict.fromkeys(run_id for run_id in ids if run_id))
