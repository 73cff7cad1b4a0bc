"""Output tables in a DuckDB file: replaced in one transaction, with their earlier versions beside them."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa

from holley_assets.resources.warehouse.duckdb.errors import without_quoted_values
from holley_assets.resources.warehouse.duckdb.files import parquet_relation, quote
from holley_assets.resources.warehouse.duckdb.parquet_sources import column_type
from holley_assets.resources.warehouse.duckdb.rows import count_rows, only_row
from holley_assets.resources.warehouse.exposures import EXPOSURES_SCHEMA, log_statements
from holley_assets.resources.warehouse.interface import (
    ChangedError,
    Exposures,
    MissingTableError,
    Unchanged,
    WarehouseError,
    check_identifiers,
    check_snapshot,
    require_condition,
    snapshot_name,
    snapshots_of,
    staged_name,
)
from holley_assets.resources.warehouse.source_tables import TableDescription

# Schema of tables that wait for their checks.
STAGING = "staging"
_ATTACHED = "output_tables"


class DuckDBTables:
    """The output tables of a warehouse on this machine.

    Args:
        database: DuckDB file; made when first written.
        lock_seconds: how long to wait for another process that holds the database.
        guarded: dataset and name of the tables that are replaced under a condition alone.
    """

    def __init__(
        self, database: Path, *, lock_seconds: float, guarded: Collection[tuple[str, str]] = ()
    ) -> None:
        self._database = database
        self._lock_seconds = lock_seconds
        self._guarded = guarded

    def describe_table(self, dataset: str, table: str) -> TableDescription:
        """Columns, rows and age of ``dataset.table``, without reading its rows.

        Raises:
            MissingTableError: there is no such table.
            WarehouseError: another process holds the database.
        """
        with self._existing_table(dataset, table) as (connection, name):
            schema = connection.execute(f"SELECT * FROM {name} LIMIT 0").to_arrow_table().schema
            return TableDescription(
                location=f"{self._database} {dataset}.{table}",
                columns={field.name: column_type(field.type) for field in schema},
                rows=count_rows(connection, name),
                last_modified=self._written_at(connection, dataset, table),
            )

    def require_writable(self, datasets: Collection[str]) -> None:
        """Nothing to be sure of: a schema is made with its first table, in a file that is this project's own.

        Raises:
            WarehouseError: a name is not an identifier.
        """
        check_identifiers(*datasets)

    def replace_table(
        self, dataset: str, table: str, data: pa.Table | Path, *, keep_snapshot: bool = True
    ) -> int:
        """Put an Arrow table or a Parquet file in the place of ``dataset.table``; returns its rows.

        One transaction: a reader sees the old table or the new one, and a crash leaves the old one. With
        ``keep_snapshot`` the old table stays as a snapshot.

        Raises:
            WarehouseError: a name is not an identifier, or another process holds the database.
        """
        check_identifiers(dataset, table)
        require_condition(self._guarded, dataset, table, None)
        self._database.parent.mkdir(parents=True, exist_ok=True)
        with self._transaction(dataset) as connection:
            if isinstance(data, Path):
                relation = parquet_relation([data])
            else:
                relation = "replacement"
                connection.register(relation, data)
            return self._replace(connection, dataset, table, relation, keep_snapshot=keep_snapshot)

    def stage_table(self, table: str, data: Path, version: str) -> str:
        """Load a Parquet file into a staged table, named for its version; returns the name.

        One transaction; the staged tables of earlier versions go with it.

        Raises:
            WarehouseError: a name is not an identifier, or another process holds the database.
        """
        staged = staged_name(table, version)
        check_identifiers(table, staged)
        self._database.parent.mkdir(parents=True, exist_ok=True)
        with self._transaction(STAGING) as connection:
            for earlier in _tables(connection, STAGING):
                if earlier.startswith(staged_name(table, "")):
                    connection.execute(f"DROP TABLE {_qualified(STAGING, earlier)}")
            connection.execute(
                f"CREATE TABLE {_qualified(STAGING, staged)} AS FROM {parquet_relation([data])}"
            )
        return staged

    def publish_staged(
        self,
        staged: str,
        dataset: str,
        table: str,
        *,
        keep_snapshot: bool = True,
        unless_changed: Unchanged | None = None,
        exposures: Exposures | None = None,
    ) -> int:
        """Put a staged table in the place of ``dataset.table``, in one transaction; returns its rows.

        Whom the rows expose is logged in the same transaction, where ``exposures`` says so.

        Raises:
            ChangedError: the condition does not hold; nothing was replaced.
            WarehouseError: there is no such staged table, another process holds the database, or the table is
                guarded and no condition was named.
        """
        check_identifiers(dataset, table)
        require_condition(self._guarded, dataset, table, unless_changed)
        with self._existing_table(STAGING, staged) as (_, source):
            pass
        with self._transaction(dataset) as connection:
            _require_unchanged(connection, unless_changed)
            _log(connection, source, exposures)
            return self._replace(connection, dataset, table, source, keep_snapshot=keep_snapshot)

    def append_rows(self, dataset: str, table: str, rows: pa.Table) -> None:
        """Add rows to ``dataset.table``, in one transaction; the table is made with its first rows.

        Raises:
            WarehouseError: a name is not an identifier, or another process holds the database.
        """
        name = _qualified(dataset, table)
        self._database.parent.mkdir(parents=True, exist_ok=True)
        with self._transaction(dataset) as connection:
            connection.register("appended", rows)
            if table in _tables(connection, dataset):
                connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM appended")
            else:
                connection.execute(f"CREATE TABLE {name} AS FROM appended")

    def attach_output(self, connection: duckdb.DuckDBPyConnection, dataset: str, table: str) -> str:
        """Make ``dataset.table`` readable from a connection to elsewhere; returns its name there.

        Raises:
            MissingTableError: there is no such table.
            WarehouseError: another process holds the database.
        """
        with self._existing_table(dataset, table) as (_, name):
            pass
        attached = f"ATTACH IF NOT EXISTS {quote(str(self._database))} AS {_ATTACHED} (READ_ONLY)"
        self._wait_for_lock(lambda: connection.execute(attached))
        return f"{_ATTACHED}.{name}"

    def read_table(self, dataset: str, table: str) -> pa.Table:
        """Read ``dataset.table`` as it was last replaced.

        Raises:
            WarehouseError: there is no such table, or another process holds the database.
        """
        with self._existing_table(dataset, table) as (connection, name):
            return connection.execute(f"SELECT * FROM {name}").to_arrow_table()

    def value_counts(self, dataset: str, table: str, columns: Sequence[str]) -> dict[tuple[object, ...], int]:
        """Rows of ``dataset.table`` for each combination of values in ``columns``.

        Raises:
            WarehouseError: there is no such table or column, or another process holds the database.
        """
        check_identifiers(*columns)
        names = ", ".join(f'"{column}"' for column in columns)
        with self._existing_table(dataset, table) as (connection, name):
            try:
                found = connection.execute(
                    f"SELECT {names}, count(*) FROM {name} GROUP BY {names}"
                ).fetchall()
            except duckdb.BinderException as error:
                raise WarehouseError(f"{dataset}.{table} has not the columns {names}") from error
        return {tuple(values): int(rows) for *values, rows in found}

    def drop_snapshot(self, dataset: str, table: str, snapshot: str) -> None:
        """Remove a snapshot of ``dataset.table``.

        Raises:
            WarehouseError: it is none, or another process holds the database.
        """
        check_snapshot(table, snapshot)
        with self._transaction(dataset) as connection:
            connection.execute(f"DROP TABLE IF EXISTS {_qualified(dataset, snapshot)}")

    def list_snapshots(self, dataset: str, table: str) -> list[str]:
        """Names of the snapshots of ``dataset.table``, newest first.

        Raises:
            WarehouseError: a name is not an identifier, or another process holds the database.
        """
        check_identifiers(dataset, table)
        if not self._database.is_file():
            return []
        with self._connection(read_only=True) as connection:
            return snapshots_of(table, _tables(connection, dataset))

    def restore_snapshot(
        self,
        dataset: str,
        table: str,
        snapshot: str,
        *,
        unless_changed: Unchanged | None = None,
        exposures: Exposures | None = None,
    ) -> int:
        """Put a snapshot in the place of ``dataset.table``, in one transaction; returns its rows.

        Whom the rows expose is logged in the same transaction, where ``exposures`` says so.

        Raises:
            ChangedError: the condition does not hold; nothing was replaced.
            WarehouseError: there is no such snapshot, another process holds the database, or the table is
                guarded and no condition was named.
        """
        check_snapshot(table, snapshot)
        require_condition(self._guarded, dataset, table, unless_changed)
        with self._existing_table(dataset, snapshot):
            pass
        with self._transaction(dataset) as connection:
            _require_unchanged(connection, unless_changed)
            source = _qualified(dataset, snapshot)
            _log(connection, source, exposures)
            return self._replace(connection, dataset, table, source, keep_snapshot=True)

    def _replace(
        self,
        connection: duckdb.DuckDBPyConnection,
        dataset: str,
        table: str,
        relation: str,
        *,
        keep_snapshot: bool,
    ) -> int:
        name = _qualified(dataset, table)
        if keep_snapshot and table in _tables(connection, dataset):
            snapshot = snapshot_name(table, self._written_at(connection, dataset, table))
            connection.execute(f"CREATE OR REPLACE TABLE {_qualified(dataset, snapshot)} AS FROM {name}")
        connection.execute(f"CREATE OR REPLACE TABLE {name} AS FROM {relation}")
        # DuckDB does not remember when a table was written.
        written = datetime.datetime.now(datetime.UTC).isoformat()
        connection.execute(f"COMMENT ON TABLE {name} IS {quote(written)}")
        return count_rows(connection, name)

    def _written_at(
        self, connection: duckdb.DuckDBPyConnection, dataset: str, table: str
    ) -> datetime.datetime:
        described = "SELECT comment FROM duckdb_tables() WHERE schema_name = ? AND table_name = ?"
        (comment,) = only_row(connection.execute(described, [dataset, table]))
        if comment is None:
            # Written by a version that left no comment: not after the file.
            return datetime.datetime.fromtimestamp(self._database.stat().st_mtime, tz=datetime.UTC)
        return datetime.datetime.fromisoformat(comment)

    @contextlib.contextmanager
    def _existing_table(self, dataset: str, table: str) -> Iterator[tuple[duckdb.DuckDBPyConnection, str]]:
        name = _qualified(dataset, table)
        if not self._database.is_file():
            raise MissingTableError(
                f"{dataset}.{table} does not exist: there is no database {self._database}"
            )
        with self._connection(read_only=True) as connection:
            if table not in _tables(connection, dataset):
                raise MissingTableError(f"{dataset}.{table} does not exist in {self._database}")
            yield connection, name

    @contextlib.contextmanager
    def _transaction(self, dataset: str) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._connection(read_only=False) as connection:
            connection.execute("BEGIN")
            connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{dataset}"')
            # Whatever is raised in here closes the connection, which rolls back.
            yield connection
            connection.execute("COMMIT")

    @contextlib.contextmanager
    def _connection(self, *, read_only: bool) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._wait_for_lock(
            lambda: duckdb.connect(str(self._database), read_only=read_only)
        ) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            with without_quoted_values(f"{'reading' if read_only else 'writing'} {self._database}"):
                yield connection

    def _wait_for_lock(self, attempt: Callable[[], duckdb.DuckDBPyConnection]) -> duckdb.DuckDBPyConnection:
        deadline = time.monotonic() + self._lock_seconds
        while True:
            try:
                return attempt()
            except (duckdb.IOException, duckdb.ConnectionException) as error:
                if time.monotonic() >= deadline:
                    reason = str(error).splitlines()[0]
                    raise WarehouseError(
                        f"{self._database} cannot be opened after {self._lock_seconds:g} s ({reason})"
                    ) from error
                time.sleep(0.1)


def _require_unchanged(connection: duckdb.DuckDBPyConnection, condition: Unchanged | None) -> None:
    if condition is None:
        return
    rows = 0
    if condition.table in _tables(connection, condition.dataset):
        rows = count_rows(connection, _qualified(condition.dataset, condition.table))
    if rows != condition.rows:
        raise ChangedError(f"{condition.dataset}.{condition.table} has {rows} rows, it had {condition.rows}")


def _log(connection: duckdb.DuckDBPyConnection, source: str, exposures: Exposures | None) -> None:
    if exposures is None:
        return
    log = _qualified(exposures.dataset, exposures.table)
    connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{exposures.dataset}"')
    if exposures.table not in _tables(connection, exposures.dataset):
        connection.register("no_exposures", EXPOSURES_SCHEMA.empty_table())
        connection.execute(f"CREATE TABLE {log} AS FROM no_exposures")
    for statement in log_statements(log, source, exposures, datetime.datetime.now(datetime.UTC)):
        connection.execute(statement)


def _tables(connection: duckdb.DuckDBPyConnection, dataset: str) -> list[str]:
    rows = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = ?", [dataset]
    ).fetchall()
    return [name for (name,) in rows]


def _qualified(dataset: str, table: str) -> str:
    check_identifiers(dataset, table)
    return f'"{dataset}"."{table}"'
