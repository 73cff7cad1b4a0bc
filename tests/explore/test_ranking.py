"""The tables that the notebook reads, and how a car's ranking comes about, on a finished run."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import matplotlib
import nbformat
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_run import FinishedRun
from storage_emulator import StorageEmulator

from holley_assets.assets.exploration import EXPLORED
from holley_assets.core.table_specs import TABLE_SPECS
from holley_assets.evaluation.example_cars import ExampleCar
from holley_assets.explore import NOTEBOOK
from holley_assets.explore.ranking import find_car, known_cars, rank_car
from holley_assets.explore.tables import ExploredTables, open_tables
from holley_assets.resources.settings_resource import SettingsResource, open_store
from holley_assets.settings import SettingsError


class Recorded(ExploredTables):
    """Remembers which assets were read."""

    names: frozenset[str] = frozenset()

    def table(
        self, asset: str, columns: list[str] | None = None, only: dict[str, object] | None = None
    ) -> pa.Table:
        self.names |= {asset}
        return super().table(asset, columns, only)


@pytest.fixture
def tables(weekly_run: FinishedRun, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(weekly_run.data_dir))
    return Recorded(SettingsResource().load())


def test_a_car_gets_what_is_delivered_to_its_cold_owners(tables: Recorded) -> None:
    users = tables.frame("user_nodes")
    cold = users[users["serving_engagement_tier"] == "cold"].merge(
        tables.frame("recommendations"), on="email_lower", suffixes=("", "_delivered")
    )
    ordered = set(tables.table("user_purchases")["email_lower"].to_pylist())
    cars = {car.name: car for car in known_cars(tables)}
    for row in cold[~cold["email_lower"].isin(ordered)].head(2).to_dict("records"):
        found = rank_car(tables, cars[f"{row['year']} {row['make']} {row['model']}"])
        shown = found.parts[found.parts["outcome"].str.startswith("slot")]
        scores = [row[f"rec{slot}_score"] for slot in range(1, 5)]
        assert shown["score"].tolist() == [score for score in scores if pd.notna(score)]
        assert found.terms.index.tolist() == shown["base_sku"].tolist()
        assert found.terms.sum(axis=1).tolist() == pytest.approx(shown["score"].tolist(), rel=1e-6)
        # Parts that a rule keeps out have their type too.
        kept_out = found.parts["outcome"].str.startswith("not eligible")
        assert kept_out.sum() > 10 and found.parts["part_type"][kept_out].notna().mean() > 0.9
        assert found.parts["rank"].tolist() == list(range(1, len(found.parts) + 1))
        assert found.similar.abs().is_monotonic_decreasing and len(found.similar) > 0


def test_cars_come_by_their_visits(tables: Recorded) -> None:
    cars = known_cars(tables)
    visits = [car.visits for car in cars if car.visits >= 1]
    assert visits == sorted(visits, reverse=True) and len(set(cars)) == len(cars) > len(visits) / 2


def test_a_car_is_found_by_its_name_or_others_are_named() -> None:
    cars = [ExampleCar(1970, "FORD", "MUSTANG", 2, 9.0), ExampleCar(1969, "FORD", "MUSTANG", 3, 5.0)]
    assert find_car(cars, None) is cars[0]
    assert find_car(cars, " 1969 ford  Mustang ") is cars[1]
    with pytest.raises(
        ValueError, match=r"no customer has a 1969 FORD MUSTAN that parts fit.* 1969 FORD MUSTANG"
    ):
        find_car(cars, "1969 Ford Mustan")


def test_the_asset_names_all_that_the_notebook_reads(tables: Recorded) -> None:
    in_cells = set(re.findall(r'tables\.table\(\\"(\w+)\\"', NOTEBOOK.read_text(encoding="utf-8")))
    assert len(in_cells) >= 7
    rank_car(tables, known_cars(tables)[0])
    assert tables.windows.as_of and tables.model_version
    assert (in_cells | tables.names) - {"time_windows"} == set(EXPLORED)


def test_frames_have_days_and_missing_values_as_pandas_has_them(tables: Recorded) -> None:
    orders = tables.frame("daily_orders", ["order_date", "orders"])
    assert list(orders.columns) == ["order_date", "orders"]
    assert orders["order_date"].dtype.kind == "M" and orders["orders"].sum() > 0


def test_weights_are_those_of_the_vectors_wherever_they_lie(
    tables: Recorded, weekly_run: FinishedRun
) -> None:
    assert tables.model_version.endswith(tables.checkpoint.fingerprint[:12])
    # As after another training: the newest is not what made the vectors.
    tables.__dict__.pop("checkpoint")
    tables.model_version = "20260101-000000000000"
    with pytest.raises(FileNotFoundError, match="weights of model 20260101-000000000000 are gone"):
        _ = tables.checkpoint


def test_settings_of_another_version_end_in_one_line(
    tables: Recorded, weekly_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = weekly_run.table("serving_graph")["run_id"][0].as_py()
    (tmp_path / "runs" / run_id).mkdir(parents=True)
    (tmp_path / "runs" / run_id / "settings.json").write_text('{"run": {"older": 1}}')
    (tmp_path / "assets").symlink_to(weekly_run.data_dir / "assets")
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    with pytest.raises(SettingsError, match=f"settings of run {run_id} are of another version"):
        _ = open_tables().ranking


def test_in_production_all_of_it_is_read_from_the_bucket(
    tables: Recorded,
    weekly_run: FinishedRun,
    storage_emulator: StorageEmulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage_emulator.url)
    settings = SettingsResource().load()
    run = settings.run.model_copy(update={"env": "prod", "data_dir": tmp_path / "scratch"})
    storage = settings.storage.model_copy(update={"bucket": storage_emulator.bucket, "folder": "explored"})
    bucket = open_store(settings.model_copy(update={"run": run, "storage": storage}))
    (graph,) = weekly_run.table("serving_graph").to_pylist()
    keys = {f"assets/{name}.parquet" for name in (*EXPLORED, "time_windows")}
    keys |= {graph["path"], f"runs/{graph['run_id']}/settings.json", "runs/another/model.pt"}
    for key in keys:
        # Weights lie elsewhere than the table of the newest training says, as those of a champion do.
        staged = bucket.staging_path(key.replace("runs/another", "checkpoints/another"))
        shutil.copy(weekly_run.data_dir / key.replace("another", graph["run_id"]), staged)
        bucket.publish(staged, key.replace("runs/another", "checkpoints/another"))
    read = ExploredTables(settings.model_copy(update={"run": run, "storage": storage}))
    car = known_cars(read)[0]
    assert rank_car(read, car).parts.equals(rank_car(tables, car).parts)
    assert read.windows == tables.windows


def test_without_a_context_the_environment_says_where(weekly_run: FinishedRun, tables: Recorded) -> None:
    assert open_tables().windows == tables.windows


def test_the_lines_for_pandas_run_as_the_page_has_them(
    weekly_run: FinishedRun, tables: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "data").symlink_to(weekly_run.data_dir)
    monkeypatch.chdir(tmp_path)
    page = NOTEBOOK.with_name("README.md").read_text(encoding="utf-8")
    names: dict[str, Any] = {}
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.S)
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert len(blocks) == 2 and len(names["customers"]) == weekly_run.table("user_nodes").num_rows
    assert set(names["rankings"]["rank"]) == {1, 2, 3, 4} and set(names["rankings"]["system"]) == {"gnn"}
    assert names["orders_a_month"].sum() == names["demand"]["orders"].sum() > 0
    assert len(names["vectors"]) and names["graph"].products and names["weights"].fingerprint


def run_alone() -> list[str]:
    """The notebook as Jupyter runs it, without a kernel and a context; what it displays, as text."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    shown: list[str] = []

    def display(*values: Any) -> None:
        shown.extend(str(getattr(value, "data", value)) for value in values)

    names: dict[str, Any] = {"display": display}
    with matplotlib.rc_context(), pd.option_context("display.float_format", None):
        for cell in notebook.cells:
            if cell.cell_type == "code":
                exec(compile(cell.source, cell.id, "exec"), names)
    return shown


def test_the_notebook_runs_alone_and_on_tables_that_may_be_empty(
    weekly_run: FinishedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nobody has clicked, ordered or been seen yet, the sections say so with zeros."""
    monkeypatch.setenv("MPLBACKEND", "agg")
    for folder in ("assets", "runs"):
        shutil.copytree(weekly_run.data_dir / folder, tmp_path / folder)
    empty = {spec.name for spec in TABLE_SPECS if spec.may_be_empty} & set(EXPLORED) - {"history_scores"}
    assert empty >= {"daily_orders", "interaction_events", "co_purchased_edges", "test_clicks"}
    for name in empty:
        path = tmp_path / "assets" / f"{name}.parquet"
        pq.write_table(pq.read_table(path).slice(0, 0), path)
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    shown = "\n".join(run_alone())
    assert "0 orders of" in shown and "100.0% of the parts were never ordered" in shown
    assert "0 pairs join 0 of" in shown and "What the scores" not in shown
    assert shown.count("<img") == 7 and "@" not in re.sub(r"data:[^\"]*", "", shown)
