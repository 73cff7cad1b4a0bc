"""The same input gives the same table; what happens after the cutoff changes nothing before it."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from small_run import FinishedRun, all_before, execute_job, read_asset

from holley_assets.core.time_windows import (
    TimeWindows,
)
from holley_assets.evaluation.labels import labelled_users
from holley_assets.pipeline.system_rankings import rank_all_systems
from holley_assets.ranking import HistoryScorer
from holley_assets.ranking.comparison import users_with_profiles
from holley_assets.settings import load_settings

# What every ranking is made of.
_RANKED_FROM = (
    "fitment",
    "parts",
    "popularity",
    "user_embeddings",
    "product_embeddings",
    "history_scores",
    "user_purchases",
)


def test_the_same_input_gives_the_same_table_row_for_row(
    weekly_run: FinishedRun, run_settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another folder, another process, another reading of the sources: not a row differs."""
    monkeypatch.setenv("HOLLEY_SOURCE_DIR", str(weekly_run.source_dir))
    compared = ("recommendations", "evaluation_rankings", "popularity", "interacts_edges")
    assert execute_job(only=all_before(*compared)).success
    for asset in compared:
        first, second = weekly_run.table(asset), read_asset(run_settings, asset)
        assert first.equals(second), asset


def test_events_of_the_test_window_change_no_ranking_as_of_the_cutoff(
    weekly_run: FinishedRun, run_settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = TimeWindows.from_table(weekly_run.table("time_windows"))
    folder = run_settings.parent / "source"
    shutil.copytree(weekly_run.source_dir, folder)
    removed = {
        "ingestion_unified_schema_incremental": "client_event_timestamp",
        "treatment_interaction": "interaction_timestamp_micros",
    }
    for table, column in removed.items():
        path = folder / f"{table}.parquet"
        content = pq.read_table(path)
        cutoff = pa.scalar(np.datetime64(windows.cutoff, "us")).cast(content.schema.field(column).type)
        kept = content.filter(pc.less(content[column], cutoff))
        assert kept.num_rows < content.num_rows
        pq.write_table(kept, path)
    monkeypatch.setenv("HOLLEY_SOURCE_DIR", str(folder))
    assert execute_job(only=all_before(*_RANKED_FROM)).success

    users = labelled_users(
        users_with_profiles(weekly_run.table("user_nodes"), weekly_run.table("user_profiles"), "profile"),
        weekly_run.table("test_clicks"),
    )
    settings = load_settings()
    for apply_rules in (True, False):
        rankings = [
            rank_all_systems(
                users,
                fitment=tables["fitment"],
                parts=tables["parts"],
                popularity=tables["popularity"],
                gnn=HistoryScorer.from_tables(
                    tables["user_embeddings"],
                    tables["product_embeddings"],
                    tables["history_scores"],
                    "training",
                ),
                purchases=tables["user_purchases"],
                windows=windows,
                settings=settings,
                apply_rules=apply_rules,
            )
            for tables in (_tables(weekly_run.data_dir), _tables(run_settings))
        ]
        assert rankings[0].num_rows > 1000
        assert rankings[0].equals(rankings[1])


def _tables(data_dir: Path) -> dict[str, pa.Table]:
    return {name: read_asset(data_dir, name) for name in _RANKED_FROM}
