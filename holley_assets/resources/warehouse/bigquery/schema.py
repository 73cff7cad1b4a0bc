"""Schemas: BigQuery's, Arrow's, and the plain words of :mod:`holley_assets.resources.warehouse.source_tables`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pyarrow as pa
from google.cloud.bigquery import SchemaField

from holley_assets.resources.warehouse.duckdb.parquet_sources import column_type
from holley_assets.resources.warehouse.source_tables import ColumnType

# The REST interface still answers in the words of BigQuery's first dialect.
_STANDARD_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
_STRUCT_NAMES = ("RECORD", "STRUCT")
_ARROW_TYPES = {
    "STRING": pa.string(),
    "INT64": pa.int64(),
    "FLOAT64": pa.float64(),
    "BOOL": pa.bool_(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us", "UTC"),
}


def schema_of_arrow(schema: pa.Schema) -> list[SchemaField]:
    """Explicit schema of a load job for data of an Arrow schema."""
    return schema_of_columns({field.name: column_type(field.type) for field in schema})


def schema_of_columns(columns: Mapping[str, ColumnType]) -> list[SchemaField]:
    """BigQuery fields of columns in plain words; the first type where there is a choice."""
    return [_field(name, kind) for name, kind in columns.items()]


def columns_of_schema(schema: Iterable[SchemaField]) -> dict[str, ColumnType]:
    """Columns in plain words of BigQuery fields; inverse of :func:`schema_of_columns`."""
    return {field.name: _kind(field) for field in schema}


def arrow_schema(columns: Mapping[str, ColumnType]) -> pa.Schema:
    """Arrow schema of columns in plain words, as every warehouse writes it to Parquet.

    Raises:
        KeyError: a type that no query under ``sql/`` gives.
    """
    return pa.schema([(name, _arrow_type(kind)) for name, kind in columns.items()])


def _arrow_type(kind: ColumnType) -> pa.DataType:
    if isinstance(kind, tuple):
        return _arrow_type(kind[0])
    if isinstance(kind, list):
        return pa.list_(_arrow_type(kind[0]))
    if isinstance(kind, dict):
        return pa.struct([(name, _arrow_type(field)) for name, field in kind.items()])
    return _ARROW_TYPES[kind]


def _field(name: str, kind: ColumnType, mode: str = "NULLABLE") -> SchemaField:
    if isinstance(kind, tuple):
        return _field(name, kind[0], mode)
    if isinstance(kind, list):
        return _field(name, kind[0], "REPEATED")
    if isinstance(kind, dict):
        return SchemaField(name, "RECORD", mode=mode, fields=schema_of_columns(kind))
    return SchemaField(name, kind, mode=mode)


def _kind(field: SchemaField) -> ColumnType:
    kind: ColumnType
    if field.field_type in _STRUCT_NAMES:
        kind = columns_of_schema(field.fields)
    else:
        kind = _STANDARD_NAMES.get(field.field_type, field.field_type)
    return [kind] if field.mode == "REPEATED" else kind
