"""What the event log says of materializations: the newest, and those of the good runs before this one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import dagster as dg

from holley_assets.core.metadata_keys import ROW_COUNT, SOURCE_KIND

# Successful runs are rarely this far apart; the search stops somewhere.
_SEARCHED = 50


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
    result = instance.fetch_materializations(dg.AssetRecordsFilter(asset_key=asset), limit=_SEARCHED)
    for record in result.records:
        if record.asset_materialization is None:
            continue
        metadata = {name: value.value for name, value in record.asset_materialization.metadata.items()}
        if metadata.get(SOURCE_KIND) != source_kind:
            continue
        run = instance.get_run_by_id(record.run_id)
        if run is not None and run.status is dg.DagsterRunStatus.SUCCESS:
            yield PreviousRun(record.run_id, metadata)


def previous_rows(instance: dg.DagsterInstance, asset: str, source_kind: str) -> PreviousRows | None:
    """Rows in the newest materialization by a successful run on ``source_kind``; ``None`` without one."""
    for run in previous_runs(instance, dg.AssetKey(asset), source_kind):
        rows = run.metadata.get(ROW_COUNT)
        if rows is not None:
            return PreviousRows(run.run_id, int(str(rows)))
    return None


@dataclasses.dataclass(frozen=True)
class Materialization:
    """A materialization: its place in the event log, its run, and its metadata as plain values."""

    storage_id: int
    run_id: str
    metadata: Mapping[str, object]


def newest_materialization(instance: dg.DagsterInstance, asset: dg.AssetKey) -> Materialization | None:
    """The newest materialization of ``asset``; ``None`` if there is none."""
    records = instance.fetch_materializations(dg.AssetRecordsFilter(asset_key=asset), limit=1).records
    if not records or records[0].asset_materialization is None:
        return None
    values = {name: value.value for name, value in records[0].asset_materialization.metadata.items()}
    return Materialization(records[0].storage_id, records[0].run_id, values)


def run_lineage(run: dg.DagsterRun) -> list[str]:
    """Ids of a run, of the one it repeats and of the first in that line, without repeats."""
    ids = [run.run_id, run.parent_run_id, run.root_run_id]
    return list(dict.fromkeys(run_id for run_id in ids if run_id))
