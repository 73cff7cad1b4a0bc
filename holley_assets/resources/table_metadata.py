"""What the UI shows about a Parquet asset. Nothing here identifies a person."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from holley_assets.core.columns import describe_column
from holley_assets.texts import for_log

# Never shown in metadata, logs or tracking: each of these leads to one person.
IDENTIFYING_COLUMNS = frozenset(
    {"email_lower", "user_id", "buyer", "SHIP_TO_EMAIL", "treatment_tracking_id", "string_value"}
)
# In a table of accounts these are what customers typed, which may be anything.
_ACCOUNT = "user_id"
_TYPED_BY_A_CUSTOMER = frozenset({"make", "model"})
PREVIEW_ROWS = 5

Cell = str | int | float | bool | None


def parquet_metadata(path: Path, asset: str) -> dict[str, dg.MetadataValue]:
    """Row count, size, column schema and a preview of the Parquet file of ``asset``."""
    file = pq.ParquetFile(path)
    try:
        first = next(
            file.iter_batches(batch_size=PREVIEW_ROWS, columns=shown_columns(file.schema_arrow)), None
        )
        metadata: dict[str, dg.MetadataValue] = {
            "dagster/row_count": dg.MetadataValue.int(file.metadata.num_rows),
            "bytes": dg.MetadataValue.int(path.stat().st_size),
            "dagster/column_schema": dg.MetadataValue.table_schema(table_schema(file.schema_arrow, asset)),
        }
        if first is not None and first.num_rows and first.num_columns:
            metadata["preview"] = preview(first.slice(0, PREVIEW_ROWS).to_pylist())
    finally:
        file.close()
    return metadata


def shown_columns(schema: pa.Schema) -> list[str]:
    """Columns that may be previewed: not identifying and not nested (an embedding fills a page)."""
    hidden = IDENTIFYING_COLUMNS | (_TYPED_BY_A_CUSTOMER if _ACCOUNT in schema.names else frozenset())
    return [field.name for field in schema if field.name not in hidden and not pa.types.is_nested(field.type)]


def table_schema(schema: pa.Schema, asset: str) -> dg.TableSchema:
    """Arrow schema of ``asset`` as the UI's column schema."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                field.name,
                readable_type(field.type),
                description=describe_column(asset, field.name, schema.names),
                constraints=dg.TableColumnConstraints(nullable=field.nullable),
            )
            for field in schema
        ]
    )


def readable_type(kind: pa.DataType) -> str:
    """``kind`` in a few words, as it fits into a cell: ``list of records``, ``64 float``.

    How values are encoded is left out, and so are the fields of a record, which the column's description names.
    """
    if pa.types.is_dictionary(kind):
        return readable_type(kind.value_type)
    if pa.types.is_struct(kind):
        return "record"
    if pa.types.is_fixed_size_list(kind):
        return f"{kind.list_size} {readable_type(kind.value_type)}"
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = readable_type(kind.value_type)
        return f"list of {inner}s" if inner == "record" else f"list of {inner}"
    if pa.types.is_timestamp(kind):
        return "timestamp" if kind.tz is None else f"timestamp, {kind.tz}"
    return "date" if pa.types.is_date(kind) else str(kind)


def preview(rows: list[Mapping[str, object]]) -> dg.MetadataValue:
    """Rows as a table in the UI."""
    cells = [{name: _cell(value) for name, value in row.items()} for row in rows]
    kinds = {bool: "bool", int: "int", float: "float"}
    columns = [
        dg.TableColumn(
            name,
            next((kinds.get(type(row[name]), "string") for row in cells if row[name] is not None), "string"),
        )
        for name in cells[0]
    ]
    return dg.MetadataValue.table(
        [dg.TableRecord(row) for row in cells], schema=dg.TableSchema(columns=columns)
    )


def _cell(value: object) -> Cell:
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, (datetime.date, datetime.datetime)):
        return value.isoformat()
    return for_log(str(value))
