"""Output tables in BigQuery: staged, then copied over the old table at once, with earlier versions beside it."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Collection, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.parquet as pq
from google.cloud import bigquery
from google.cloud.bigquery_storage import BigQueryReadClient

from holley_assets.resources.storage.interface import checksum
from holley_assets.resources.warehouse.bigquery.client import readable_errors
from holley_assets.resources.warehouse.bigquery.jobs import job_labels
from holley_assets.resources.warehouse.bigquery.reads import download
from holley_assets.resources.warehouse.bigquery.replacements import GuardedReplacements
from holley_assets.resources.warehouse.bigquery.schema import columns_of_schema, schema_of_arrow
from holley_assets.resources.warehouse.interface import (
    Exposures,
    MissingTableError,
    Origin,
    Unchanged,
    WarehouseError,
    check_snapshot,
    require_condition,
    snapshot_name,
    snapshots_of,
    staged_name,
)
from holley_assets.resources.warehouse.source_tables import TableDescription
from holley_assets.settings import BigQuerySettings


class BigQueryTables(GuardedReplacements):
    """The output tables of a warehouse in BigQuery.

    Args:
        client: BigQuery's.
        read_client: the Storage API's; without it rows are read in pages.
        settings: project, datasets and patience.
        guarded: dataset and name of the tables that are replaced under a condition alone.
        temporary_directory: for files on their way.
        origin: the step of a run that asks.
    """

    def __init__(
        self,
        client: bigquery.Client,
        read_client: BigQueryReadClient | None,
        settings: BigQuerySettings,
        *,
        temporary_directory: Path,
        origin: Origin | None = None,
        guarded: Collection[tuple[str, str]] = (),
    ) -> None:
        super().__init__(client, settings, origin)
        self._read_client = read_client
        self._guarded = guarded
        self._temporary_directory = temporary_directory

    def describe_table(self, dataset: str, table: str) -> TableDescription:
        """Columns, rows and age of ``dataset.table``, without reading its rows.

        Raises:
            MissingTableError: there is no such table.
            WarehouseError: it may not be read.
        """
        name = self.full_name(dataset, table)
        found = self._find(name)
        if found is None:
            raise MissingTableError(f"{name} does not exist")
        return describe(found)

    def read_table(self, dataset: str, table: str) -> pa.Table:
        """Read ``dataset.table``, in no order.

        Raises:
            WarehouseError: there is no such table, or it may not be read.
        """
        self.describe_table(dataset, table)
        with self._folder() as folder:
            path = folder / f"{table}.parquet"
            download(self._client, self._read_client, self.full_name(dataset, table), path, self._retry)
            return pq.read_table(path)

    def replace_table(
        self, dataset: str, table: str, data: pa.Table | Path, *, keep_snapshot: bool = True
    ) -> int:
        """Put an Arrow table or a Parquet file in the place of ``dataset.table``; returns its rows.

        Raises:
            WarehouseError: a name is not an identifier, or BigQuery refuses a step.
        """
        self.full_name(dataset, table)
        require_condition(self._guarded, dataset, table, None)
        with self._folder() as folder:
            path = data if isinstance(data, Path) else folder / f"{table}.parquet"
            if isinstance(data, pa.Table):
                pq.write_table(data, path, compression="zstd")
            staged = self.stage_table(table, path, checksum(path))
        rows = self.publish_staged(staged, dataset, table, keep_snapshot=keep_snapshot)
        with readable_errors(f"removing {staged}"):
            self._client.delete_table(f"{self._settings.working_dataset}.{staged}", not_found_ok=True)
        return rows

    def stage_table(self, table: str, data: Path, version: str) -> str:
        """Load a Parquet file beside the working tables, under a name of its version; returns the name.

        The name says what is in it, so that it can be loaded again by a retry and never be another's.

        Raises:
            WarehouseError: BigQuery refuses the file.
        """
        staged = staged_name(table, version)
        target = f"{self._client.project}.{self._settings.working_dataset}.{staged}"
        parquet = bigquery.ParquetOptions()
        # Parquet wraps the elements of a list in a struct; without this they arrive wrapped.
        parquet.enable_list_inference = True
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
            schema=schema_of_arrow(pq.read_schema(data)),
            parquet_options=parquet,
            labels=job_labels(self._origin, table),
        )
        with readable_errors(f"loading {target}"), data.open("rb") as file:
            self._client.load_table_from_file(file, target, job_config=config).result(retry=self._retry)
        self.expire(staged)
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
        """Put a staged table in the place of ``dataset.table``; returns its rows.

        First the table as it was is copied to a snapshot. Then one job replaces the table: readers see the old one or
        the new one, and whoever is killed in between leaves one of them. Each step may be repeated. Without a
        condition the job is a copy, which costs nothing; with one it is a query that looks at the condition as it
        reads the rows, and fails as a whole where that does not hold. Where exposures are logged it is a script of one
        transaction.

        Raises:
            ChangedError: the condition does not hold; the table was not replaced.
            WarehouseError: there is no such staged table, BigQuery refuses a step, or the table is guarded and no
                condition was named.
        """
        self.full_name(dataset, table)
        require_condition(self._guarded, dataset, table, unless_changed)
        source = self.full_name(self._settings.working_dataset, staged)
        if self._find(source) is None:
            raise WarehouseError(f"{source} does not exist or has expired: stage and check the table again")
        return self._put(source, dataset, table, keep_snapshot, unless_changed, exposures)

    def append_rows(self, dataset: str, table: str, rows: pa.Table) -> None:
        """Add rows to ``dataset.table`` with one load job; the table is made with its first rows.

        Raises:
            WarehouseError: a name is not an identifier, or BigQuery refuses the rows.
        """
        target = self.full_name(dataset, table)
        config = bigquery.LoadJobConfig(
            source_format=bigquery.SourceFormat.PARQUET,
            write_disposition=bigquery.WriteDisposition.WRITE_APPEND,
            schema=schema_of_arrow(rows.schema),
            labels=job_labels(self._origin, table),
        )
        with self._folder() as folder, readable_errors(f"adding rows to {target}"):
            path = folder / f"{table}.parquet"
            pq.write_table(rows, path, compression="zstd")
            with path.open("rb") as file:
                self._client.load_table_from_file(file, target, job_config=config).result(retry=self._retry)

    def drop_snapshot(self, dataset: str, table: str, snapshot: str) -> None:
        """Remove a snapshot of ``dataset.table``.

        Raises:
            WarehouseError: it is none, or BigQuery refuses.
        """
        check_snapshot(table, snapshot)
        name = self.full_name(dataset, snapshot)
        with readable_errors(f"removing {name}"):
            self._client.delete_table(name, not_found_ok=True, retry=self._retry)

    def list_snapshots(self, dataset: str, table: str) -> list[str]:
        """Names of the snapshots of ``dataset.table``, newest first.

        Raises:
            WarehouseError: a name is not an identifier, or the dataset may not be read.
        """
        place = self.full_name(dataset, table).rpartition(".")[0]
        with readable_errors(f"listing {place}"):
            listed = [item.table_id for item in self._client.list_tables(place, retry=self._retry)]
        return snapshots_of(table, listed)

    def restore_snapshot(
        self,
        dataset: str,
        table: str,
        snapshot: str,
        *,
        unless_changed: Unchanged | None = None,
        exposures: Exposures | None = None,
    ) -> int:
        """Put a snapshot in the place of ``dataset.table``, with one job; returns its rows.

        Raises:
            ChangedError: the condition does not hold; the table was not replaced.
            WarehouseError: there is no such snapshot, BigQuery refuses a step, or the table is guarded and no
                condition was named.
        """
        check_snapshot(table, snapshot)
        self.full_name(dataset, table)
        require_condition(self._guarded, dataset, table, unless_changed)
        source = self.full_name(dataset, snapshot)
        if self._find(source) is None:
            raise WarehouseError(f"{source} does not exist")
        return self._put(source, dataset, table, True, unless_changed, exposures)

    def expire(self, table: str) -> None:
        """Let a table of the working dataset go after its time."""
        hours = datetime.timedelta(hours=self._settings.working_hours)
        with readable_errors(f"setting when {table} expires"):
            found = self._client.get_table(f"{self._settings.working_dataset}.{table}", retry=self._retry)
            found.expires = datetime.datetime.now(datetime.UTC) + hours
            self._client.update_table(found, ["expires"], retry=self._retry)

    def _put(
        self,
        source: str,
        dataset: str,
        table: str,
        keep_snapshot: bool,
        condition: Unchanged | None,
        exposures: Exposures | None,
    ) -> int:
        target = self.full_name(dataset, table)
        current = self._find(target)
        if keep_snapshot and current is not None:
            self._copy(target, self.full_name(dataset, snapshot_name(table, _modified(current))))
        if exposures is not None:
            assert condition is not None, "exposures are of the serving table, which is guarded"
            return self._replace_and_log(source, target, current, condition, exposures)
        if condition is not None:
            self._replace_unless_changed(source, target, condition)
        else:
            self._copy(source, target)
        return self.describe_table(dataset, table).rows

    def _copy(self, source: str, target: str) -> None:
        config = bigquery.CopyJobConfig(
            write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
            labels=job_labels(self._origin, target.rpartition(".")[2]),
        )
        with readable_errors(f"copying {source} to {target}"):
            job = self._client.copy_table(source, target, job_config=config, retry=self._retry)
            job.result(retry=self._retry)

    @contextlib.contextmanager
    def _folder(self) -> Iterator[Path]:
        self._temporary_directory.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=self._temporary_directory, prefix="bigquery-") as folder:
            yield Path(folder)


def describe(table: bigquery.Table) -> TableDescription:
    """What BigQuery's metadata says of a table."""
    return TableDescription(
        location=f"{table.project}.{table.dataset_id}.{table.table_id}",
        columns=columns_of_schema(table.schema),
        rows=int(table.num_rows or 0),
        last_modified=_modified(table),
    )


def _modified(table: bigquery.Table) -> datetime.datetime:
    modified: datetime.datetime | None = table.modified or table.created
    assert modified is not None, "BigQuery dates every table"
    return modified
