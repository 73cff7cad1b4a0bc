"""Publishes a table again and again, killed with SIGKILL one step later each time, and says what readers then see.

``python killed_publishing.py duckdb FOLDER`` or ``python killed_publishing.py bigquery FOLDER URL PROJECT DATASET``;
with ``logged-duckdb`` or ``logged-bigquery`` the exposures of an experiment are logged with the table.
A step is a statement to DuckDB or a request to BigQuery that changes something. The process dies before it is sent,
which is also right after the one before it was answered. One line of JSON for each attempt:
``{"killed": true, "step": 3, "seen": ["old"], "again": ["new"]}``, and what the log holds then as ``"logged"`` and
``"logged_again"``.
"""

from __future__ import annotations

import datetime
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
from holley_assets.resources.warehouse.interface import Exposures, Unchanged, Warehouse

OLD = pa.table({"email_lower": ["old"] * 3})
NEW = pa.table({"email_lower": ["new"] * 5})
TABLE = "recommendations"
RECORD, LOG = "record", "experiment_exposures"
DAY = datetime.date(2026, 2, 2)


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
    duckdb.connect = lambda *args, **kwargs: CountedConnection(connect(*args, **kwargs))  # type: ignore[assignment]
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


def served(name: str, users: int) -> pa.Table:
    """A table of users who are all shown the part ``name``."""
    columns = {"email_lower": [f"{user}@x.com" for user in range(users)]}
    texts = {"arm": "sql", "assigned_arm": "sql", "model_version": "sql"}
    texts |= {f"rec_part_{slot}": name for slot in range(1, 5)}
    return pa.table({**columns, **{column: [text] * users for column, text in texts.items()}})


def publish(warehouse: Warehouse, dataset: str, path: Path, *, logged: bool) -> None:
    staged = warehouse.stage_table(TABLE, path, checksum(path))
    if not logged:
        warehouse.publish_staged(staged, dataset, TABLE)
        return
    exposures = Exposures(dataset, LOG, "spring", DAY, 0.5, {"sql": "sql"}, "run")
    condition = Unchanged(dataset, RECORD, 1)
    warehouse.publish_staged(staged, dataset, TABLE, unless_changed=condition, exposures=exposures)


def attempt(warehouse: Warehouse, dataset: str, path: Path, step: int, *, logged: bool) -> bool:
    """Publish in a process of its own, which dies before a step; whether it did."""
    child = os.fork()
    if child == 0:
        FUSE.light(step)
        publish(warehouse, dataset, path, logged=logged)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def seen(warehouse: Warehouse, dataset: str, *, logged: bool) -> list[str]:
    column = "rec_part_1" if logged else "email_lower"
    values: list[str] = warehouse.read_table(dataset, TABLE)[column].to_pylist()
    return values


def log(warehouse: Warehouse, dataset: str, *, logged: bool) -> list[tuple[str, str]]:
    if not logged:
        return []
    rows = warehouse.read_table(dataset, LOG).to_pylist()
    return sorted((row["email_lower"], row["rec_part_1"]) for row in rows)


def main() -> None:
    engine, folder = sys.argv[1].removeprefix("logged-"), Path(sys.argv[2])
    logged = engine != sys.argv[1]
    warehouse = open_duckdb(folder) if engine == "duckdb" else open_bigquery(folder, *sys.argv[3:6])
    dataset = "output" if engine == "duckdb" else sys.argv[5]
    old, new = folder / "old.parquet", folder / "new.parquet"
    pq.write_table(served("old", 3) if logged else OLD, old)
    pq.write_table(served("new", 3) if logged else NEW, new)
    if logged:
        warehouse.append_rows(dataset, RECORD, pa.table({"state": ["begun"]}))
    killed, step = True, 0
    while killed:
        if logged:
            publish(warehouse, dataset, old, logged=True)
        else:
            warehouse.replace_table(dataset, TABLE, OLD)
        killed = attempt(warehouse, dataset, new, step, logged=logged)
        line = {"killed": killed, "step": step, "seen": seen(warehouse, dataset, logged=logged)}
        line["logged"] = log(warehouse, dataset, logged=logged)
        publish(warehouse, dataset, new, logged=logged)
        line["again"] = seen(warehouse, dataset, logged=logged)
        line["logged_again"] = log(warehouse, dataset, logged=logged)
        print(json.dumps(line), flush=True)
        step += 1


if __name__ == "__main__":
    main()
