"""Users whose vehicle no part fits, counted before they are lost."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holley_assets.checks.coverage_checks import (
    most_vehicles_are_in_the_fitment_table,
    vehicles_without_fitment,
)
from holley_assets.resources.settings_resource import SettingsResource

FITMENT = pa.table({"year": [1967, 1967, 1968], "make": ["FORD"] * 3, "model": ["A", "A", "A"]})


def owners(**cars: int) -> pa.Table:
    """Users with FORD A of 1967, or with other cars by their names."""
    known = {
        "A67": (1967, "FORD", "A"),
        "A69": (1969, "FORD", "A"),
        "B67": (1967, "FORD", "B"),
        "C67": (1967, "CHEVY", "A"),
    }
    rows = [known[name] for name, number in cars.items() for _ in range(number)]
    columns = zip(*rows, strict=True) if rows else ([], [], [])
    types = (pa.int64(), pa.string(), pa.string())
    return pa.table(
        {
            name: pa.array(list(values), kind)
            for name, values, kind in zip(("year", "make", "model"), columns, types, strict=True)
        }
    )


def test_vehicles_that_nothing_fits_are_named_the_commonest_first() -> None:
    found = vehicles_without_fitment(owners(A67=5, A69=2, B67=2, C67=3), FITMENT)
    assert found.to_pylist() == [
        {"year": 1967, "make": "CHEVY", "model": "A", "users": 3},
        {"year": 1969, "make": "FORD", "model": "A", "users": 2},
        {"year": 1967, "make": "FORD", "model": "B", "users": 2},
    ]


@pytest.mark.parametrize("encode", [False, True])
def test_who_has_a_vehicle_that_is_named_is_no_loss(encode: bool) -> None:
    tables = [owners(A67=4), FITMENT]
    if encode:
        tables = [table.set_column(1, "make", table["make"].dictionary_encode()) for table in tables]
    assert vehicles_without_fitment(*tables).num_rows == 0


def verdict_on(folder: Path, users: pa.Table) -> dg.AssetCheckEvaluation:
    """What a run on these users says."""
    (folder / "assets").mkdir()
    pq.write_table(users, folder / "assets" / "user_nodes.parquet")
    pq.write_table(FITMENT, folder / "assets" / "fitment.parquet")
    definitions = dg.Definitions(
        assets=[dg.AssetSpec("user_nodes"), dg.AssetSpec("fitment")],
        asset_checks=[most_vehicles_are_in_the_fitment_table],
        resources={"settings": SettingsResource()},
    )
    job = definitions.resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        (verdict,) = result.get_asset_check_evaluations()
    return verdict


@pytest.mark.parametrize(
    ("cars", "passed", "stops"),
    [
        ({"A67": 9, "C67": 1}, True, False),
        ({"A67": 899, "C67": 101}, False, False),
        ({"A67": 5, "C67": 5}, False, False),
        ({"A67": 499, "C67": 501}, False, True),
        ({"A67": 10}, True, False),
        ({"C67": 10}, False, True),
        ({}, False, True),
    ],
)
def test_the_check_counts_users_before_they_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cars: dict[str, int], passed: bool, stops: bool
) -> None:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    verdict = verdict_on(tmp_path, owners(**cars))
    assert verdict.passed == passed
    assert (verdict.severity == dg.AssetCheckSeverity.ERROR) == stops
    lost = cars.get("C67", 0)
    assert (f"the commonest: 1967 CHEVY A ({lost})" in str(verdict.description)) == bool(lost)


def test_ten_vehicles_are_named_and_no_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    models = [f"M{number:02d}" for number in range(10)] + ["ann@example.com"] * 2
    users = pa.table({"year": [1970] * 12, "make": ["FORD"] * 12, "model": models})
    words = str(verdict_on(tmp_path, users).description)
    assert "12 users of 11 other vehicles" in words
    assert "M08 (1)" in words and "M09" not in words
    assert "(2)" in words and "@" not in words


def test_it_stops_what_comes_after() -> None:
    (spec,) = most_vehicles_are_in_the_fitment_table.check_specs
    assert spec.blocking
