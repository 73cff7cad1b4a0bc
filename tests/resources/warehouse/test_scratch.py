"""The memory that a query may take is a share of the machine's, divided among those that query at once."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.warehouse.duckdb import scratch
from holley_assets.resources.warehouse.duckdb.scratch import memory_limit, scratch_connection
from holley_assets.resources.warehouse.sql_files import read_query
from holley_assets.resources.warehouse_resource import WarehouseResource

GIB = 1024**3
UNITS = {"KiB": 1024, "MiB": 1024**2, "GiB": GIB, "TiB": 1024 * GIB}


def in_bytes(written: str) -> float:
    amount, unit = written.split()
    return float(amount) * UNITS[unit]


def limit_of(connection: duckdb.DuckDBPyConnection) -> float:
    row = connection.execute("SELECT current_setting('memory_limit')").fetchone()
    assert row is not None
    return in_bytes(row[0])


def test_processes_share_a_quarter_of_what_duckdb_would_take_alone() -> None:
    with duckdb.connect() as connection:
        alone = limit_of(connection)
    assert in_bytes(memory_limit(1)) == pytest.approx(alone / 4, rel=0.02)
    assert in_bytes(memory_limit(2)) == pytest.approx(alone / 8, rel=0.02)
    assert in_bytes(memory_limit(5)) == pytest.approx(alone / 20, rel=0.02)


def test_a_connection_keeps_to_the_limit(tmp_path: Path) -> None:
    with scratch_connection(tmp_path, processes=3) as connection:
        assert limit_of(connection) == pytest.approx(in_bytes(memory_limit(3)), rel=0.05)


def test_a_query_that_needs_more_spills_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scratch, "memory_limit", lambda processes: "64 MiB")
    rows = 4_000_000
    with scratch_connection(tmp_path) as connection:
        # Twice the limit: 16 bytes a row in the order of the hash, which no row group has.
        connection.execute(
            f"CREATE TABLE wide AS SELECT hash(i) AS a, i AS b FROM range({rows}) AS t(i) ORDER BY a"
        )
        assert list(tmp_path.rglob("*.tmp"))
        assert connection.execute("SELECT count(*), sum(b) FROM wide").fetchone() == (
            rows,
            rows * (rows - 1) // 2,
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("executor", "processes"), [("multiprocess", 5), ("k8s", 1)])
def test_steps_side_by_side_share_and_a_pod_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executor: str, processes: int
) -> None:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HOLLEY_COMPUTE_STEPS_AT_ONCE", "5")
    monkeypatch.setenv("HOLLEY_COMPUTE_EXECUTOR", executor)

    def limit(count: int) -> str:
        raise AskedError(f"{count} processes")

    monkeypatch.setattr(scratch, "memory_limit", limit)
    warehouse = WarehouseResource().open(SettingsResource().load(), tmp_path)
    values = dict.fromkeys(read_query("order_lines").parameters)
    with pytest.raises(AskedError, match=f"^{processes} processes$"):
        warehouse.query_to_parquet("order_lines", values, tmp_path / "order_lines.parquet")


class AskedError(Exception):
    """The limit was asked for."""
