"""Which versions of a table are kept: a week of ordinary days must not push out the one that a rollback needs."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from holley_assets.assets import kept_versions
from holley_assets.assets.kept_versions import Version, drop_expired, expired_versions, latest_day
from holley_assets.resources.tracking.mlflow_store import TrackingError
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.settings import load_settings


def version(name: str, *models: str) -> Version:
    return Version(name, datetime.date(2026, 2, 1), frozenset(models), 3)


def test_of_the_older_the_last_of_the_previous_champion_and_the_last_of_sql_are_kept() -> None:
    older = [
        version("8", "new", "sql"),
        version("7", "old", "sql"),
        version("6", "sql"),
        version("5", "old"),
        version("4", "sql"),
        version("3", "older", "old"),
    ]
    assert expired_versions(older, "old") == ["8", "5", "4", "3"]
    assert expired_versions(older, "nobody") == ["8", "7", "5", "4", "3"]
    assert expired_versions(older, None) == ["8", "7", "5", "4", "3"]
    assert expired_versions([], "old") == []


@pytest.fixture
def warehouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DuckDBWarehouse:
    monkeypatch.setenv("HOLLEY_WAREHOUSE_SNAPSHOTS", "2")
    return DuckDBWarehouse(
        sources={}, assets={}, database=tmp_path / "warehouse.duckdb", temporary_directory=tmp_path
    )


def fill(warehouse: DuckDBWarehouse, day: int, *models: str) -> None:
    at = [datetime.datetime(2026, 2, day, tzinfo=datetime.UTC)] * len(models)
    warehouse.replace_table("served", "table", pa.table({"model_version": models, "generated_at": at}))


def kept(warehouse: DuckDBWarehouse) -> list[tuple[int, list[str]]]:
    found = [
        kept_versions.describe_version(warehouse, "served", name)
        for name in warehouse.list_snapshots("served", "table")
    ]
    return [(item.day.day if item.day else 0, sorted(item.models)) for item in found]


def test_a_week_of_daily_deliveries_keeps_the_way_back(
    warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kept_versions, "_previous_champion", lambda _: "old")
    days = [("sql",), ("old", "sql"), ("old", "sql"), *[("new", "sql")] * 7]
    for day, models in enumerate(days, start=1):
        fill(warehouse, day, *models)
        assert drop_expired(warehouse, load_settings(), "served", "table") == []
    new = ["new", "sql"]
    assert kept(warehouse) == [(9, new), (8, new), (3, ["old", "sql"]), (1, ["sql"])]
    assert latest_day(warehouse, "served", "table") == datetime.date(2026, 2, 10)
    assert latest_day(warehouse, "served", "nothing") is None


def test_nothing_goes_while_nobody_knows_who_the_previous_champion_is(
    warehouse: DuckDBWarehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(_: object) -> str:
        raise TrackingError("the server is down")

    monkeypatch.setattr(kept_versions, "_previous_champion", down)
    for day in range(1, 6):
        fill(warehouse, day, "new")
    (warning,) = drop_expired(warehouse, load_settings(), "served", "table")
    assert "Old versions of served.table stay for now: the server is down" in warning
    assert len(kept(warehouse)) == 4
