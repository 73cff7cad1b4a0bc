"""Publishes a table again and again, killed with SIGKILL one step later each time, and says what readers then see.

``python killed_publishing.py duckdb FOLDER`` or ``python killed_publishing.py bigquery FOLDER URL PROJECT DATASET``.
A step is a statement to DuckDB or a request to BigQuery that changes something. The process dies before it is sent,
which is also right after the one before it was answered. One line of JSON for each attempt:
``{"killed": true, "step": 3, "seen": ["old"], "again": ["new"]}``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import requests

from holley_assets.resources.storage.interface import checksum
from holley_assets.resources.warehouse.interface import Warehouse

OLD = pa.table({"email_lower": ["old"] * 3})
NEW = pa.table({"email_lower": ["new"] * 5})
TABLE = "recommendations"


class Fuse:
    """Kills this process before one of its steps."""

    def __init__(self) -> None:
        self._left = -1
        self.burnt = 0

    def light(self, step: int) -> None:
        """Count from now on."""
        self._left = step

    def burn(self) -> None:
        """One step is about to be taken."""
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        self._left -= 1
        self.burnt += 1


FUSE = Fuse()
_ASKS = ("SELECT", "SET", "DESCRIBE")


class CountedConnection:
    """A DuckDB connection whose statements are steps."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def execute(self, statement: str, *arguments: Any) -> CountedConnection:
        if not statement.lstrip().startswith(_ASKS):
            FUSE.burn()
        self._connection.execute(statement, *arguments)
        return self

    def __enter__(self) -> CountedConnection:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def open_duckdb(folder: Path) -> Warehouse:
    from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse

    connect = duckdb.connect
    duckdb.connect = lambda *args, **kwargs: CountedConnection(connect(*args, **kwargs))  # type: ignore
    return DuckDBWarehouse(
        sources={}, assets={}, database=folder / "warehouse.duckdb", temporary_directory=folder / "tmp"
    )


def open_bigquery(folder: Path, url: str, project: str, working: str) -> Warehouse:
    from holley_assets.resources.warehouse.bigquery.client import open_client
    from holley_assets.resources.warehouse.bigquery.warehouse import BigQueryWarehouse
    from holley_assets.settings import BigQuerySettings

    send = requests.Session.send

    def counted_send(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> Any:
        if request.method != "GET":
            FUSE.burn()
        return send(session, request, **options)

    requests.Session.send = counted_send  # type: ignore[method-assign,assignment]
    settings = BigQuerySettings(project=project, working_dataset=working, emulator=url)
    return BigQueryWarehouse(open_client(settings), None, settings, temporary_directory=folder / "tmp")


def publish(warehouse: Warehouse, dataset: str, path: Path) -> None:
    staged = warehouse.stage_table(TABLE, path, checksum(path))
    warehouse.publish_staged(staged, dataset, TABLE)


def attempt(warehouse: Warehouse, dataset: str, path: Path, step: int) -> bool:
    """Publish in a process of its own, which dies before a step; whether it did."""
    child = os.fork()
    if child == 0:
        FUSE.light(step)
        publish(warehouse, dataset, path)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def seen(warehouse: Warehouse, dataset: str) -> list[str]:
    return warehouse.read_table(dataset, TABLE)["email_lower"].to_pylist()


def main() -> None:
    engine, folder = sys.argv[1], Path(sys.argv[2])
    warehouse = open_duckdb(folder) if engine == "duckdb" else open_bigquery(folder, *sys.argv[3:6])
    dataset = "output" if engine == "duckdb" else sys.argv[5]
    new = folder / "new.parquet"
    pq.write_table(NEW, new)
    killed, step = True, 0
    while killed:
        warehouse.replace_table(dataset, TABLE, OLD)
        killed = attempt(warehouse, dataset, new, step)
        found = seen(warehouse, dataset)
        publish(warehouse, dataset, new)
        line = {"killed": killed, "step": step, "seen": found, "again": seen(warehouse, dataset)}
        print(json.dumps(line), flush=True)
        step += 1


if __name__ == "__main__":
    main()
