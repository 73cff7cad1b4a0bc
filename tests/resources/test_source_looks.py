"""A look at the source tables in BigQuery's emulator: what it tells, and that it ends soon where nobody answers."""

from __future__ import annotations

import contextlib
import datetime
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bigquery_emulator import BigQueryEmulator
from flaky_server import FlakyServer

from holley_assets.automation.freshness_sensor import freshness_sensor
from holley_assets.automation.upstream_sensor import read_cursor, upstream_sensor
from holley_assets.resources import source_looks
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.source_looks import look_at_sources
from holley_assets.resources.warehouse.bigquery import replacements
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES
from holley_assets.resources.warehouse_resource import WarehouseResource
from holley_assets.settings import load_settings

DATASET = "watched_sources"
USERS = "ingestion_unified_attributes_schema_incremental"


@pytest.fixture(scope="module")
def emulator(
    bigquery_emulator: BigQueryEmulator, tmp_path_factory: pytest.TempPathFactory
) -> BigQueryEmulator:
    """All source tables, of three rows each; only their metadata are looked at."""
    path = tmp_path_factory.mktemp("watched") / "rows.parquet"
    pq.write_table(pa.table({"number": [1, 2, 3]}), path)
    bigquery_emulator.load_parquet(DATASET, USERS, path)
    with bigquery_emulator.client() as client:
        for table in SOURCE_TABLES.keys() - {USERS}:
            client.query(f"CREATE TABLE {DATASET}.{table} AS SELECT * FROM {DATASET}.{USERS}").result()
    return bigquery_emulator


@pytest.fixture(autouse=True)
def production(emulator: BigQueryEmulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "HOLLEY_ENV": "prod",
        "HOLLEY_STORAGE_BUCKET": "holley-bucket",
        "HOLLEY_MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
        "HOLLEY_BIGQUERY_PROJECT": emulator.project,
        "HOLLEY_BIGQUERY_EMULATOR": emulator.url,
        "HOLLEY_BIGQUERY_COMPANY_DATASET": DATASET,
        "HOLLEY_BIGQUERY_DATA_COMPANY_DATASET": DATASET,
    }.items():
        monkeypatch.setenv(name, value)


@contextlib.contextmanager
def nobody_answers(address: str = "http://127.0.0.1:9") -> Iterator[None]:
    """BigQuery is at an address where nobody answers, and little time is lost on it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOLLEY_BIGQUERY_EMULATOR", address)
        patch.setattr(source_looks, "_PATIENCE_SECONDS", 1.0)
        patch.setattr(replacements, "_ANSWER_SECONDS", 1.0)
        yield


@pytest.fixture
def deaf_server() -> Iterator[str]:
    """Takes every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=32) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def said(result: dg.SensorResult) -> str:
    """Why a sensor asks for no run."""
    assert isinstance(result.skip_reason, dg.SkipReason)
    return str(result.skip_reason.skip_message)


def look() -> dict[str, source_looks.Look]:
    return dict(look_at_sources(load_settings(), WarehouseResource(), "BigQuery"))


def test_a_look_tells_rows_and_age() -> None:
    looks = look()
    now = datetime.datetime.now(datetime.UTC)
    for found in looks.values():
        assert found.description is not None and found.description.rows == 3
        assert now - datetime.timedelta(minutes=30) < found.description.last_modified <= now


def test_a_missing_table_is_no_silence_and_a_view_is_not_counted(
    emulator: BigQueryEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with emulator.client() as client:
        client.create_dataset("half_watched")
        client.query(f"CREATE VIEW half_watched.import_orders AS SELECT * FROM {DATASET}.{USERS}").result()
        monkeypatch.setenv("HOLLEY_BIGQUERY_DATA_COMPANY_DATASET", "half_watched")
        before = len(list(client.list_jobs()))
        looks = look()
        assert len(list(client.list_jobs())) == before, "a look costs nothing"
    assert looks[USERS].description is not None
    assert looks["import_items"].missing
    assert looks["import_items"].problem == (
        "import_items: the table is missing; expected half_watched.import_items in BigQuery"
    )
    view = looks["import_orders"]
    assert view.unanswered and view.problem == (
        "import_orders: half_watched.import_orders is a view, which tells neither its rows nor when they changed"
    )


def test_one_table_that_may_not_be_read_does_not_hide_the_others(
    emulator: BigQueryEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FlakyServer(emulator.url) as server:
        monkeypatch.setenv("HOLLEY_BIGQUERY_EMULATOR", server.url)
        server.refuse("/tables/import_items_tags", 403, "accessDenied", times=1)
        looks = look()
    silent = {table: found.problem for table, found in looks.items() if found.unanswered}
    assert list(silent) == ["import_items_tags"]
    assert "is not permitted (Refused by a test); grant the role" in silent["import_items_tags"]


@pytest.mark.parametrize("how", ["refused", "deaf"])
def test_a_warehouse_that_does_not_answer_is_left_soon(how: str, deaf_server: str) -> None:
    address = deaf_server if how == "deaf" else "http://127.0.0.1:9"
    with nobody_answers(address):
        started = time.monotonic()
        looks = look()
    assert all(found.unanswered for found in looks.values())
    assert time.monotonic() - started < 15
    assert not any("\n" in found.problem for found in looks.values())


def test_the_sensor_says_that_it_asks_again_and_goes_on_where_it_was(
    emulator: BigQueryEmulator, tmp_path: Path
) -> None:
    resources = {"settings": SettingsResource(), "warehouse": WarehouseResource()}
    with dg.DagsterInstance.ephemeral() as instance:

        def evaluate(cursor: str | None) -> dg.SensorResult:
            context = dg.build_sensor_context(instance=instance, cursor=cursor)
            result = upstream_sensor(context, **resources)
            assert isinstance(result, dg.SensorResult)
            return result

        first = evaluate(None)
        assert said(first).startswith("Nothing was ever delivered")
        assert [type(event).__name__ for event in first.asset_events].count("AssetMaterialization") == 7
        with nobody_answers():
            silent = evaluate(first.cursor)
        assert said(silent).startswith("Asked again at the next tick: 7 of 7 source tables do not answer (")
        (told,) = silent.asset_events
        assert isinstance(told, dg.AssetCheckEvaluation) and not told.passed
        assert told.severity is dg.AssetCheckSeverity.WARN
        assert read_cursor(silent.cursor) == read_cursor(first.cursor)
        # The emulator dates a table by its creation.
        pq.write_table(pa.table({"number": [1, 2, 3, 4]}), tmp_path / "more.parquet")
        emulator.load_parquet(DATASET, USERS, tmp_path / "more.parquet")
        again = evaluate(silent.cursor)
        moved = [event for event in again.asset_events if isinstance(event, dg.AssetMaterialization)]
        assert [event.asset_key.to_user_string() for event in moved] == [USERS]
        assert moved[0].metadata["dagster/row_count"].value == 4


def test_freshness_of_the_output_is_judged_without_the_warehouse_if_need_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def waited_for_again(*_: object) -> None:
        raise AssertionError("a warehouse that answers nothing is asked for the kill switch")

    monkeypatch.setattr("holley_assets.automation.freshness_sensor.judge_switch", waited_for_again)
    with nobody_answers(), dg.DagsterInstance.ephemeral() as instance:
        instance.report_runless_asset_event(dg.AssetMaterialization("recommendations_table"))
        context = dg.build_sensor_context(instance=instance)
        result = freshness_sensor(context, settings=SettingsResource(), warehouse=WarehouseResource())
    assert isinstance(result, dg.SensorResult)
    assert said(result).startswith("2 of 2 are fresh; 7 of 7 source tables do not answer")
    evaluations = [event for event in result.asset_events if isinstance(event, dg.AssetCheckEvaluation)]
    assert len(evaluations) == len(result.asset_events)
    (delivered,) = [found for found in evaluations if found.check_name == "delivered_table_is_fresh"]
    assert delivered.passed
    assert "by the event log alone, for the warehouse does not answer" in str(delivered.description)
