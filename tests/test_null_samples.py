"""Where there is nothing to learn but popularity, no run may call the graph a clear win.

From source tables to the decision with the pieces that the assets call, on samples of kind ``null``: which of the
parts that fit a customer chooses depends on popularity alone.
"""

from __future__ import annotations

import dataclasses
import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holley_assets.assets.controls import rank_controls
from holley_assets.assets.layers import layer_table
from holley_assets.core.table_specs import (
    TABLE_SPECS,
)
from holley_assets.core.time_windows import (
    TimeWindows,
)
from holley_assets.evaluation.labels import labelled_users
from holley_assets.evaluation.report import RunIdentity, build_report
from holley_assets.pipeline.options import evaluation_options, query_parameters, training_options
from holley_assets.pipeline.system_rankings import rank_all_systems
from holley_assets.ranking import EmbeddingScorer
from holley_assets.ranking.comparison import users_with_profiles
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES
from holley_assets.resources.warehouse.sql_files import query_dependencies
from holley_assets.sample_data.generate import generate_sample
from holley_assets.settings import Settings, load_settings

WINDOWS = TimeWindows(
    datetime.date(2026, 2, 1), datetime.date(2026, 1, 2), datetime.date(2025, 9, 1), "sample", ""
)
# Small and soon over; any number of clicks may decide, or the few of a small sample would decide nothing.
SETTINGS = {
    "HOLLEY_TRAINING_DEVICE": "cpu",
    "HOLLEY_EVALUATION_MINIMUM_CLICKS": "1",
}


def graph_tables(folder: Path, settings: Settings, seed: int) -> dict[str, pa.Table]:
    """Every table of a small sample in which nobody has a taste."""
    generate_sample(
        folder,
        users=5000,
        kind="null",
        seed=seed,
        as_of=WINDOWS.as_of,
        intent_start=WINDOWS.intent_start,
        test_days=settings.run.test_days,
    )
    files = {spec.name: folder / "assets" / f"{spec.name}.parquet" for spec in TABLE_SPECS}
    warehouse = DuckDBWarehouse(
        sources={table: folder / f"{table}.parquet" for table in SOURCE_TABLES},
        assets=files,
        database=folder / "warehouse.duckdb",
        temporary_directory=folder,
    )
    waiting = set(files)
    while waiting:
        ready = sorted(name for name in waiting if not waiting & set(query_dependencies(name)))
        for name in ready:
            warehouse.query_to_parquet(name, query_parameters(settings, WINDOWS), files[name])
        waiting -= set(ready)
    return {name: pq.read_table(path) for name, path in files.items()}


def report_on(tables: dict[str, pa.Table], settings: Settings) -> dict[str, Any]:
    """Train as of the cutoff, rank the test users by every system and decide, as the weekly job does."""
    from holley_assets.gnn.controls import counted_popularity, fitted_popularity
    from holley_assets.gnn.embedding import embed
    from holley_assets.gnn.graph import build_graph
    from holley_assets.gnn.graph_schema import GRAPH_TABLE_NAMES, GraphTables
    from holley_assets.gnn.training import train

    graph = build_graph(
        GraphTables(**{name: tables[name] for name in GRAPH_TABLE_NAMES}),
        view="training",
        view_end=WINDOWS.cutoff,
        order_weight=settings.run.order_weight,
        decay_days=settings.run.decay_days,
        season_days=settings.run.season_days,
    )
    trained = train(graph.data, *training_options(settings))
    vectors = embed(graph.data, trained.checkpoint, personal_precision=settings.training.personal_precision)
    products = pa.array(graph.data.products, pa.string())
    nodes = tables["user_nodes"]
    profiles = pa.table(
        {"email_lower": nodes["email_lower"], "profile": graph.user_profiles.astype(np.int32)}
    )
    users = labelled_users(users_with_profiles(nodes, profiles, "profile"), tables["test_clicks"])
    shared = {name: tables[name] for name in ("fitment", "parts")}
    rankings = rank_all_systems(
        users,
        **shared,
        popularity=tables["popularity"],
        gnn=EmbeddingScorer(vectors.user, vectors.product, products),
        purchases=tables["user_purchases"],
        windows=WINDOWS,
        settings=settings,
        apply_rules=True,
    )
    counts = {
        "fitted_popularity": fitted_popularity(graph.data, trained.checkpoint),
        "counted_popularity": counted_popularity(graph.data),
    }
    controls = rank_controls(
        users,
        **shared,
        counts=pa.table({"base_sku": products, **counts}),
        layers=layer_table([]),
        visitor_demand=tables["visitor_demand"],
        purchases=tables["user_purchases"],
        windows=WINDOWS,
        settings=settings,
    )
    return build_report(
        run=RunIdentity("null", WINDOWS.as_of, WINDOWS.cutoff, "null"),
        clicks=tables["test_clicks"],
        clicks_dropped={},
        users=nodes,
        rankings=rankings,
        rankings_before_rules=rankings,
        products=tables["product_nodes"],
        control_rankings=controls,
        # Mixtures are made of the others by weights that only a whole run chooses.
        options=dataclasses.replace(
            evaluation_options(settings), systems=tuple(rankings["system"].unique().to_pylist())
        ),
    )


@pytest.mark.parametrize("seed", range(3))
def test_where_there_is_nothing_to_learn_nothing_is_a_clear_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    report = report_on(graph_tables(tmp_path, settings, seed), settings)
    assert report["metrics"]["gnn"]["cold"]["users"] > 300
    assert report["decision"]["outcome"] != "clear_win", report["decision"]["reason"]
    # At any size of the test set: what it gains over the SQL pipeline, plain counting gains as well.
    low, high = report["control"]["comparison"]["cold"]["ci95"]
    assert low < settings.evaluation.marginal
    assert high > -settings.evaluation.marginal
