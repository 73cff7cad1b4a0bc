"""DuckDB in memory, for one piece of work that may spill to a folder."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb


@contextlib.contextmanager
def scratch_connection(
    temporary_directory: Path, memory_limit: str = "4GB"
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to nothing, in UTC.

    Args:
        temporary_directory: where a query that needs more memory spills; made when missing, left empty.
        memory_limit: the most memory a query takes before it spills, as DuckDB writes it.
    """
    temporary_directory.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=temporary_directory, prefix="duckdb-") as spill,
        duckdb.connect(
            ":memory:", config={"memory_limit": memory_limit, "temp_directory": spill}
        ) as connection,
    ):
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
