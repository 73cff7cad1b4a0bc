"""BigQuery as the warehouse: the queries under ``sql/`` as they are, their results as tables that expire."""

from __future__ import annotations

import copy
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq
from google.cloud import bigquery
from google.cloud.bigquery_storage import BigQueryReadClient

from holley_assets.resources.warehouse.bigquery.datasets import require_writable
from holley_assets.resources.warehouse.bigquery.jobs import QueryRunner
from holley_assets.resources.warehouse.bigquery.reads import download, sort_parquet
from holley_assets.resources.warehouse.bigquery.spending import Spending
from holley_assets.resources.warehouse.bigquery.tables import BigQueryTables, describe
from holley_assets.resources.warehouse.duckdb.transpile import order_terms
from holley_assets.resources.warehouse.interface import (
    DROP_REASON,
    DUPLICATE_REASON,
    DUPLICATE_ROWS,
    Origin,
    QueryResult,
    WarehouseError,
    check_identifiers,
    snapshot_name,
)
from holley_assets.resources.warehouse.source_tables import (
    SOURCE_TABLES,
    MissingSourceTableError,
    SourceTableError,
    TableDescription,
)
from holley_assets.resources.warehouse.sql_files import Datasets, Query, QueryError, read_query
from holley_assets.settings import BigQuerySettings

_COUNTING = (DROP_REASON, DUPLICATE_ROWS)


class BigQueryWarehouse(BigQueryTables):
    """The warehouse of production.

    The rows of query ``x`` become table ``x`` of the working dataset, where later queries read them, and from
    there a Parquet file. Whoever reads ``{working}.x`` reads what the newest run wrote, as with the files.

    Args:
        client: BigQuery's.
        read_client: the Storage API's; without it rows are read in pages.
        settings: project, datasets, costs and patience.
        temporary_directory: for files on their way.
        origin: the step of a run that asks.
        spending: what the run's queries cost.
        stand_ins: ``dataset.table`` or ``project.dataset.table`` that queries read in the place of assets of
            these names.
        guarded: dataset and name of the output tables that are replaced under a condition alone.
        columns: of stand-ins for assets of these names queries see no others than these, by the names that the table
            has for them.
    """

    def __init__(
        self,
        client: bigquery.Client,
        read_client: BigQueryReadClient | None,
        settings: BigQuerySettings,
        *,
        temporary_directory: Path,
        origin: Origin | None = None,
        spending: Spending | None = None,
        stand_ins: Mapping[str, str] | None = None,
        guarded: Collection[tuple[str, str]] = (),
        columns: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        super().__init__(
            client,
            read_client,
            settings,
            temporary_directory=temporary_directory,
            origin=origin,
            guarded=guarded,
        )
        self._spending = spending
        self._stand_ins = dict(stand_ins or {})
        self._columns = columns or {}
        self._datasets = Datasets(
            settings.company_dataset, settings.data_company_dataset, settings.working_dataset
        )

    def describe_source(self, table: str, *, may_query: bool = True) -> TableDescription:
        """Columns, rows and age of a source table, from its metadata; the rows of a view are counted.

        Raises:
            MissingSourceTableError: there is no such table.
            SourceTableError: it may not be read, or it is a view and may not be counted.
        """
        dataset = vars(self._datasets)[SOURCE_TABLES[table].dataset]
        try:
            found = self._find(f"{dataset}.{table}")
            if found is None:
                raise MissingSourceTableError(
                    f"{table}: the table is missing; expected {dataset}.{table} in BigQuery"
                )
            if found.table_type == "TABLE":
                return describe(found)
            if not may_query:
                raise SourceTableError(
                    f"{table}: {dataset}.{table} is a {found.table_type.lower().replace('_', ' ')}, which tells "
                    "neither its rows nor when they changed"
                )
            return self._describe_view(table, found)
        except WarehouseError as error:
            raise SourceTableError(f"{table}: {error}") from error

    def require_writable(self, datasets: Collection[str]) -> None:
        """Make sure that tables can be made in ``datasets`` and in the working dataset; nothing is paid.

        Raises:
            WarehouseError: one line that names each dataset that is missing, elsewhere, or not to be written.
        """
        wanted = {self._settings.working_dataset, *datasets}
        places = sorted({self.full_name(dataset, "any_table").rpartition(".")[0] for dataset in wanted})
        require_writable(self._client, places, self._retry)

    def value_counts(self, dataset: str, table: str, columns: Sequence[str]) -> dict[tuple[object, ...], int]:
        """Rows of ``dataset.table`` for each combination of values in ``columns``.

        Raises:
            WarehouseError: there is no such table or column, or BigQuery refuses the query.
        """
        check_identifiers(*columns)
        written = self.describe_table(dataset, table).last_modified
        runner = QueryRunner(self._client, self._settings, self._origin, self._spending)
        names = ", ".join(columns)
        text = (
            f"SELECT {names}, COUNT(*) AS row_count FROM `{self.full_name(dataset, table)}` GROUP BY {names}"
        )
        # Named for the state of the table: a finished job answers for no later one.
        job = runner.run(runner.plan(f"{snapshot_name(table, written)}_{'_'.join(columns)}", text, {}))
        return {tuple(values): int(rows) for *values, rows in job.result(retry=self._retry)}

    def with_staged(self, staged: Mapping[str, str]) -> Self:
        """The same warehouse, where queries that read an asset of these names read a staged table instead."""
        dataset = self._settings.working_dataset
        return self.with_output({asset: (dataset, table) for asset, table in staged.items()})

    def with_output(self, output: Mapping[str, tuple[str, str]]) -> Self:
        """The same warehouse, where queries that read an asset of these names read an output table: dataset, table."""
        other = copy.copy(self)
        tables = {asset: self.full_name(*place) for asset, place in output.items()}
        other._stand_ins = {**self._stand_ins, **tables}
        return other

    def query_to_parquet(self, name: str, parameters: Mapping[str, object], path: Path) -> QueryResult:
        """Run ``sql/**/<name>.sql`` into table ``name`` of the working dataset, and write that to ``path``.

        ``drop_reason`` and ``duplicate_rows`` are counted and left out, as on DuckDB.

        Raises:
            QueryError: there is no such query, or a parameter has no value.
            BudgetError: the run would cost more than it may.
            WarehouseError: BigQuery refuses a step.
        """
        query = read_query(name, self._datasets)
        values = _values(query, parameters)
        text = self._reading_stand_ins(query.text)
        runner = QueryRunner(self._client, self._settings, self._origin, self._spending)
        plan = runner.plan(name, text, values)
        counting = [column for column in plan.columns if column in _COUNTING]
        table = f"{self._settings.working_dataset}.{name}"
        dropped: dict[str, int] = {}
        if counting:
            runner.run(plan, destination=f"{table}_judged")
            self.expire(f"{name}_judged")
            dropped = self._count_dropped(runner, name, f"{table}_judged", counting)
            kept = f"SELECT * EXCEPT ({', '.join(counting)}) FROM `{table}_judged`"
            if DROP_REASON in counting:
                kept += f" WHERE {DROP_REASON} IS NULL"
            plan = runner.plan(f"{name}_kept", kept, {})
        runner.run(plan, destination=table)
        self.expire(name)
        rows = self._write(query, table, path)
        return QueryResult(path, rows, dropped, runner.costs())

    def _reading_stand_ins(self, text: str) -> str:
        for asset, table in self._stand_ins.items():
            listed = [f"`{found}` AS `{name}`" for name, found in self._columns.get(asset, {}).items()]
            source = f"(SELECT {', '.join(listed)} FROM `{table}`)" if listed else f"`{table}`"
            text = text.replace(f"`{self._settings.working_dataset}.{asset}`", source)
        return text

    def _count_dropped(
        self, runner: QueryRunner, name: str, table: str, counting: list[str]
    ) -> dict[str, int]:
        reason = DROP_REASON if DROP_REASON in counting else "CAST(NULL AS STRING)"
        duplicates = DUPLICATE_ROWS if DUPLICATE_ROWS in counting else "0"
        counts = f"""
            SELECT
              COALESCE({reason}, '{DUPLICATE_REASON}') AS reason,
              SUM(IF({reason} IS NULL, 0, 1) + {duplicates}) AS source_rows
            FROM `{table}`
            GROUP BY reason
            HAVING source_rows > 0
            ORDER BY reason
        """
        job = runner.run(runner.plan(f"{name}_dropped", counts, {}))
        return {row["reason"]: int(row["source_rows"]) for row in job.result(retry=self._retry)}

    def _write(self, query: Query, table: str, path: Path) -> int:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        try:
            with self._folder() as folder:
                unsorted = folder / "unsorted.parquet"
                rows = download(self._client, self._read_client, table, unsorted, self._retry)
                flat = [
                    field.name for field in pq.read_schema(unsorted) if not pa.types.is_nested(field.type)
                ]
                sort_parquet(unsorted, partial, order_terms(query, tuple(flat)), self._temporary_directory)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return rows

    def _describe_view(self, table: str, view: bigquery.Table) -> TableDescription:
        dataset = vars(self._datasets)[SOURCE_TABLES[table].dataset]
        runner = QueryRunner(self._client, self._settings, self._origin, self._spending)
        counts = f"SELECT COUNT(*) AS row_count FROM `{dataset}.{table}`"
        job = runner.run(runner.plan(f"{table}_rows", counts, {}))
        ((rows,),) = job.result(retry=self._retry)
        described = describe(view)
        return TableDescription(described.location, described.columns, int(rows), described.last_modified)


def _values(query: Query, parameters: Mapping[str, object]) -> dict[str, object]:
    """Values of those parameters that the query names."""
    missing = sorted(query.parameters - parameters.keys())
    if missing:
        raise QueryError(f"query {query.name}: no value for {', '.join(missing)}")
    return {name: parameters[name] for name in sorted(query.parameters)}
