"""Tables of BigQuery as Parquet files, a batch at a time."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from google.api_core.retry import Retry
from google.cloud import bigquery
from google.cloud.bigquery_storage import BigQueryReadClient

from holley_assets.resources.warehouse.bigquery.client import readable_errors
from holley_assets.resources.warehouse.bigquery.schema import arrow_schema, columns_of_schema
from holley_assets.resources.warehouse.duckdb.errors import without_quoted_values
from holley_assets.resources.warehouse.duckdb.files import parquet_relation, quote
from holley_assets.resources.warehouse.duckdb.scratch import scratch_connection

# Rows of a page where the Storage API is not used.
_PAGE_ROWS = 50_000
# Batches that wait to be written, and streams that fill them: what is in memory at any time.
_QUEUED_BATCHES = 8
_STREAMS = 4


def download(
    client: bigquery.Client, read_client: BigQueryReadClient | None, table: str, path: Path, retry: Retry
) -> int:
    """Stream a table into the Parquet file ``path``, in no order; returns its rows.

    Args:
        client: BigQuery's.
        read_client: the Storage API's, many times as fast as pages of JSON; without it pages are read.
        table: ``dataset.table`` of the client's project, or ``project.dataset.table``.
        path: the file, which is written in place.
        retry: how a request for a page is repeated.

    Raises:
        WarehouseError: there is no such table, or it may not be read.
    """
    reference = bigquery.TableReference.from_string(table, default_project=client.project)
    with readable_errors(f"reading {reference}"):
        found = client.get_table(reference, retry=retry)
        schema = arrow_schema(columns_of_schema(found.schema))
        rows = client.list_rows(found, page_size=_PAGE_ROWS, retry=retry)
        batches = rows.to_arrow_iterable(
            bqstorage_client=read_client, max_queue_size=_QUEUED_BATCHES, max_stream_count=_STREAMS
        )
        written = 0
        with pq.ParquetWriter(path, schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_table(pa.Table.from_batches([batch]).cast(schema))
                written += batch.num_rows
    return written


def sort_parquet(unsorted: Path, path: Path, order: str, temporary_directory: Path) -> None:
    """Write the rows of one Parquet file to another in an order, without holding them.

    A table of BigQuery has no order, whatever the query that made it asked for.

    Args:
        order: DuckDB's ORDER BY terms, of the file's columns.
    """
    with without_quoted_values(f"sorting {path.name}"), scratch_connection(temporary_directory) as connection:
        connection.execute(
            f"COPY (SELECT * FROM {parquet_relation([unsorted])} ORDER BY {order}) "
            f"TO {quote(str(path))} (FORMAT parquet, COMPRESSION zstd)"
        )
