"""The BigQuery emulator: a real server on loopback for the real client."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import grpc
import pyarrow.parquet as pq
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery_storage import BigQueryReadClient
from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

from holley_assets.resources.warehouse.bigquery.schema import schema_of_arrow
from holley_assets.resources.warehouse.duckdb.rows import only_row
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES
from holley_assets.resources.warehouse.sql_files import Datasets
from holley_assets.settings import BigQuerySettings

PROJECT = "holley-emulated"
START_SECONDS = 60.0
SERVER = Path(__file__).with_name("bigquery_emulator_server.py")


@dataclass(frozen=True)
class BigQueryEmulator:
    """A running emulator.

    ``HOLLEY_BIGQUERY_PROJECT=emulator.project`` and ``HOLLEY_BIGQUERY_EMULATOR=emulator.url`` point a run at it.
    """

    url: str
    grpc_address: str
    project: str = PROJECT

    def client(self) -> bigquery.Client:
        """The client that the code under test uses, without credentials."""
        return bigquery.Client(
            project=self.project,
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=self.url),
        )

    def settings(self, **changes: Any) -> BigQuerySettings:
        """Settings of a warehouse on this emulator; keywords change or add to them."""
        return BigQuerySettings(**{"project": self.project, "emulator": self.url, **changes})

    def create_datasets(self, *names: str) -> None:
        """Make datasets, where they are not there yet."""
        with self.client() as client:
            for name in names:
                client.create_dataset(name, exists_ok=True)

    def read_client(self) -> BigQueryReadClient:
        """The Storage API's client. The emulator streams tables through it, not anonymous results."""
        channel = grpc.insecure_channel(self.grpc_address)
        return BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel))

    def load_parquet(self, dataset: str, table: str, path: Path) -> None:
        """Make ``dataset.table`` of a Parquet file, as an export has it."""
        options = bigquery.ParquetOptions()
        options.enable_list_inference = True
        schema = schema_of_arrow(pq.read_schema(path))
        with self.client() as client, path.open("rb") as file:
            client.create_dataset(dataset, exists_ok=True)
            client.delete_table(f"{dataset}.{table}", not_found_ok=True)
            client.load_table_from_file(
                file,
                f"{self.project}.{dataset}.{table}",
                job_config=bigquery.LoadJobConfig(
                    source_format=bigquery.SourceFormat.PARQUET,
                    write_disposition=bigquery.WriteDisposition.WRITE_TRUNCATE,
                    parquet_options=options,
                    schema=schema,
                ),
            ).result()

    def load_sources(self, folder: Path) -> None:
        """Load the source tables of a folder of Parquet files to their datasets."""
        datasets = vars(Datasets())
        for name, table in SOURCE_TABLES.items():
            self.load_parquet(datasets[table.dataset], name, folder / f"{name}.parquet")


@contextmanager
def running_emulator(folder: Path) -> Iterator[BigQueryEmulator]:
    """Start the emulator on a free port with its files under ``folder``, and stop it at the end."""
    home = _home_with_spatial(folder / "home")
    with _free_ports() as (rest, streams):
        pass
    log = folder / "bqemulator.log"
    command = [sys.executable, str(SERVER), "start", "--rest-port", str(rest), "--grpc-port", str(streams)]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*command, "--project", PROJECT, "--log-level", "warning"],
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HOME": str(home)},
        ) as process,
    ):
        try:
            url = f"http://127.0.0.1:{rest}"
            _wait(url, process, log)
            yield BigQueryEmulator(url, f"127.0.0.1:{streams}")
        finally:
            process.terminate()


def _home_with_spatial(home: Path) -> Path:
    """A home folder with the DuckDB extension that the emulator loads, from its package instead of the net."""
    specification = importlib.util.find_spec("duckdb_extension_spatial")
    assert specification and specification.origin, "duckdb-extension-spatial is in the development extra"
    (extension,) = Path(specification.origin).parent.glob("extensions/*/*.duckdb_extension")
    connection = duckdb.connect()
    (platform,) = only_row(connection.execute("PRAGMA platform"))
    folder = home / ".duckdb" / "extensions" / f"v{duckdb.__version__}" / platform
    folder.mkdir(parents=True)
    shutil.copy(extension, folder)
    return home


@contextmanager
def _free_ports() -> Iterator[tuple[int, int]]:
    with socket.socket() as first, socket.socket() as second:
        for listener in (first, second):
            listener.bind(("127.0.0.1", 0))
        yield first.getsockname()[1], second.getsockname()[1]


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(f"{url}/bigquery/v2/projects/{PROJECT}/datasets", timeout=5).close()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.1)
        else:
            return
