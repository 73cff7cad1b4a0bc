"""The seven source tables, as assets that somebody else materializes."""

from __future__ import annotations

import re
from collections.abc import Mapping

import dagster as dg

from holley_assets.core.columns import describe_column
from holley_assets.core.groups import (
    SOURCES,
)
from holley_assets.core.metadata_keys import LAST_UPDATED
from holley_assets.resources.warehouse.source_tables import (
    SOURCE_TABLES,
    ColumnType,
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
            "dagster/column_schema": _schema(table.name, table.columns),
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
            "dagster/column_schema": _schema(table, description.columns),
            LAST_UPDATED: dg.MetadataValue.timestamp(description.last_modified),
            "location": description.location,
        },
    )


def _schema(table: str, columns: Mapping[str, ColumnType]) -> dg.TableSchema:
    """As the UI shows it: fields of a struct stand in the column's description, where there is room for them."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name,
                re.sub(r"STRUCT<[^>]*>", "STRUCT", type_name(kind)),
                description=describe_column(table, name, columns),
            )
            for name, kind in columns.items()
        ]
    )


source_tables = [source_spec(table) for table in SOURCE_TABLES.values()]
