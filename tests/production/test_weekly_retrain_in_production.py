"""Production from end to end on loopback: source tables in BigQuery to the table that the e-mail system reads."""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from bigquery_emulator import BigQueryEmulator
from dagster._serdes import serialize_value
from experiment_world import declaration_text
from production.production_world import Production, running_production
from small_run import execute_job, failure_of

from holley_assets.assets import publisher
from holley_assets.definitions import definitions
from holley_assets.ranking.arms import user_buckets
from holley_assets.resources.serving_switch import record_decision
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.warehouse.bigquery.schema import columns_of_schema
from holley_assets.resources.warehouse.interface import Warehouse

OUTPUT = "temp_holley_gnn"
SLOTS = [
    column
    for slot in range(1, 5)
    for column in (
        (f"rec_part_{slot}", "STRING"),
        (f"rec{slot}_price", "FLOAT64"),
        (f"rec{slot}_score", "FLOAT64"),
        (f"rec{slot}_image", "STRING"),
    )
]
SIMILAR_COLUMNS = [
    *("base_sku", "relation", "rank", "other_base_sku", "score", "evidence", "generated_at"),
    "model_version",
]
EXPERIMENT = declaration_text()
NOON = datetime.datetime(2026, 2, 1, 12, tzinfo=datetime.UTC)
PROMOTION = {"by": "ada", "reason": "a test", "force": True}


@pytest.fixture(scope="module")
def production(
    tmp_path_factory: pytest.TempPathFactory,
    bigquery_emulator: BigQueryEmulator,
    empty_mlflow_database: bytes,
) -> Iterator[Production]:
    folder = tmp_path_factory.mktemp("production")
    with running_production(folder, bigquery_emulator, empty_mlflow_database) as world:
        yield world


@dataclass(frozen=True)
class Weekly:
    """What ``weekly_retrain`` delivered."""

    run_id: str
    model_version: str
    delivered: pa.Table


@pytest.fixture(scope="module")
def weekly(production: Production) -> Weekly:
    """``weekly_retrain`` from the command line."""
    production.execute("weekly_retrain")
    with production.instance() as instance:
        (run,) = instance.get_runs()
    delivered = production.table(OUTPUT, "recommendations")
    (version,) = delivered["model_version"].unique().to_pylist()
    return Weekly(run.run_id, version, delivered)


@pytest.fixture(scope="module")
def serving(production: Production, weekly: Weekly) -> pa.Table:
    """The serving table after ``promote`` and a ``daily_score`` that gives half of the users the graph's parts."""
    with production.instance() as instance, pytest.MonkeyPatch.context() as patched:
        promote = definitions.resolve_job_def("promote")
        config = {"ops": {"promote_model": {"config": PROMOTION}}}
        assert promote.execute_in_process(instance=instance, run_config=config).success
        patched.setenv("HOLLEY_SERVING_MODE", "ab")
        assert execute_job("daily_score", instance=instance).success
    return production.table("holley_serving", "email_recommendations")


def asset(production: Production, name: str) -> pa.Table:
    return pq.read_table(production.store().local_path(f"assets/{name}.parquet"))


def rows_by_email(table: pa.Table) -> dict[str, dict[str, object]]:
    return {row["email_lower"]: row for row in table.to_pylist()}


def by_pair(rows: list[dict[str, Any]]) -> dict[tuple[str, str, int], dict[str, Any]]:
    """Rows of ``similar_parts`` by their key."""
    return {(row["base_sku"], row["relation"], row["rank"]): row for row in rows}


def evaluations(production: Production, run_id: str) -> dict[dg.AssetCheckKey, dg.AssetCheckEvaluation]:
    with production.instance() as instance:
        entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        found = [entry.get_dagster_event().asset_check_evaluation_data for entry in entries]
    return {evaluation.asset_check_key: evaluation for evaluation in found}


def blocking_checks() -> set[dg.AssetCheckKey]:
    graph = definitions.resolve_asset_graph()
    return {key for key in graph.asset_check_keys if graph.get(key).blocking}


def test_the_delivered_table_is_the_contract_s(production: Production, weekly: Weekly) -> None:
    with production.bigquery.client() as client:
        columns = columns_of_schema(client.get_table(f"{OUTPUT}.recommendations").schema)
    assert list(columns.items()) == [
        *((name, "STRING") for name in ("email_lower", "year", "make", "model")),
        *SLOTS,
        ("generated_at", "TIMESTAMP"),
        ("model_version", "STRING"),
    ]
    assert weekly.delivered.num_rows > 300
    assert rows_by_email(weekly.delivered) == rows_by_email(asset(production, "recommendations"))


def test_similar_parts_are_published_as_they_were_judged(production: Production, weekly: Weekly) -> None:
    with production.bigquery.client() as client:
        columns = columns_of_schema(client.get_table(f"{OUTPUT}.similar_parts").schema)
    plain = {name: kind for name, kind in columns.items() if name != "evidence"}
    assert list(columns) == SIMILAR_COLUMNS
    assert set(plain.values()) == {"STRING", "INT64", "FLOAT64", "TIMESTAMP"}
    rows = production.table(OUTPUT, "similar_parts").to_pylist()
    assert by_pair(rows) == by_pair(asset(production, "similar_parts").to_pylist())
    assert len(by_pair(rows)) == len(rows) > 100
    assert {row["relation"] for row in rows} == {"alternative", "goes_with"}
    assert {row["model_version"] for row in rows} == {weekly.model_version}
    assert min(row["evidence"]["shared_vehicles"] for row in rows) >= 1


def test_every_blocking_check_passed(production: Production, weekly: Weekly) -> None:
    found = evaluations(production, weekly.run_id)
    # Nobody was promoted yet, so that nothing was staged for the serving table.
    expected = {key for key in blocking_checks() if key.asset_key != dg.AssetKey("mixed_recommendations")}
    assert len(expected) > 50
    assert {key for key in expected if key in found and found[key].passed} == expected


def test_artifacts_are_in_the_bucket_and_whole(production: Production, weekly: Weekly) -> None:
    import torch

    keys = {key for key in production.store().keys("") if weekly.run_id in key}
    names = {
        f"checkpoints/{weekly.run_id}/model.pt",
        f"data/{weekly.run_id}/heterodata.pt",
        f"data/{weekly.run_id}/serving_heterodata.pt",
    }
    assert names <= keys
    assert {f"reports/{weekly.run_id}/eval_report.html", f"runs/{weekly.run_id}/settings.json"} <= keys
    assert production.store().location(f"data/{weekly.run_id}/x").startswith("gs://holley-emulated/gnn/data/")
    for name in names:
        torch.load(production.store().local_path(name), weights_only=True)


def test_the_mlflow_server_has_the_training(production: Production, weekly: Weekly) -> None:
    client = production.tracking()
    experiment = client.get_experiment_by_name("holley-gnn")
    (run,) = client.search_runs([experiment.experiment_id], f"tags.dagster_run_id = '{weekly.run_id}'")
    assert run.info.status == "FINISHED"
    assert run.data.params["training.epochs"] == "2"
    assert {"epoch/validation_mrr", "nodes/user", "gnn/overall.mrr"} <= set(run.data.metrics)
    assert {"model.pt", "eval_report.html"} <= {file.path for file in client.list_artifacts(run.info.run_id)}
    version = client.get_model_version_by_alias("holley-gnn", "challenger")
    assert version.tags["model_version"] == weekly.model_version


def test_every_job_of_bigquery_says_who_asked_for_it(production: Production, weekly: Weekly) -> None:
    with production.bigquery.client() as client:
        jobs = list(client.list_jobs(page_size=10_000))
    with production.instance() as instance:
        started = instance.get_run_stats(weekly.run_id).start_time
    jobs = [job for job in jobs if job.created.timestamp() > started]
    assert {job.job_type for job in jobs} >= {"query", "load", "copy"}
    assert len(jobs) > 80
    for job in jobs:
        assert {"pipeline", "table", "asset", "run_id"} <= set(job.labels), job.job_id
    steps = {job.labels["asset"] for job in jobs if job.labels["run_id"] == weekly.run_id}
    assert {"visitor_demand", "recommendation_checks", "recommendations_table"} <= steps


def test_vectors_are_ready_to_be_searched(production: Production, weekly: Weekly) -> None:
    with production.bigquery.client() as client:
        for name in ("user_embeddings", "product_embeddings"):
            columns = columns_of_schema(client.get_table(f"{OUTPUT}.{name}").schema)
            assert columns["embedding"] == ["FLOAT64"]
            vectors = production.table(OUTPUT, name)
            assert set(vectors["run_id"].to_pylist()) == {weekly.run_id}
            assert set(vectors["model_version"].to_pylist()) == {weekly.model_version}


def test_a_source_and_a_target_vector_give_the_score_of_what_goes_with_a_part(
    production: Production, weekly: Weekly
) -> None:
    vectors = {row["base_sku"]: row for row in production.table(OUTPUT, "product_embeddings").to_pylist()}
    rows = production.table(OUTPUT, "similar_parts").to_pylist()
    directed = [row for row in rows if row["relation"] == "goes_with"]
    assert len(directed) > 10
    for row in directed:
        source = vectors[row["base_sku"]]["source_embedding"]
        target = vectors[row["other_base_sku"]]["target_embedding"]
        assert np.dot(source, target) == pytest.approx(row["score"], abs=1e-8), row


def test_history_is_in_postgresql(production: Production, weekly: Weekly) -> None:
    if not production.on_postgres:
        pytest.skip("PostgreSQL is not installed here: the run kept its history in SQLite")
    with production.instance() as instance:
        assert type(instance.event_log_storage).__module__.startswith("dagster_postgres")
        assert instance.get_run_by_id(weekly.run_id).is_success
    assert list(production.home.rglob("*.db")) == []


def test_the_champion_fills_its_arm_of_the_serving_table(serving: pa.Table, weekly: Weekly) -> None:
    buckets = user_buckets(serving["email_lower"], "holley").to_pylist()
    versions = {"graph": weekly.model_version, "sql": "sql"}
    rows = serving.to_pylist()
    assert {row["arm"] for row in rows} == set(versions)
    for row, bucket in zip(rows, buckets, strict=True):
        assert row["arm"] == row["assigned_arm"] == ("graph" if bucket < 5000 else "sql")
        assert row["model_version"] == versions[row["arm"]]


def test_both_arms_are_what_was_staged(production: Production, serving: pa.Table) -> None:
    staged = {
        "graph": rows_by_email(asset(production, "recommendations")),
        "sql": rows_by_email(asset(production, "sql_recommendations")),
    }
    for row in serving.to_pylist():
        arm = row.pop("arm")
        del row["assigned_arm"]
        assert row == staged[arm][row["email_lower"]]


def test_the_lease_on_the_working_dataset_was_held_and_let_go(production: Production, weekly: Weekly) -> None:
    with production.bigquery.client() as client:
        leases = [
            client.get_table(item)
            for item in client.list_tables("temp_holley_gnn_work")
            if item.table_id.startswith("holley_lease_")
        ]
    assert [lease.description for lease in leases] == ["free"]


def test_a_pulled_switch_stops_the_publication_within_its_statement(
    production: Production, serving: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLLEY_SERVING_MODE", "ab")
    settings = SettingsResource().load()
    asked = publisher.present_plan

    def ask_then_pull(warehouse: Warehouse, *others: Any) -> Any:
        present = asked(warehouse, *others)
        record_decision(warehouse, settings, "on", by="ada", reason="wrong parts", run_id="in between")
        return present

    with production.instance() as instance, monkeypatch.context() as patched:
        patched.setattr(publisher, "present_plan", ask_then_pull)
        result = execute_job("daily_score", instance=instance, only=["serving_table"])
    assert "the kill switch is on since" in failure_of(result, "serving_table")
    assert rows_by_email(production.table("holley_serving", "email_recommendations")) == rows_by_email(
        serving
    )
    with production.instance() as instance:
        assert execute_job(
            "daily_score", instance=instance, only=["mixed_recommendations", "serving_table"]
        ).success
    switched = production.table("holley_serving", "email_recommendations")
    assert set(switched["arm"].to_pylist()) == {"sql"}
    assert set(switched["assigned_arm"].to_pylist()) == {"graph", "sql"}


def readout_of(production: Production, run_id: str) -> dict[str, Any]:
    key = production.store().artifact_key(run_id, "experiment_readout.json")
    return dict(json.loads(production.store().local_path(key).read_text()))


def test_an_experiment_is_logged_and_read_by_what_was_published_and_by_what_was_sent(
    production: Production, serving: pa.Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spring.toml"
    path.write_text(EXPERIMENT)
    monkeypatch.setenv("HOLLEY_SERVING_MODE", "ab")
    monkeypatch.setenv("HOLLEY_SERVING_EXPERIMENT", "spring")
    monkeypatch.setenv("HOLLEY_EXPERIMENT_DECLARATION", str(path))
    with production.instance() as instance:
        before = execute_job("read_experiment", instance=instance)
        assert before.success
        (observation,) = before.get_asset_observation_events()
        plan = str(observation.event_specific_data.asset_observation.description)  # type: ignore[union-attr]
        users = asset(production, "recommendations").num_rows
        assert "Power plan: A change of 10 % needs" in plan and f"with the {users:,} users" in plan
        for only in (["mixed_recommendations", "serving_table"], ["serving_table"]):
            assert execute_job("daily_score", instance=instance, only=only).success
        read = execute_job("read_experiment", instance=instance)
    assert read.success
    served = production.table("holley_serving", "email_recommendations")
    log = production.table("holley_serving", "experiment_exposures")
    assert rows_by_email(log).keys() == rows_by_email(served).keys() and log.num_rows == served.num_rows
    for email, row in rows_by_email(log).items():
        shown = rows_by_email(served)[email]
        assert (row["assigned_arm"], row["received_arm"]) == (shown["assigned_arm"], shown["arm"])
        assert row["rec_part_1"] == shown["rec_part_1"]
    with production.bigquery.client() as client:
        table = client.get_table("holley_serving.experiment_exposures")
    assert table.time_partitioning.field == "exposure_day"
    assert production.table("holley_serving", "experiment_declarations").num_rows == 1
    outcomes = asset(production, "experiment_outcomes")
    assert outcomes.num_rows == log.num_rows
    readout = readout_of(production, read.run_id)
    assert readout["decision"]["outcome"] == "keep running" and readout["exposure_source"] == "published"
    assert readout["traffic"]["users"] == log.num_rows

    # A table of the mails that were really sent, in a dataset and with columns of its own.
    mailed = sorted(rows_by_email(served))[:9]
    sends = pa.table(
        {"Recipient": [*mailed, mailed[0], "else@x.com"], "SentAt": [NOON] * 11, "Campaign": [7] * 11}
    )
    pq.write_table(sends, tmp_path / "sent.parquet")
    production.bigquery.load_parquet("mails", "sent", tmp_path / "sent.parquet")
    for name, value in (("TABLE", "mails.sent"), ("EMAIL_COLUMN", "Recipient"), ("TIME_COLUMN", "SentAt")):
        monkeypatch.setenv(f"HOLLEY_EXPERIMENT_SENDS_{name}", value)
    with production.instance() as instance:
        read = execute_job("read_experiment", instance=instance)
    assert read.success
    assert asset(production, "experiment_outcomes")["email_lower"].to_pylist() == mailed
    readout = readout_of(production, read.run_id)
    assert readout["exposure_source"] == "sent" and readout["traffic"]["users"] == 9
    (outcomes_shown,) = [
        event.step_materialization_data.materialization.metadata
        for event in read.get_asset_materialization_events()
        if event.asset_key == dg.AssetKey("experiment_outcomes")
    ]
    assert outcomes_shown["sends"].value == 9
    assert outcomes_shown["sends_dropped"].value == {"duplicate row": 1, "not in the delivery": 1}


def test_the_table_before_stays_as_a_snapshot(
    production: Production, serving: pa.Table, weekly: Weekly
) -> None:
    with production.bigquery.client() as client:
        names = [item.table_id for item in client.list_tables(OUTPUT)]
    (snapshot,) = [name for name in names if re.fullmatch(r"recommendations_\d{8}T\d{9}", name)]
    assert rows_by_email(production.table(OUTPUT, snapshot)) == rows_by_email(weekly.delivered)


def test_a_missing_dataset_ends_the_run_before_any_query_is_paid(
    production: Production, weekly: Weekly
) -> None:
    with production.instance() as instance, pytest.MonkeyPatch.context() as patched:
        patched.setenv("HOLLEY_SERVING_MODE", "ab")
        patched.setenv("HOLLEY_SERVING_DATASET", "nowhere")
        result = execute_job("daily_score", instance=instance)
    assert failure_of(result, "time_windows") == (
        "dataset holley-emulated.nowhere does not exist: create it in US"
    )
    with production.bigquery.client() as client:
        assert result.run_id not in {job.labels.get("run_id") for job in client.list_jobs(page_size=10_000)}


def everything_said(production: Production) -> Iterator[tuple[str, bytes]]:
    """Whatever runs leave behind for people to read, by where it is: all but tables of customers."""
    yield from (("printed", text.encode()) for text in production.printed)
    for folder in (production.home, production.folder / "mlflow"):
        yield from ((str(path), path.read_bytes()) for path in folder.rglob("*") if path.is_file())
    with production.instance() as instance:
        for run in instance.get_runs():
            yield f"run {run.run_id}", serialize_value(run).encode()
            for entry in instance.all_logs(run.run_id):
                yield f"event log of {run.job_name}", serialize_value(entry).encode()
    store = production.store()
    for key in store.keys(""):
        if not key.startswith("assets/"):
            yield key, store.local_path(key).read_bytes()
    with production.bigquery.client() as client:
        for job in client.list_jobs(page_size=10_000):
            yield f"job {job.job_id}", repr(job.to_api_repr()).encode()


def addresses(source: Path) -> set[bytes]:
    """Every customer's address in the source tables, in lower case."""
    orders = pq.read_table(source / "import_orders.parquet")["SHIP_TO_EMAIL"].to_pylist()
    table = pq.read_table(source / "ingestion_unified_attributes_schema_incremental.parquet")
    properties = pc.list_flatten(table["user_properties"]).to_pylist()
    values = orders + [
        each["string_value"] for each in properties if each["property_name"].lower() == "email"
    ]
    return {value.strip().lower().encode() for value in values if value and "@" in value}


def test_no_secret_and_no_address_is_told_to_anybody(production: Production, serving: pa.Table) -> None:
    customers = addresses(production.source)
    assert len(customers) > 300
    told = list(everything_said(production))
    settings = [content for place, content in told if place.endswith("settings.json")]
    assert len(told) > 1000 and all(production.mlflow.url.encode() in content for content in settings)
    forbidden = {*customers, *(secret.encode() for secret in production.secrets)}
    found = {place for place, content in told for each in forbidden if each.lower() in content.lower()}
    assert found == set()
