"""DuckDB as the warehouse: sources and upstream assets are Parquet files behind views, named as in BigQuery."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Self

import duckdb
import pyarrow as pa
from sqlglot.errors import SqlglotError

from holley_assets.resources.warehouse.duckdb.files import PathError, parquet_relation, part_files, quote
from holley_assets.resources.warehouse.duckdb.parquet_sources import describe_parquet, source_select
from holley_assets.resources.warehouse.duckdb.rows import only_row
from holley_assets.resources.warehouse.duckdb.scratch import PROCESSES, scratch_connection
from holley_assets.resources.warehouse.duckdb.tables import STAGING, DuckDBTables
from holley_assets.resources.warehouse.duckdb.transpile import DuckDBQuery, to_duckdb
from holley_assets.resources.warehouse.interface import (
    DROP_REASON,
    DUPLICATE_REASON,
    DUPLICATE_ROWS,
    QueryResult,
    WarehouseError,
)
from holley_assets.resources.warehouse.scans import billed_bytes, find_scans, scanned_bytes
from holley_assets.resources.warehouse.source_tables import COMPANY, SOURCE_TABLES, TableDescription
from holley_assets.resources.warehouse.sql_files import (
    Datasets,
    Query,
    QueryError,
    query_dependencies,
    read_query,
)
from holley_assets.resources.warehouse.table_sizes import TableSize, measure_table
from holley_assets.texts import without_values

# Enough to tell how long a table's values are; a few milliseconds to read.
_ESTIMATED_ROWS = 20_000
# DuckDB sums INT64 into HUGEINT and reads 1.0 as DECIMAL; BigQuery has INT64 and FLOAT64 for both.
_BIGQUERY_WIDTHS = {"HUGEINT": "BIGINT", "INTEGER": "BIGINT", "FLOAT": "DOUBLE"}


class DuckDBWarehouse(DuckDBTables):
    """The warehouse on this machine.

    Args:
        sources: Parquet file, or folder of part files, of each source table.
        assets: Parquet file of each asset that a query may read.
        database: DuckDB file of the output tables; made when first written.
        temporary_directory: where a query that needs more memory spills.
        processes: how many query at once and share the memory of the machine.
        lock_seconds: how long to wait for another process that holds the database.
        guarded: dataset and name of the output tables that are replaced under a condition alone.
        columns: of assets of these names queries see no others than these, by the names that the file has for them.
        dollars: price of so many bytes read in BigQuery, by which each query says what it would cost there; unset: none
            does.

    No connection outlives a call: DuckDB locks a database for as long as one process holds it open.
    """

    def __init__(
        self,
        *,
        sources: Mapping[str, Path],
        assets: Mapping[str, Path],
        database: Path,
        temporary_directory: Path,
        processes: int = PROCESSES,
        lock_seconds: float = 10.0,
        guarded: Collection[tuple[str, str]] = (),
        columns: Mapping[str, Mapping[str, str]] | None = None,
        dollars: Callable[[int], float] | None = None,
    ) -> None:
        super().__init__(database, lock_seconds=lock_seconds, guarded=guarded)
        self._sources = sources
        self._assets = assets
        self._columns = columns or {}
        self._temporary_directory = temporary_directory
        self._processes = processes
        self._dollars = dollars
        self._datasets = Datasets()
        self._output: Mapping[str, tuple[str, str]] = {}

    def describe_source(self, table: str, *, may_query: bool = True) -> TableDescription:
        """Columns, rows and age of a source table, from the metadata of its files; no query is needed.

        Raises:
            MissingSourceTableError: it has no file.
            SourceTableError: it is unreadable.
        """
        return describe_parquet(SOURCE_TABLES[table], self._sources.get(table))

    def with_staged(self, staged: Mapping[str, str]) -> Self:
        """The same warehouse, where queries that read an asset of these names read a staged table instead."""
        return self.with_output({asset: (STAGING, table) for asset, table in staged.items()})

    def with_output(self, output: Mapping[str, tuple[str, str]]) -> Self:
        """The same warehouse, where queries that read an asset of these names read an output table: dataset, table."""
        other = copy.copy(self)
        other._output = {**self._output, **output}
        return other

    def query_to_parquet(self, name: str, parameters: Mapping[str, object], path: Path) -> QueryResult:
        """Run ``sql/**/<name>.sql`` and write its rows to the Parquet file ``path``, at once or not at all.

        A query may end in two columns that are not written. ``drop_reason``: a row where it is not null
        stands for source rows that cannot be used; it is counted and left out. ``duplicate_rows``: how many
        more source rows say the same as this one.

        Args:
            parameters: values of the query's @parameters; others are ignored.

        Raises:
            QueryError: there is no such query, or a parameter has no value.
            WarehouseError: a table that it reads is missing, or has not the columns that it names.
        """
        read = read_query(name, self._datasets)
        query = to_duckdb(read)
        missing = sorted(read.parameters - parameters.keys())
        if missing:
            raise QueryError(f"query {name}: no value for {', '.join(missing)}")
        values = {parameter: parameters[parameter] for parameter in read.parameters}
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            with scratch_connection(self._temporary_directory, self._processes) as connection:
                self._prepare(connection, name, query)
                rows, dropped = _write_query(connection, query, values, partial)
            partial.replace(path)
        except PathError as error:
            raise WarehouseError(f"query {name} cannot read its tables: {error}") from error
        except duckdb.BinderException as error:
            reason = " ".join(str(error).split("LINE")[0].split())
            raise WarehouseError(f"query {name} does not fit the tables that it reads: {reason}") from error
        except duckdb.Error as error:
            tables = ", ".join(sorted(table for _, table in query.tables)) or "no table"
            raise WarehouseError(
                f"DuckDB: query {name}, which reads {tables}, failed: {without_values(str(error))}"
            ) from None
        finally:
            partial.unlink(missing_ok=True)
        return QueryResult(path, rows, dropped, self._costs(read, values, path))

    def _costs(self, query: Query, parameters: Mapping[str, object], path: Path) -> dict[str, float]:
        """What BigQuery would bill for a query whose rows are in ``path``, its sources being partitioned by day.

        Bytes are those of each file's first rows, in proportion. What cannot be estimated is left out: it ends no run.
        """
        names = query_dependencies(query.name) if self._dollars is not None else []
        if self._dollars is None or any(name in self._output for name in names):
            return {}
        try:
            sizes = {name: self._size(part_files(self._path(name)), name) for name in names}
            scans = find_scans(query, {name: tuple(size.columns) for name, size in sizes.items()})
            scanned = scanned_bytes(scans, sizes, parameters)
            billed = billed_bytes(query, scanned, self._size([path], query.name))
        except (pa.ArrowException, SqlglotError):
            return {}
        return {"bigquery_bytes": billed, "bigquery_dollars": round(self._dollars(billed), 4)}

    def _path(self, table: str) -> Path:
        return self._sources[table] if table in SOURCE_TABLES else self._assets[table]

    @staticmethod
    def _size(files: Sequence[Path], table: str) -> TableSize:
        return measure_table(files, table, sample_rows=_ESTIMATED_ROWS)

    def _prepare(self, connection: duckdb.DuckDBPyConnection, name: str, query: DuckDBQuery) -> None:
        for dataset in sorted({dataset for dataset, _ in query.tables}):
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{dataset}"')
        for dataset, table in sorted(query.tables):
            if dataset == self._datasets.working and table in self._output:
                select = f"SELECT * FROM {self.attach_output(connection, *self._output[table])}"
            elif dataset == self._datasets.working:
                path = self._assets.get(table)
                if path is None or not path.is_file():
                    raise WarehouseError(f"query {name} reads {table}, which is missing: {path}")
                listed = [f'"{found}" AS "{name}"' for name, found in self._columns.get(table, {}).items()]
                select = f"SELECT {', '.join(listed) or '*'} FROM {parquet_relation([path])}"
            else:
                source = SOURCE_TABLES[table]
                role = self._datasets.company if source.dataset == COMPANY else self._datasets.data_company
                if role != dataset:
                    raise QueryError(f"query {name}: {table} is in {role}, not in {dataset}")
                path = self._sources.get(table)
                if path is None or not part_files(path):
                    raise WarehouseError(f"query {name} reads {table}, which is missing: {path}")
                select = source_select(source, path)
            connection.execute(f'CREATE VIEW "{dataset}"."{table}" AS {select}')
        for function in query.functions:
            connection.execute(function)


def _write_query(
    connection: duckdb.DuckDBPyConnection, query: DuckDBQuery, parameters: Mapping[str, object], path: Path
) -> tuple[int, dict[str, int]]:
    relation, condition = f"({query.select})", ""
    dropped: dict[str, int] = {}
    if not _COUNTING.isdisjoint(query.columns):
        # The result is read twice, for its rows and for its counts, and computed once.
        connection.execute(f"CREATE TEMP TABLE query_result AS {query.select}", parameters)
        relation, parameters = "query_result", {}
        reason = DROP_REASON if DROP_REASON in query.columns else "NULL"
        duplicates = DUPLICATE_ROWS if DUPLICATE_ROWS in query.columns else "0"
        dropped = dict(
            connection.execute(
                f"""
                SELECT reason, CAST(sum(source_rows) AS BIGINT) FROM (
                    SELECT {reason} AS reason, 1 + {duplicates} AS source_rows
                    FROM query_result WHERE reason IS NOT NULL
                    UNION ALL
                    SELECT '{DUPLICATE_REASON}', {duplicates} FROM query_result WHERE {reason} IS NULL
                )
                GROUP BY reason HAVING sum(source_rows) > 0 ORDER BY reason
                """
            ).fetchall()
        )
        if DROP_REASON in query.columns:
            condition = f"WHERE {DROP_REASON} IS NULL"
    # Asked of the table where there is one: it knows its types, and a long query takes a tenth of a second to analyse.
    types = connection.execute(f"DESCRIBE SELECT * FROM {relation}", parameters).fetchall()
    written = ", ".join(_written(column, kind) for column, kind, *_ in types if column not in _COUNTING)
    copy_to_file = (
        f"COPY (SELECT {written} FROM {relation} {condition})"
        f" TO {quote(str(path))} (FORMAT parquet, COMPRESSION zstd)"
    )
    (rows,) = only_row(connection.execute(copy_to_file, parameters))
    return int(rows), dropped


_COUNTING = {DROP_REASON, DUPLICATE_ROWS}


def _written(column: str, kind: str) -> str:
    width = "DOUBLE" if kind.startswith("DECIMAL") else _BIGQUERY_WIDTHS.get(kind)
    return f'CAST("{column}" AS {width}) AS "{column}"' if width else f'"{column}"'
