"""A look at every source table that costs nothing and ends soon, for what watches them without a run."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from holley_assets.resources.warehouse.interface import Warehouse, WarehouseError
from holley_assets.resources.warehouse.source_tables import (
    SOURCE_TABLES,
    MissingSourceTableError,
    SourceTableError,
    TableDescription,
)
from holley_assets.resources.warehouse_resource import WarehouseResource
from holley_assets.settings import Settings

# The daemon gives an evaluation 60 seconds; what does not answer for this long is asked again at the next one.
_PATIENCE_SECONDS = 15.0


@dataclass(frozen=True)
class Look:
    """What was found of a source table: its description, that it is missing, or that nobody can tell."""

    description: TableDescription | None = None
    problem: str = ""
    """Why there is no description, in one line."""
    missing: bool = False
    """The warehouse answers and has no such table."""

    @property
    def unanswered(self) -> bool:
        """Whether nothing is known of the table."""
        return self.description is None and not self.missing


def open_briefly(settings: Settings, warehouse: WarehouseResource, source_location: Path | str) -> Warehouse:
    """The warehouse with little patience.

    Raises:
        WarehouseError: there are no credentials for BigQuery.
    """
    seconds = min(settings.bigquery.retry_seconds, _PATIENCE_SECONDS)
    bigquery = settings.bigquery.model_copy(update={"retry_seconds": seconds})
    return warehouse.open(settings.model_copy(update={"bigquery": bigquery}), source_location)


def look_at_sources(
    settings: Settings, warehouse: WarehouseResource, source_location: Path | str
) -> Mapping[str, Look]:
    """Look at all source tables side by side, so that seven that do not answer take no longer than one."""
    try:
        opened = open_briefly(settings, warehouse, source_location)
    except WarehouseError as error:
        return {name: Look(problem=f"{name}: {error}") for name in SOURCE_TABLES}
    with ThreadPoolExecutor(len(SOURCE_TABLES), thread_name_prefix="source_look") as threads:
        looks = threads.map(lambda name: _look(opened, name), SOURCE_TABLES)
        return dict(zip(SOURCE_TABLES, looks, strict=True))


def _look(warehouse: Warehouse, table: str) -> Look:
    try:
        return Look(warehouse.describe_source(table, may_query=False))
    except MissingSourceTableError as error:
        return Look(problem=str(error), missing=True)
    except SourceTableError as error:
        return Look(problem=str(error))
