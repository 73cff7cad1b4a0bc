"""The warehouse: runs the queries under ``sql/`` and holds the output table.

:class:`Warehouse` is the small interface that assets use, in terms of Parquet and Arrow.
:class:`DuckDBWarehouse` is the one on this machine: sources and upstream assets are Parquet files behind
views, named as in BigQuery.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

import duckdb
import pyarrow as pa

from holley_assets.resources.parquet_sources import describe_parquet, part_files, quote, source_select
from holley_assets.resources.source_tables import COMPANY, SOURCE_TABLES, TableDescription
from holley_assets.resources.sql_files import Datasets, QueryError, read_query
from holley_assets.resources.transpile import DuckDBQuery, to_duckdb
from holley_assets.settings import IDENTIFIER_PATTERN

DROP_REASON = "drop_reason"
DUPLICATE_ROWS = "duplicate_rows"
DUPLICATE_REASON = "duplicate row"

# DuckDB sums INT64 into HUGEINT and reads 1.0 as DECIMAL; BigQuery has INT64 and FLOAT64 for both.
_BIGQUERY_WIDTHS = {"HUGEINT": "BIGINT", "INTEGER": "BIGINT", "FLOAT": "DOUBLE"}


class WarehouseError(RuntimeError):
    """The warehouse cannot do what it was asked. The message is one line a person can act on."""


class QueryResult(NamedTuple):
    """What a query left behind."""

    path: Path
    rows: int
    """Rows written."""
    dropped: dict[str, int]
    """Source rows that could not be used, by reason."""


class Warehouse(Protocol):
    """Where source tables are read and the output table is written."""

    def describe_source(self, table: str) -> TableDescription:
        """Columns, rows and age of a source table, without reading its rows."""

    def query_to_parquet(self, name: str, parameters: Mapping[str, object], path: Path) -> QueryResult:
        """Run the query that makes table ``name`` and write its rows to ``path``."""

    def replace_table(self, dataset: str, table: str, data: pa.Table | Path) -> int:
        """Put ``data`` in the place of a table, at once; returns its rows."""

    def read_table(self, dataset: str, table: str) -> pa.Table:
        """Read a table that :meth:`replace_table` wrote."""


class DuckDBWarehouse:
    """The warehouse on this machine.

    Args:
        sources: Parquet file, or folder of part files, of each source table.
        assets: Parquet file of each asset that a query may read.
        database: DuckDB file of the output table; made when first written.
        temporary_directory: where a query that needs more memory spills.
        memory_limit: the most memory a query takes before it spills, as DuckDB writes it.
        lock_seconds: how long to wait for another process that holds the database.

    No connection outlives a call: DuckDB locks a database for as long as one process holds it open.
    """

    def __init__(
        self,
        *,
        sources: Mapping[str, Path],
        assets: Mapping[str, Path],
        database: Path,
        temporary_directory: Path,
        memory_limit: str = "4GB",
        lock_seconds: float = 10.0,
    ) -> None:
        self._sources = sources
        self._assets = assets
        self._database = database
        self._temporary_directory = temporary_directory
        self._memory_limit = memory_limit
        self._lock_seconds = lock_seconds
        self._datasets = Datasets()

    def describe_source(self, table: str) -> TableDescription:
        """Columns, rows and age of a source table, from the metadata of its files.

        Raises:
            SourceTableError: it is missing or unreadable.
        """
        return describe_parquet(SOURCE_TABLES[table], self._sources.get(table))

    def query_to_parquet(self, name: str, parameters: Mapping[str, object], path: Path) -> QueryResult:
        """Run ``sql/**/<name>.sql`` and write its rows to the Parquet file ``path``, at once or not at all.

        A query may end in two columns that are not written. ``drop_reason``: a row where it is not null
        stands for source rows that cannot be used; it is counted and left out. ``duplicate_rows``: how many
        more source rows say the same as this one.

        Args:
            parameters: values of the query's @parameters; others are ignored.

        Raises:
            QueryError: there is no such query, or a parameter has no value.
            WarehouseError: a table that it reads is missing.
        """
        query = to_duckdb(read_query(name, self._datasets))
        missing = sorted(query.parameters - parameters.keys())
        if missing:
            raise QueryError(f"query {name}: no value for {', '.join(missing)}")
        values = {parameter: parameters[parameter] for parameter in query.parameters}
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            with self._query_connection() as connection:
                self._prepare(connection, name, query)
                rows, dropped = _write_query(connection, query.select, values, partial)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return QueryResult(path, rows, dropped)

    def replace_table(self, dataset: str, table: str, data: pa.Table | Path) -> int:
        """Put an Arrow table or a Parquet file in the place of ``dataset.table``; returns its rows.

        One transaction: a reader sees the old table or the new one, and a crash leaves the old one.

        Raises:
            WarehouseError: a name is not an identifier, or another process holds the database.
        """
        name = _qualified(dataset, table)
        self._database.parent.mkdir(parents=True, exist_ok=True)
        with self._database_connection(read_only=False) as connection:
            if isinstance(data, Path):
                relation = f"read_parquet({quote(str(data))})"
            else:
                relation = "replacement"
                connection.register(relation, data)
            connection.execute("BEGIN")
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{dataset}"')
            connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM {relation}")
            (rows,) = connection.execute(f"SELECT count(*) FROM {name}").fetchone()
            connection.execute("COMMIT")
        return int(rows)

    def read_table(self, dataset: str, table: str) -> pa.Table:
        """Read ``dataset.table`` as it was last replaced.

        Raises:
            WarehouseError: there is no such table, or another process holds the database.
        """
        name = _qualified(dataset, table)
        if not self._database.is_file():
            raise WarehouseError(f"{dataset}.{table} does not exist: there is no database {self._database}")
        with self._database_connection(read_only=True) as connection:
            try:
                return connection.execute(f"SELECT * FROM {name}").to_arrow_table()
            except duckdb.CatalogException as error:
                raise WarehouseError(f"{dataset}.{table} does not exist in {self._database}") from error

    @contextlib.contextmanager
    def _query_connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        self._temporary_directory.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(dir=self._temporary_directory, prefix="duckdb-") as spill,
            duckdb.connect(
                ":memory:", config={"memory_limit": self._memory_limit, "temp_directory": spill}
            ) as connection,
        ):
            connection.execute("SET TimeZone = 'UTC'")
            yield connection

    def _prepare(self, connection: duckdb.DuckDBPyConnection, name: str, query: DuckDBQuery) -> None:
        for dataset in sorted({dataset for dataset, _ in query.tables}):
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{dataset}"')
        for dataset, table in sorted(query.tables):
            if dataset == self._datasets.working:
                path = self._assets.get(table)
                if path is None or not path.is_file():
                    raise WarehouseError(f"query {name} reads {table}, which is missing: {path}")
                select = f"SELECT * FROM read_parquet({quote(str(path))})"
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

    @contextlib.contextmanager
    def _database_connection(self, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        deadline = time.monotonic() + self._lock_seconds
        while True:
            try:
                connection = duckdb.connect(str(self._database), read_only=read_only)
                break
            except (duckdb.IOException, duckdb.ConnectionException) as error:
                if time.monotonic() >= deadline:
                    reason = str(error).splitlines()[0]
                    raise WarehouseError(
                        f"{self._database} cannot be opened after {self._lock_seconds:g} s ({reason})"
                    ) from error
                time.sleep(0.1)
        with connection:
            connection.execute("SET TimeZone = 'UTC'")
            yield connection


def _qualified(dataset: str, table: str) -> str:
    for name in (dataset, table):
        if not IDENTIFIER_PATTERN.match(name):
            raise WarehouseError(f"{name!r} is not an identifier; expected letters, digits and _")
    return f'"{dataset}"."{table}"'


def _write_query(
    connection: duckdb.DuckDBPyConnection, select: str, parameters: Mapping[str, object], path: Path
) -> tuple[int, dict[str, int]]:
    described = connection.execute(f"DESCRIBE {select}", parameters).fetchall()
    types = {column: kind for column, kind, *_ in described}
    written = ", ".join(_written(column, kind) for column, kind in types.items() if column not in _COUNTING)
    relation = f"({select})"
    dropped: dict[str, int] = {}
    if _COUNTING & types.keys():
        # The result is read twice, for its rows and for its counts, and computed once.
        connection.execute(f"CREATE TEMP TABLE query_result AS {select}", parameters)
        relation, parameters = "query_result", {}
        reason = DROP_REASON if DROP_REASON in types else "NULL"
        duplicates = DUPLICATE_ROWS if DUPLICATE_ROWS in types else "0"
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
        if DROP_REASON in types:
            relation += f" WHERE {DROP_REASON} IS NULL"
    (rows,) = connection.execute(
        f"COPY (SELECT {written} FROM {relation}) TO {quote(str(path))} (FORMAT parquet, COMPRESSION zstd)",
        parameters,
    ).fetchone()
    return int(rows), dropped


_COUNTING = {DROP_REASON, DUPLICATE_ROWS}


def _written(column: str, kind: str) -> str:
    width = "DOUBLE" if kind.startswith("DECIMAL") else _BIGQUERY_WIDTHS.get(kind)
    return f'CAST("{column}" AS {width}) AS "{column}"' if width else f'"{column}"'
