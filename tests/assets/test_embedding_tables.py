"""Vectors as they stand in the warehouse: every customer once, with the vector that scores its parts."""

from __future__ import annotations

import datetime
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holley_assets.assets import embedding_tables as embedding_tables_module
from holley_assets.assets.embedding_tables import embedding_tables, product_vectors, user_vectors
from holley_assets.core.time_windows import TimeWindows
from holley_assets.resources.lease import LeaseError
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.warehouse.interface import MissingTableError, Warehouse
from holley_assets.resources.warehouse_resource import WarehouseResource

DELIVERED = datetime.date(2026, 2, 8)
SETTINGS = SettingsResource()


def vectors(key: str, keys: list[object], values: list[list[float]], views: list[str]) -> pa.Table:
    return pa.table(
        {
            "view": pa.array(views).dictionary_encode(),
            key: keys,
            "embedding": pa.array(values, pa.list_(pa.float32(), 2)),
            "model_version": ["m"] * len(keys),
        }
    )


def test_customers_stand_with_the_vector_that_they_share() -> None:
    embeddings = vectors(
        "profile",
        [1, 0, 0, 2],
        [[0.5, 0.0], [0.25, 1.0], [9.0, 9.0], [0.0, 0.125]],
        ["serving", "serving", "training", "serving"],
    )
    profiles = pa.table(
        {"email_lower": ["a", "b", "c", "d"], "serving_profile": np.array([2, 0, 2, 0], np.int32)}
    )
    table = user_vectors(embeddings, profiles, "run")
    assert table.schema.field("embedding").type == pa.list_(pa.float64())
    assert table.to_pylist() == [
        {"profile": 0, "emails": ["b", "d"], "embedding": [0.25, 1.0], "model_version": "m", "run_id": "run"},
        {"profile": 1, "emails": [], "embedding": [0.5, 0.0], "model_version": "m", "run_id": "run"},
        {
            "profile": 2,
            "emails": ["a", "c"],
            "embedding": [0.0, 0.125],
            "model_version": "m",
            "run_id": "run",
        },
    ]


def test_parts_stand_once_with_what_they_lead_to_and_what_leads_to_them() -> None:
    """A leads to B alone, which is certain: its score is the logarithm of 1. C was never ordered with another."""
    embeddings = vectors(
        "base_sku",
        ["A", "A", "C", "B"],
        [[1.0, 0.0], [0.0, 1.0], [0.5, 0.0], [0.25, 0.0]],
        ["training", "serving", "serving", "serving"],
    )
    pairs = pa.table({"base_sku": ["A"], "other_base_sku": ["B"], "serving_weight": [2.0]})
    table = product_vectors(embeddings, pairs, 16, "run")
    source, target = (table[f"{side}_embedding"].to_pylist() for side in ("source", "target"))
    assert table.schema.field("source_embedding").type == pa.list_(pa.float64())
    assert [len(vector) > 0 for vector in source] == [True, False, False]
    assert [len(vector) > 0 for vector in target] == [False, False, True]
    assert np.dot(source[0], target[2]) == 0.0
    assert table.drop_columns(["source_embedding", "target_embedding"]).to_pylist() == [
        {"base_sku": base_sku, "embedding": embedding, "model_version": "m", "run_id": "run"}
        for base_sku, embedding in (("A", [0.0, 1.0]), ("C", [0.5, 0.0]), ("B", [0.25, 0.0]))
    ]


def test_without_any_order_no_part_leads_to_another() -> None:
    embeddings = vectors("base_sku", ["A"], [[1.0, 0.0]], ["serving"])
    nothing = pa.array([], pa.string())
    pairs = pa.table(
        {"base_sku": nothing, "other_base_sku": nothing, "serving_weight": pa.array([], pa.float64())}
    )
    (row,) = product_vectors(embeddings, pairs, 16, "run").to_pylist()
    assert (row["source_embedding"], row["target_embedding"]) == ([], [])


class InMemory(dg.InMemoryIOManager):
    """Gives an asset tables that no asset of the test makes."""

    def __init__(self, tables: dict[str, pa.Table]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.tables = tables

    def load_input(self, context: dg.InputContext) -> pa.Table:
        return self.tables[context.asset_key.to_user_string()]


def opened() -> Warehouse:
    settings = SETTINGS.load()
    return WarehouseResource().open(settings, settings.run.data_dir)


def published(day: datetime.date) -> dg.ExecuteInProcessResult:
    """One user and one part with the vector of ``day``."""
    windows = TimeWindows(
        day, day - datetime.timedelta(30), day - datetime.timedelta(180), "parquet", "/none"
    )
    file = SETTINGS.load().run.data_dir / "assets" / "time_windows.parquet"
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(windows.to_table(), file)
    vector = [[float(day.day), 0.0]]
    nothing = pa.array([], pa.string())
    tables = {
        "user_profiles": pa.table({"email_lower": ["a"], "serving_profile": np.array([0], np.int32)}),
        "user_embeddings": vectors("profile", [0], vector, ["serving"]),
        "product_embeddings": vectors("base_sku", ["A"], vector, ["serving"]),
        "ordered_pairs": pa.table(
            {"base_sku": nothing, "other_base_sku": nothing, "serving_weight": pa.array([], pa.float64())}
        ),
    }
    return dg.materialize(
        [embedding_tables, *map(dg.AssetSpec, tables)],
        selection=[embedding_tables],
        resources={"io_manager": InMemory(tables), "settings": SETTINGS, "warehouse": WarehouseResource()},
        raise_on_error=False,
    )


def held(name: str) -> list[float]:
    (vector,) = opened().read_table("temp_holley_gnn", name)["embedding"].to_pylist()
    return list(vector)


@pytest.fixture
def delivered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delivered table, and the vectors of its day."""
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    at = datetime.datetime.combine(DELIVERED, datetime.time(), datetime.UTC)
    opened().replace_table("temp_holley_gnn", "recommendations", pa.table({"generated_at": [at]}))
    assert published(DELIVERED).success


@pytest.mark.usefixtures("delivered")
def test_vectors_of_an_older_day_go_beside_those_of_the_delivered_table(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result = published(DELIVERED - datetime.timedelta(1))
    assert result.success
    for name in ("user_embeddings", "product_embeddings"):
        assert (held(name), held(f"{name}_of_20260207")) == ([8.0, 0.0], [7.0, 0.0])
    (shown,) = result.asset_materializations_for_node("embedding_tables")
    assert shown.metadata["rows"].value == {
        "user_embeddings_of_20260207": 1,
        "product_embeddings_of_20260207": 1,
    }
    assert shown.metadata["dimensions"].value == 2

    monkeypatch.setenv("HOLLEY_SERVING_OLDER_DAY", "replace")
    assert published(DELIVERED - datetime.timedelta(2)).success
    assert held("product_embeddings") == [6.0, 0.0]
    with pytest.raises(MissingTableError):
        held("product_embeddings_of_20260206")


@pytest.mark.usefixtures("delivered")
def test_a_step_that_outlived_its_run_replaces_no_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    def taken_over(run_id: str) -> None:
        raise LeaseError(f"taken over; run {run_id[:8]} writes nothing more")

    monkeypatch.setattr(embedding_tables_module, "require_lease", taken_over)
    assert not published(DELIVERED + datetime.timedelta(1)).success
    assert held("user_embeddings") == [8.0, 0.0]
