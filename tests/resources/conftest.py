"""The BigQuery warehouse on the emulator, for tests that share its two datasets."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from bigquery_emulator import BigQueryEmulator

from holley_assets.resources.storage.interface import FolderStore
from holley_assets.resources.warehouse.bigquery import warehouse as warehouse_module
from holley_assets.resources.warehouse.bigquery.client import open_client
from holley_assets.resources.warehouse.bigquery.spending import Spending
from holley_assets.resources.warehouse.bigquery.warehouse import BigQueryWarehouse
from holley_assets.resources.warehouse.interface import Origin
from holley_assets.resources.warehouse.sql_files import Query

WORKING, OUTPUT = "warehouse_work", "warehouse_output"
Open = Callable[..., BigQueryWarehouse]


@pytest.fixture(scope="module")
def emulator(bigquery_emulator: BigQueryEmulator) -> BigQueryEmulator:
    """One emulator with the two datasets of these tests."""
    bigquery_emulator.create_datasets(WORKING, OUTPUT)
    return bigquery_emulator


@pytest.fixture
def open_warehouse(emulator: BigQueryEmulator, tmp_path: Path) -> Open:
    """Opens the warehouse for a step of a run; keywords change its settings."""

    def open_(
        run_id: str | None = None,
        step: str = "fitment",
        guarded: Collection[tuple[str, str]] = (),
        **settings: object,
    ) -> BigQueryWarehouse:
        values = emulator.settings(**{"working_dataset": WORKING, "retry_seconds": 10.0, **settings})
        origin = Origin(run_id, step) if run_id else None
        return BigQueryWarehouse(
            open_client(values),
            None,
            values,
            temporary_directory=tmp_path / "tmp",
            origin=origin,
            spending=Spending(FolderStore(tmp_path / "store"), run_id) if run_id else None,
            guarded=guarded,
        )

    return open_


@pytest.fixture
def write_query(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a SELECT in the place of every query."""

    def write(select: str) -> None:
        monkeypatch.setattr(warehouse_module, "read_query", lambda name, _: Query(name, (), select))

    return write
