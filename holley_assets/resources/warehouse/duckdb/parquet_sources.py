"""Source tables as Parquet: a file, or a folder of part files."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from holley_assets.resources.warehouse.duckdb.files import (
    PathError,
    exact_pattern,
    parquet_relation,
    part_files,
)
from holley_assets.resources.warehouse.source_tables import (
    NULL,
    ColumnType,
    MissingSourceTableError,
    SourceTable,
    SourceTableError,
    TableDescription,
    column_problems,
)

_DUCKDB_TYPES = {
    "STRING": "VARCHAR",
    "INT64": "BIGINT",
    "FLOAT64": "DOUBLE",
    "BOOL": "BOOLEAN",
    "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP WITH TIME ZONE",
}


def describe_parquet(table: SourceTable, path: Path | None) -> TableDescription:
    """Read the metadata of every part file; no row is read.

    Raises:
        MissingSourceTableError: no file.
        SourceTableError: a file that is not Parquet, or parts whose columns differ in a way that
            matters.
    """
    if path is None or not path.exists():
        raise MissingSourceTableError(
            f"{table.name}: the table is missing; expected {path or table.name + '.parquet'}"
        )
    try:
        parts = part_files(path)
        for part in parts:
            exact_pattern(part)
    except (PathError, OSError) as error:
        raise SourceTableError(f"{table.name}: {path} cannot be listed ({error})") from error
    if not parts:
        raise MissingSourceTableError(f"{table.name}: the table is missing; {path} holds no .parquet file")
    columns: dict[str, ColumnType] = {}
    rows = 0
    for part in parts:
        try:
            with pq.ParquetFile(part) as file:
                schema, part_rows = file.schema_arrow, file.metadata.num_rows
        except (pa.ArrowException, OSError) as error:
            reason = " ".join(str(error).split())
            raise SourceTableError(f"{table.name}: {part} cannot be read as Parquet ({reason})") from error
        part_columns = {field.name: column_type(field.type) for field in schema}
        if part != parts[0]:
            problems = column_problems(table, part_columns)
            if problems and not column_problems(table, columns):
                raise SourceTableError(f"{'; '.join(problems)} (in part {part.name})")
        columns = {**part_columns, **{name: kind for name, kind in columns.items() if kind != NULL}}
        rows += part_rows
    modified = max(part.stat().st_mtime for part in parts)
    return TableDescription(
        location=str(path),
        columns=columns,
        rows=rows,
        last_modified=datetime.datetime.fromtimestamp(modified, tz=datetime.UTC),
    )


def column_type(arrow: pa.DataType) -> ColumnType:
    """The BigQuery type that holds values of an Arrow type, whatever their width, unit or encoding."""
    if pa.types.is_dictionary(arrow):
        return column_type(arrow.value_type)
    if pa.types.is_list(arrow) or pa.types.is_large_list(arrow) or pa.types.is_fixed_size_list(arrow):
        return [column_type(arrow.value_type)]
    if pa.types.is_struct(arrow):
        return {field.name: column_type(field.type) for field in arrow}
    tests = {
        NULL: pa.types.is_null,
        "STRING": lambda kind: (
            pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
        ),
        "BOOL": pa.types.is_boolean,
        "INT64": pa.types.is_integer,
        "FLOAT64": pa.types.is_floating,
        "TIMESTAMP": pa.types.is_timestamp,
        "DATE": pa.types.is_date,
        "NUMERIC": pa.types.is_decimal,
        "BYTES": lambda kind: pa.types.is_binary(kind) or pa.types.is_large_binary(kind),
    }
    return next((name for name, test in tests.items() if test(arrow)), str(arrow).upper())


def duckdb_type(expected: ColumnType) -> str:
    """DuckDB's name of a BigQuery type."""
    if isinstance(expected, list):
        return f"{duckdb_type(expected[0])}[]"
    if isinstance(expected, dict):
        return f"STRUCT({', '.join(f'{name} {duckdb_type(field)}' for name, field in expected.items())})"
    if isinstance(expected, tuple):
        raise TypeError(f"{expected} is a choice of types")
    return _DUCKDB_TYPES[expected]


def source_select(table: SourceTable, path: Path) -> str:
    """A SELECT over the part files with exactly the contract's columns and types.

    A cast to the type that a column has already is free; it is there for narrower integers, other time units
    and timestamps without a zone, which are UTC.
    """
    columns = [
        f'"{name}"'
        if isinstance(expected, tuple)
        else f'CAST("{name}" AS {duckdb_type(expected)}) AS "{name}"'
        for name, expected in table.columns.items()
    ]
    return f"SELECT {', '.join(columns)} FROM {parquet_relation(part_files(path), union_by_name=True)}"
