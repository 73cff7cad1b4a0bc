"""The first asset: one line for whatever is wrong, before any work."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_run import execute_job, failure_of, read_asset

from holley_assets.assets.time_windows import (
    output_datasets,
)
from holley_assets.core.time_windows import (
    TimeWindows,
    resolve_windows,
    sample_folder,
)
from holley_assets.definitions import definitions
from holley_assets.settings import RunSettings, SettingsError, load_settings

FIRST = ["time_windows"]


def run_settings_of(**values: Any) -> RunSettings:
    return RunSettings(**{"as_of": datetime.date(2026, 2, 1), **values})


def test_windows_follow_from_the_day() -> None:
    windows = resolve_windows(run_settings_of(test_days=30, source_dir=Path("/")), datetime.date(2030, 1, 1))
    assert windows.as_of == datetime.date(2026, 2, 1)
    assert windows.cutoff == datetime.date(2026, 1, 2)
    assert windows.source == "parquet"
    assert TimeWindows.from_table(windows.to_table()) == windows


@pytest.mark.parametrize(
    ("job", "mode", "expected"),
    [
        ("weekly_retrain", "shadow", ["temp_holley_gnn"]),
        ("daily_score", "ab", ["temp_holley_gnn", "holley_serving"]),
        ("serve_sql_only", "ab", ["holley_serving"]),
    ],
)
def test_a_run_tries_the_datasets_that_it_writes_and_no_others(
    monkeypatch: pytest.MonkeyPatch, job: str, mode: str, expected: list[str]
) -> None:
    monkeypatch.setenv("HOLLEY_SERVING_MODE", mode)
    assets = definitions.resolve_job_def(job).asset_layer.selected_asset_keys
    assert output_datasets(load_settings(), assets) == expected


def test_without_a_day_it_is_today() -> None:
    windows = resolve_windows(run_settings_of(as_of=None), datetime.date(2026, 3, 1))
    assert windows.as_of == datetime.date(2026, 3, 1)


def test_an_empty_training_window_is_refused() -> None:
    with pytest.raises(
        SettingsError, match=r"HOLLEY_INTENT_START=2026-01-02 .* a date before the cutoff 2026-01-02"
    ):
        resolve_windows(run_settings_of(intent_start=datetime.date(2026, 1, 2)), datetime.date(2026, 2, 1))


def test_everything_that_shapes_a_sample_names_its_folder() -> None:
    day = datetime.date(2026, 2, 1)
    changes: list[dict[str, Any]] = [
        {"sample_users": 300},
        {"sample_kind": "null"},
        {"sample_seed": 7},
        {"sample_traffic": 0.3},
    ]
    folders = {sample_folder(run_settings_of(**change), day) for change in [dict[str, Any](), *changes]}
    folders.add(sample_folder(run_settings_of(), datetime.date(2026, 2, 2)))
    assert len(folders) == 6


def test_samples_of_two_sizes_are_not_compared_and_exports_are(tmp_path: Path) -> None:
    day = datetime.date(2026, 2, 1)
    small = resolve_windows(run_settings_of(sample_users=300), day)
    large = resolve_windows(run_settings_of(sample_users=900), day)
    later = resolve_windows(run_settings_of(sample_users=300, as_of=datetime.date(2026, 2, 8)), day)
    assert small.source_kind == later.source_kind != large.source_kind
    exports = []
    for week in ("week-1", "week-2"):
        (tmp_path / week).mkdir()
        exports.append(resolve_windows(run_settings_of(source_dir=tmp_path / week), day).source_kind)
    assert exports == ["parquet", "parquet"]


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("HOLLEY_ENV", "staging", "local or prod"),
        ("HOLLEY_ENV", "prod", "not set"),
        ("HOLLEY_AS_OF", "yesterday", "ISO date"),
        ("HOLLEY_SAMPLE_USERS", "many", "whole number"),
        ("HOLLEY_SOURCE_DIR", "/no/such/folder", "existing folder"),
        ("HOLLEY_INTENT_START", "2026-01-20", "before the cutoff"),
    ],
)
def test_a_wrong_setting_ends_the_run_in_one_line(
    run_settings: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, words: str
) -> None:
    monkeypatch.setenv(variable, value)
    result = execute_job(only=FIRST)
    line = failure_of(result, "time_windows")
    assert f"{variable}={value} " in line and words in line
    assert "\n" not in line
    assert not (run_settings / "assets").exists(), "nothing is written"


def drop(column: str) -> Callable[[pa.Table], pa.Table]:
    return lambda table: table.drop_columns([column])


def empty(table: pa.Table) -> pa.Table:
    return table.slice(0, 0)


def as_numbers(column: str) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index(column)
        return table.set_column(place, column, pa.array([1] * table.num_rows, pa.int64()))

    return change


@pytest.mark.parametrize(
    ("table", "change", "words"),
    [
        ("import_items", None, ["import_items", "missing"]),
        ("import_orders", drop("ORDER_DATE"), ["import_orders", "ORDER_DATE", "missing", "STRING"]),
        ("import_items", as_numbers("Price"), ["import_items", "Price", "INT64", "STRING"]),
        ("vehicle_product_fitment_data", empty, ["vehicle_product_fitment_data", "empty"]),
        ("ingestion_unified_attributes_schema_incremental", empty, ["attributes_schema", "empty"]),
    ],
)
def test_a_wrong_source_table_ends_the_run_in_one_line(
    source: Path,
    run_settings: Path,
    table: str,
    change: Callable[[pa.Table], pa.Table] | None,
    words: list[str],
) -> None:
    path = source / f"{table}.parquet"
    content = pq.read_table(path)
    path.unlink()
    if change is not None:
        pq.write_table(change(content), path)
    line = failure_of(execute_job(only=FIRST), "time_windows")
    assert [word for word in words if word not in line] == []
    assert "\n" not in line
    assert not (run_settings / "assets").exists(), "nothing is written"


def test_a_folder_of_part_files_is_a_table(source: Path, run_settings: Path) -> None:
    path = source / "import_orders.parquet"
    content = pq.read_table(path)
    path.unlink()
    path.mkdir()
    half = content.num_rows // 2
    pq.write_table(content.slice(0, half), path / "part-0.parquet")
    pq.write_table(content.slice(half), path / "part-1.parquet")
    result = execute_job(only=FIRST)
    assert result.success
    metadata = result.asset_materializations_for_node("time_windows")[-1].metadata
    source_rows = metadata["source_rows"].value
    assert isinstance(source_rows, dict) and source_rows["import_orders"] == content.num_rows


def test_settings_are_frozen_and_sources_are_recorded(run_settings: Path) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        result = execute_job(instance=instance, only=FIRST)
        assert result.success
        recorded = instance.get_latest_materialization_event(dg.AssetKey("import_items"))
    assert recorded is not None and recorded.asset_materialization is not None
    assert int(str(recorded.asset_materialization.metadata["dagster/row_count"].value)) > 0
    frozen = json.loads((run_settings / "runs" / result.run_id / "settings.json").read_text())
    assert frozen["run"]["as_of"] == os.environ["HOLLEY_AS_OF"]
    windows = TimeWindows.from_table(read_asset(run_settings, "time_windows"))
    assert windows.source == "sample"


def test_a_misspelled_variable_is_pointed_out(
    run_settings: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOLLEY_SAMPLE_USER", "500")
    assert execute_job(only=FIRST).success
    assert "HOLLEY_SAMPLE_USER is set and is no setting" in capsys.readouterr().err
