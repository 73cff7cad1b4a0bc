"""What ``weekly_retrain`` delivers in production: BigQuery, the bucket, MLflow, PostgreSQL."""

from __future__ import annotations

from typing import Any

import dagster as dg
import numpy as np
import pytest
from present import present

from holley_assets.definitions import definitions
from holley_assets.resources.warehouse.bigquery.schema import columns_of_schema
from production.production_world import OUTPUT, Production, Weekly, rows_by_email

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
    assert rows_by_email(weekly.delivered) == rows_by_email(production.asset("recommendations"))


def test_similar_parts_are_published_as_they_were_judged(production: Production, weekly: Weekly) -> None:
    with production.bigquery.client() as client:
        columns = columns_of_schema(client.get_table(f"{OUTPUT}.similar_parts").schema)
    plain = {name: kind for name, kind in columns.items() if name != "evidence"}
    assert list(columns) == SIMILAR_COLUMNS
    assert set(plain.values()) == {"STRING", "INT64", "FLOAT64", "TIMESTAMP"}
    rows = production.table(OUTPUT, "similar_parts").to_pylist()
    assert by_pair(rows) == by_pair(production.asset("similar_parts").to_pylist())
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
    experiment = present(client.get_experiment_by_name("holley-gnn"))
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
        run = instance.get_run_by_id(weekly.run_id)
        assert run is not None and run.is_success
    assert list(production.home.rglob("*.db")) == []


def test_the_lease_on_the_working_dataset_was_held_and_let_go(production: Production, weekly: Weekly) -> None:
    with production.bigquery.client() as client:
        leases = [
            client.get_table(item)
            for item in client.list_tables("temp_holley_gnn_work")
            if item.table_id.startswith("holley_lease_")
        ]
    assert [lease.description for lease in leases] == ["free"]
