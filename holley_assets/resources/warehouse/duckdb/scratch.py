"""DuckDB in memory, for one piece of work that may spill to a folder."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb

# Of what DuckDB takes by itself: 80 % of the memory of the machine, or of its container. The rest is for PyTorch,
# Arrow and mapped files. At 475,000 users the hungriest query takes 20 s within 3 GB, 22 s within 2 GB and 34 s
# within 1 GB.
MEMORY_SHARE = 0.25
# Steps of a run that run side by side unless a setting says otherwise.
PROCESSES = 2


@functools.cache
def memory_limit(processes: int = PROCESSES) -> str:
    """The most memory that a query takes before it spills, as DuckDB writes it: ``"2.3 GiB"``.

    It is a share of the memory of the machine, or of its container, divided among the processes that may query at
    once.

    Args:
        processes: how many, at least 1.
    """
    with duckdb.connect() as connection:
        row = connection.execute("SELECT current_setting('memory_limit')").fetchone()
    assert row is not None, "a SELECT of a constant has a row"
    amount, unit = row[0].split()
    return f"{float(amount) * MEMORY_SHARE / processes:.3f} {unit}"


@contextlib.contextmanager
def scratch_connection(
    temporary_directory: Path, processes: int = PROCESSES
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection to nothing, in UTC.

    Args:
        temporary_directory: where a query that needs more memory spills; made when missing, left empty.
        processes: how many share the memory, see :func:`memory_limit`.
    """
    temporary_directory.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(dir=temporary_directory, prefix="duckdb-") as spill,
        duckdb.connect(
            ":memory:", config={"memory_limit": memory_limit(processes), "temp_directory": spill}
        ) as connection,
    ):
        connection.execute("SET TimeZone = 'UTC'")
        yield connection
