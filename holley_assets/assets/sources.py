"""The seven source tables, as assets that somebody else materializes."""

from __future__ import annotations

import dagster as dg

from holley_assets.core.groups import (
    SOURCES,
)
from holley_assets.core.metadata_keys import LAST_UPDATED
from holley_assets.resources.warehouse.source_tables import (
    SOURCE_TABLES,
    SourceTable,
    TableDescription,
    type_name,
)


def source_spec(table: SourceTable) -> dg.AssetSpec:
    """External asset of a source table. Its key is the table's name, in every environment."""
    return dg.AssetSpec(
        table.name,
        description=table.description,
        group_name=SOURCES,
        kinds={"bigquery", "parquet"},
        metadata={
            "dagster/column_schema": dg.TableSchema(
                columns=[dg.TableColumn(name, type_name(kind)) for name, kind in table.columns.items()]
            ),
            "dataset": table.dataset,
        },
    )


def source_materialization(
    table: str, description: TableDescription, *, source: str, found_by: str
) -> dg.AssetMaterialization:
    """What a run, or the sensor that watches it, found at a source table."""
    return dg.AssetMaterialization(
        table,
        description=f"as found by {found_by} ({source})",
        metadata={
            "dagster/row_count": description.rows,
            "dagster/column_schema": dg.TableSchema(
                columns=[dg.TableColumn(name, type_name(kind)) for name, kind in description.columns.items()]
            ),
            LAST_UPDATED: dg.MetadataValue.timestamp(description.last_modified),
            "location": description.location,
        },
    )


source_tables = [source_spec(table) for table in SOURCE_TABLES.values()]
