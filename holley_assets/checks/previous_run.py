"""How large a table was in the previous good run."""

from __future__ import annotations

import dataclasses

import dagster as dg

ROW_COUNT = "dagster/row_count"
SOURCE_KIND = "source_kind"
# Successful runs are rarely this far apart; the search stops somewhere.
_SEARCHED = 50


@dataclasses.dataclass(frozen=True)
class PreviousRows:
    """Rows of an asset in ``run_id``, the newest successful run on the same kind of source."""

    run_id: str
    rows: int


def previous_rows(instance: dg.DagsterInstance, asset: str, source_kind: str) -> PreviousRows | None:
    """Rows in the newest materialization by a successful run on ``source_kind``; ``None`` without one.

    A failed run is no yardstick: a table that lost half its rows would pass on the second try. Nor is a
    run on another kind of source: a sample of another size is not a table that shrank.
    """
    result = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset)), limit=_SEARCHED
    )
    for record in result.records:
        materialization = record.asset_materialization
        if materialization is None:
            continue
        kind = materialization.metadata.get(SOURCE_KIND)
        rows = materialization.metadata.get(ROW_COUNT)
        if kind is None or rows is None or kind.value != source_kind:
            continue
        run = instance.get_run_by_id(record.run_id)
        if run is not None and run.status is dg.DagsterRunStatus.SUCCESS:
            return PreviousRows(record.run_id, int(str(rows.value)))
    return None
