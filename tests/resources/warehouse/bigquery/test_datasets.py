"""Datasets that a run writes to are tried before anything is paid for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bigquery_emulator import BigQueryEmulator
from flaky_server import FlakyServer

from holley_assets.resources.warehouse.bigquery.client import open_client
from holley_assets.resources.warehouse.bigquery.warehouse import BigQueryWarehouse
from holley_assets.resources.warehouse.interface import WarehouseError

WORKING, OUTPUT = "datasets_work", "datasets_output"


@pytest.fixture(scope="module")
def emulator(bigquery_emulator: BigQueryEmulator) -> BigQueryEmulator:
    bigquery_emulator.create_datasets(WORKING, OUTPUT)
    return bigquery_emulator


@pytest.fixture
def require(emulator: BigQueryEmulator, tmp_path: Path) -> Callable[..., None]:
    def require_(*datasets: str, **settings: object) -> None:
        values = emulator.settings(**{"working_dataset": WORKING, "retry_seconds": 1.0, **settings})
        client = open_client(values)
        BigQueryWarehouse(client, None, values, temporary_directory=tmp_path).require_writable(datasets)

    return require_


def test_what_can_be_written_is_left_as_it_was(
    require: Callable[..., None], emulator: BigQueryEmulator
) -> None:
    with emulator.client() as client:
        jobs = len(list(client.list_jobs(page_size=10_000)))
        require(OUTPUT)
        assert len(list(client.list_jobs(page_size=10_000))) == jobs, "nothing is paid"
        assert [item.table_id for item in client.list_tables(OUTPUT)] == []


def test_every_dataset_that_is_missing_is_named_in_one_line(require: Callable[..., None]) -> None:
    with pytest.raises(WarehouseError) as raised:
        require(OUTPUT, "no_output", working_dataset="no_work")
    assert str(raised.value) == (
        "dataset holley-emulated.no_output does not exist: create it in US; "
        "dataset holley-emulated.no_work does not exist: create it in US"
    )


def test_one_that_may_not_be_written_is_named(
    require: Callable[..., None], emulator: BigQueryEmulator
) -> None:
    with FlakyServer(emulator.url) as flaky:
        flaky.refuse(f"{OUTPUT}/tables", 403, "accessDenied", times=100)
        with pytest.raises(
            WarehouseError, match=f"writing to dataset holley-emulated.{OUTPUT} is not permitted"
        ):
            require(OUTPUT, emulator=flaky.url)


def test_one_that_is_elsewhere_is_named(require: Callable[..., None]) -> None:
    with pytest.raises(WarehouseError, match=f"{OUTPUT} is in US, HOLLEY_BIGQUERY_LOCATION is EU"):
        require(OUTPUT, location="EU")


def test_where_nobody_answers_one_line_says_so(require: Callable[..., None]) -> None:
    with pytest.raises(WarehouseError, match=r"BigQuery: writing to dataset") as raised:
        require(OUTPUT, emulator="http://127.0.0.1:9", retry_seconds=0.5)
    assert str(raised.value).count("writing to") == 1
