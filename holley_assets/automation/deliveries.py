"""The newest delivery, and the source tables as they were when its run read them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from holley_assets.core.asset_keys import (
    DELIVERED_TABLE,
)
from holley_assets.core.event_log import (
    materializations,
    run_lineage,
)
from holley_assets.core.metadata_keys import (
    LAST_UPDATED,
    ROW_COUNT,
)
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES

# A rollback puts a table in place and reads no source; so many in a row there are not.
_SEARCHED = 20


@dataclass(frozen=True)
class SourceRead:
    """A source table as a run found it."""

    last_updated: float
    """In seconds since 1970."""
    rows: int


@dataclass(frozen=True)
class Delivery:
    """A run that delivered."""

    run_id: str
    at: datetime.datetime
    sources: Mapping[str, SourceRead]
    """The source tables that its run read."""


def newest_delivery(instance: dg.DagsterInstance) -> Delivery | None:
    """The newest run that delivered a table made of the source tables; ``None`` before the first."""
    for made in materializations(instance, DELIVERED_TABLE, limit=_SEARCHED):
        run = instance.get_run_by_id(made.run_id)
        # A run that continues another has read no table: the first of the line has.
        for run_id in run_lineage(run) if run else []:
            sources = _sources_of_run(instance, run_id)
            if sources:
                return Delivery(made.run_id, made.at, sources)
    return None


def last_updated(materialization: dg.AssetMaterialization) -> float | None:
    """When the table behind a materialization last changed, in seconds since 1970, if it says so."""
    value = materialization.metadata.get(LAST_UPDATED)
    return value.value if isinstance(value, dg.TimestampMetadataValue) else None


def _sources_of_run(instance: dg.DagsterInstance, run_id: str) -> dict[str, SourceRead]:
    found: dict[str, SourceRead] = {}
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION
    for record in instance.get_records_for_run(run_id, of_type=kind).records:
        event = record.asset_materialization
        table = event.asset_key.to_user_string() if event else ""
        at = last_updated(event) if event and table in SOURCE_TABLES else None
        if event is not None and at is not None:
            found[table] = SourceRead(at, int(str(event.metadata[ROW_COUNT].value)))
    return found
