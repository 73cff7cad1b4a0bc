"""The whole weekly job on a small sample, as a person runs it."""

from __future__ import annotations

import json
import time
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from small_run import FinishedRun, execute_job

from holley_assets.console.run_files import RunFiles
from holley_assets.console.sharded_ranking import rank_in_shards, rank_on_cluster
from holley_assets.resources.table_metadata import table_schema
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES

SLOT_COLUMNS = [
    column
    for slot in range(1, 5)
    for column in (
        (f"rec_part_{slot}", "VARCHAR"),
        (f"rec{slot}_price", "DOUBLE"),
        (f"rec{slot}_score", "DOUBLE"),
        (f"rec{slot}_image", "VARCHAR"),
    )
]
TABULAR_ASSETS = [
    "time_windows",
    "user_nodes",
    "product_nodes",
    "vehicle_nodes",
    "interacts_edges",
    "fits_edges",
    "owns_edges",
    "co_purchased_edges",
    "co_viewed_edges",
    "ordered_pairs",
    "fitment",
    "user_purchases",
    "popularity",
    "test_clicks",
    "source_rows",
    "recommendations",
    "evaluation_rankings",
    "user_embeddings",
    "product_embeddings",
    "history_weights",
    "history_scores",
    "held_out_visits",
    "held_out_scores",
    "mixture_weights",
    "similar_parts",
]


@pytest.fixture(scope="module")
def report(weekly_run: FinishedRun) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((weekly_run.data_dir / "latest_eval_report.json").read_text())
    return found


@pytest.fixture(scope="module")
def emails(weekly_run: FinishedRun) -> list[str]:
    found: list[str] = weekly_run.table("user_accounts")["email_lower"].unique().to_pylist()
    return found


def test_the_output_table_is_what_the_email_system_reads(weekly_run: FinishedRun) -> None:
    with duckdb.connect(str(weekly_run.data_dir / "warehouse.duckdb"), read_only=True) as connection:
        described = connection.execute("DESCRIBE temp_holley_gnn.recommendations").fetchall()
        delivered = connection.execute("SELECT * FROM temp_holley_gnn.recommendations").to_arrow_table()
    assert [(name, kind) for name, kind, *_ in described] == [
        ("email_lower", "VARCHAR"),
        ("year", "VARCHAR"),
        ("make", "VARCHAR"),
        ("model", "VARCHAR"),
        *SLOT_COLUMNS,
        ("generated_at", "TIMESTAMP WITH TIME ZONE"),
        ("model_version", "VARCHAR"),
    ]
    assert delivered.num_rows > 1000
    assert delivered.to_pylist() == weekly_run.table("recommendations").to_pylist()


def test_every_tabular_asset_is_a_parquet_file(weekly_run: FinishedRun) -> None:
    for asset in TABULAR_ASSETS:
        assert weekly_run.table(asset).num_rows > 0, asset
    left = [path.name for path in (weekly_run.data_dir / "assets").iterdir() if path.name.startswith(".")]
    assert left == [], "no half-written file stays"


def test_every_column_is_described_in_words_and_a_type_that_fits_into_a_cell(weekly_run: FinishedRun) -> None:
    for path in (weekly_run.data_dir / "assets").glob("*.parquet"):
        for column in table_schema(pq.read_schema(path), path.stem).columns:
            assert column.description, f"{path.stem}.{column.name}"
            assert len(column.type) < 20, f"{path.stem}.{column.name}: {column.type}"


def test_rankings_hold_every_test_user_and_system_up_to_rank_20(weekly_run: FinishedRun) -> None:
    rankings = weekly_run.table("evaluation_rankings")
    assert rankings.column_names == ["email_lower", "system", "rank", "base_sku", "score"]
    clicking = set(weekly_run.table("test_clicks")["email_lower"].to_pylist())
    by_system = rankings.group_by("system").aggregate([("email_lower", "count_distinct"), ("rank", "max")])
    assert set(by_system["system"].to_pylist()) == {
        "gnn",
        "hybrid",
        "sql",
        "sql_similar",
        "popularity",
        "random",
    }
    assert len(set(by_system["email_lower_count_distinct"].to_pylist())) == 1, (
        "the same users for every system"
    )
    assert max(by_system["email_lower_count_distinct"].to_pylist()) <= len(clicking)
    assert set(by_system["rank_max"].to_pylist()) == {20}


def test_artifacts_of_the_run_are_beside_its_settings(
    weekly_run: FinishedRun, report: dict[str, Any]
) -> None:
    folder = weekly_run.run_folder(report["run_id"])
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "settings.json",
        "versions.json",
        "model.pt",
        "heterodata.pt",
        "serving_heterodata.pt",
        "eval_report.json",
        "eval_report.html",
        "run_summary.json",
        "shown_parts.parquet",
        "vector_sample.parquet",
    }
    assert json.loads((folder / "eval_report.json").read_text()) == report


def test_artifacts_load_without_unpickling(weekly_run: FinishedRun, report: dict[str, Any]) -> None:
    import torch

    folder = weekly_run.run_folder(report["run_id"])
    for name in ("model.pt", "heterodata.pt", "serving_heterodata.pt"):
        assert isinstance(torch.load(folder / name, weights_only=True), dict), name


def test_the_report_has_the_contract_s_keys(report: dict[str, Any], weekly_run: FinishedRun) -> None:
    assert {
        "run_id",
        "as_of",
        "cutoff",
        "model_version",
        "test_set",
        "metrics",
        "metrics_before_rules",
        "comparison",
        "gates",
        "decision",
    } <= set(report)
    assert (report["as_of"], report["cutoff"]) == ("2026-02-01", "2026-01-02")
    assert report["test_set"]["clicks"] == weekly_run.table("test_clicks").num_rows
    assert report["test_set"]["clicks_dropped"]["no product view within the window"] > 0
    assert set(report["metrics"]) == {"gnn", "hybrid", "sql", "sql_similar", "popularity", "random"}
    assert report["decision"]["outcome"] == "inconclusive", "a small sample decides nothing"
    assert report["model_version"] == weekly_run.table("recommendations")["model_version"][0].as_py()
    # The start, popularity, and at least one fit of each of the three stages after it.
    epochs = report["training"]["curves"]["epoch"]
    assert epochs == list(range(len(epochs))) and len(epochs) >= 5


def test_the_training_is_tracked_with_its_evaluation(weekly_run: FinishedRun, report: dict[str, Any]) -> None:
    from mlflow.tracking import MlflowClient

    client = MlflowClient(f"sqlite:///{weekly_run.data_dir / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("holley-gnn")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], f"tags.dagster_run_id = '{report['run_id']}'")
    assert run.info.status == "FINISHED"
    assert run.data.tags["decision"] == "inconclusive"
    assert run.data.params["training.epochs"] == "2"
    assert run.data.metrics["nodes/user"] > 0
    assert 0 < run.data.metrics["density/fits"] < 1
    assert run.data.metrics["gnn/overall.mrr"] == pytest.approx(report["metrics"]["gnn"]["overall"]["mrr"])
    # A chart belongs to a group by what stands before the slash, and every chart belongs to one.
    groups = {name.partition("/")[0] for name in run.data.metrics if "/" in name}
    assert groups == {"training", "epoch", "nodes", "edges", "density", "comparison", *report["metrics"]}
    assert all("/" in name for name in run.data.metrics)
    assert run.data.tags["source"] == "sample" and run.data.tags["as_of"] == report["as_of"]
    # The last fit holds nothing back: it has no loss to be validated on.
    losses = [loss for loss in report["training"]["curves"]["validation_loss"] if loss is not None]
    assert len(losses) > 1
    assert len(client.get_metric_history(run.info.run_id, "epoch/validation_loss")) == len(losses)
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"model.pt", "eval_report.json", "eval_report.html"} <= files


def test_no_email_address_leaves_the_tables(weekly_run: FinishedRun, emails: list[str]) -> None:
    """Logs, the event log, MLflow, artifacts and reports: everything but tables of users."""
    assert len(emails) > 1000
    domains = {b"@" + email.split("@")[1].encode() for email in emails}
    folders = [weekly_run.home, weekly_run.data_dir / "mlflow_artifacts", weekly_run.data_dir / "runs"]
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    files += [weekly_run.data_dir / "mlflow.db", weekly_run.data_dir / "latest_eval_report.json"]
    assert len(files) > 20
    contents = {"output": weekly_run.output.encode(), **{str(path): path.read_bytes() for path in files}}
    assert [
        name for name, content in contents.items() if any(domain in content.lower() for domain in domains)
    ] == []


def test_dropped_rows_are_counted_by_reason_on_the_assets(weekly_run: FinishedRun) -> None:
    with dg.DagsterInstance.from_config(str(weekly_run.home)) as instance:
        for asset in ("user_nodes", "order_lines", "fitment", "interaction_events", "test_clicks"):
            event = instance.get_latest_materialization_event(dg.AssetKey(asset))
            assert event is not None and event.asset_materialization is not None
            metadata = event.asset_materialization.metadata
            dropped: Any = metadata["dropped"].value
            assert sum(dropped.values()) > 0, asset
            assert metadata["dagster/row_count"].value == weekly_run.table(asset).num_rows
            preview = metadata["preview"]
            assert isinstance(preview, dg.TableMetadataValue) and preview.records


def test_what_became_of_the_source_s_rows_is_on_the_asset(weekly_run: FinishedRun) -> None:
    with dg.DagsterInstance.from_config(str(weekly_run.home)) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey("source_rows"))
        check = instance.get_latest_asset_check_evaluation_record(
            dg.AssetCheckKey(dg.AssetKey("source_rows"), "source_rows_add_up")
        )
    assert event is not None and event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    for table in SOURCE_TABLES:
        of_source: Any = metadata[table].value
        counts: dict[str, int] = dict(of_source)
        rows = pq.ParquetFile(weekly_run.source_dir / f"{table}.parquet").metadata.num_rows
        assert counts.pop("in") == rows == sum(counts.values()), table
        assert counts["kept"] > 0, table
    assert check is not None and check.evaluation is not None
    assert check.evaluation.passed and check.evaluation.blocking


def test_shards_of_customers_have_the_rows_of_the_run(weekly_run: FinishedRun) -> None:
    ranked = rank_in_shards(weekly_run.data_dir, 3, map)
    assert ranked.num_rows
    assert ranked.equals(RunFiles(weekly_run.data_dir).table("recommendations").combine_chunks())


def test_workers_of_a_cluster_have_the_rows_of_the_run(weekly_run: FinishedRun) -> None:
    """Workers in threads of this process: what Dask adds, without the seconds in which a process starts."""
    pytest.importorskip("distributed", reason="the extra cluster is not installed")
    ranked = rank_on_cluster(weekly_run.data_dir, 3, scheduler=None, workers=2, processes=False)
    assert ranked.equals(RunFiles(weekly_run.data_dir).table("recommendations").combine_chunks())


def test_the_daily_job_delivers_with_the_weekly_model(
    continued_run: tuple[FinishedRun, dg.DagsterInstance],
) -> None:
    """On the same data it delivers the same rows, by another run, without training."""
    run, instance = continued_run
    before = run.table("recommendations").to_pylist()
    trained = (run.data_dir / "assets" / "trained_checkpoint.parquet").read_bytes()
    started = time.time()
    result = execute_job("daily_score", instance=instance)
    assert result.success
    assert run.table("recommendations").to_pylist() == before
    assert (run.data_dir / "assets" / "trained_checkpoint.parquet").read_bytes() == trained
    steps = {event.step_key for event in result.get_step_success_events()}
    assert "recommendations_table" in steps and "trained_checkpoint" not in steps
    assert (run.data_dir / "warehouse.duckdb").stat().st_mtime > started


def test_hot_users_are_not_shown_what_they_ordered(weekly_run: FinishedRun) -> None:
    purchases = weekly_run.table("user_purchases")
    ordered = set(zip(purchases["email_lower"].to_pylist(), purchases["base_sku"].to_pylist(), strict=True))
    wide = weekly_run.table("recommendations")
    shown: set[tuple[str, str]] = set()
    for slot in range(1, 5):
        base = pc.replace_substring_regex(
            wide[f"rec_part_{slot}"].cast(pa.string()), r"([0-9])[BRGP]$", r"\1"
        )
        shown |= set(zip(wide["email_lower"].to_pylist(), base.to_pylist(), strict=True))
    assert ordered and not ordered & shown
