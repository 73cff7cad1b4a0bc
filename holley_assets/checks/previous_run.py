"""The good runs before this one, and how large a table was in the last of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping

import dagster as dg

ROW_COUNT = "dagster/row_count"
SOURCE_KIND = "source_kind"
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
