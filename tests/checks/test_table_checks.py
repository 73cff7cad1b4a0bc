"""Each promise about a table, kept and broken by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holley_assets.checks.table_checks import check_table, table_check_specs
from holley_assets.core.event_log import (
    PreviousRows,
)
from holley_assets.core.table_specs import (
    TABLE_SPECS,
    Endpoint,
    TableSpec,
)

SPEC = TableSpec(
    name="edges",
    description="",
    key=("email_lower", "base_sku"),
    not_null=("weight",),
    weights=("weight", "serving_weight"),
    endpoints=(
        Endpoint("edges", ("email_lower",), "users", ("email_lower",)),
        Endpoint("edges", ("base_sku",), "products", ("base_sku",)),
    ),
)
USERS = pa.table({"email_lower": ["a@x.com", "b@x.com"]})
PRODUCTS = pa.table({"base_sku": ["8202", "550-1"]})
GOOD: dict[str, Sequence[Any]] = {
    "email_lower": ["a@x.com", "b@x.com"],
    "base_sku": ["8202", "8202"],
    "weight": [1.0, 2.0],
    "serving_weight": [None, 0.5],
}


def check(
    folder: Path, previous: PreviousRows | None = None, **changes: Any
) -> dict[str, dg.AssetCheckResult]:
    types = {"weight": pa.float64(), "serving_weight": pa.float64()}
    columns = {
        name: pa.array(values, types.get(name, pa.string())) for name, values in {**GOOD, **changes}.items()
    }
    paths = {}
    for name, table in (("edges", pa.table(columns)), ("users", USERS), ("products", PRODUCTS)):
        paths[name] = folder / f"{name}.parquet"
        pq.write_table(table, paths[name])
    edges = paths.pop("edges")
    results = check_table(SPEC, edges, paths, previous=previous, minimum_share=0.8)
    return {str(result.check_name): result for result in results}


def failed(results: dict[str, dg.AssetCheckResult]) -> list[str]:
    return [name for name, result in results.items() if not result.passed]


def test_a_sound_table_keeps_every_promise(tmp_path: Path) -> None:
    results = check(tmp_path)
    assert failed(results) == []
    assert list(results) == [spec.name for spec in table_check_specs(SPEC)]
    assert len(results) == 6


def test_a_repeated_key_is_found_and_names_nobody(tmp_path: Path) -> None:
    results = check(tmp_path, email_lower=["a@x.com", "a@x.com"])
    assert failed(results) == ["every_key_is_unique"]
    result = results["every_key_is_unique"]
    assert result.metadata["violations"].value == 1
    assert "@" not in f"{result.description}{result.metadata}"
    assert "base_sku 8202" in str(result.description)


@pytest.mark.parametrize("column", ["email_lower", "base_sku", "weight"])
def test_a_missing_value_is_found(tmp_path: Path, column: str) -> None:
    results = check(tmp_path, None, **{column: [GOOD[column][0], None]})
    assert "no_key_is_missing" in failed(results)


def test_an_empty_table_is_refused_where_it_says_so(tmp_path: Path) -> None:
    results = check(tmp_path, None, **{name: [] for name in GOOD})
    assert failed(results) == ["table_is_not_empty"]


@pytest.mark.parametrize(("email", "sku"), [("stranger@x.com", "8202"), ("a@x.com", "unknown")])
def test_an_edge_to_no_node_is_found(tmp_path: Path, email: str, sku: str) -> None:
    results = check(tmp_path, email_lower=["b@x.com", email], base_sku=["8202", sku])
    assert failed(results) == ["every_row_refers_to_existing_nodes"]


@pytest.mark.parametrize("weight", [0.0, -1.0, math.nan, math.inf])
@pytest.mark.parametrize("column", ["weight", "serving_weight"])
def test_an_unusable_weight_is_found(tmp_path: Path, column: str, weight: float) -> None:
    results = check(tmp_path, None, **{column: [1.0, weight]})
    assert failed(results) == ["every_weight_is_finite_and_positive"]


@pytest.mark.parametrize(("before", "passes"), [(2, True), (3, False), (100, False)])
def test_rows_are_compared_with_the_previous_run(tmp_path: Path, before: int, passes: bool) -> None:
    """2 of 2 rows are enough, 2 of 3 are 67 %."""
    results = check(tmp_path, previous=PreviousRows("0123456789", before))
    assert (failed(results) == []) == passes
    assert (
        "HOLLEY_CHECK_MINIMUM_ROWS_SHARE"
        in str(results["table_did_not_shrink_since_the_previous_run"].description)
        or passes
    )


def test_examples_are_at_most_three_and_the_count_is_whole(tmp_path: Path) -> None:
    emails = [f"user{number}@x.com" for number in range(50)]
    results = check(
        tmp_path, email_lower=emails, base_sku=["8202"] * 50, weight=[1.0] * 50, serving_weight=[1.0] * 50
    )
    metadata = results["every_row_refers_to_existing_nodes"].metadata
    assert metadata["violations"].value == 50
    examples = metadata["examples"]
    assert isinstance(examples, dg.TableMetadataValue) and len(examples.records) == 3


def test_every_table_has_its_promises() -> None:
    for spec in TABLE_SPECS:
        names = {check.name for check in table_check_specs(spec)}
        assert all(check.blocking for check in table_check_specs(spec))
        assert ("every_key_is_unique" in names) == bool(spec.key)
        assert names & {"table_is_not_empty", "every_row_refers_to_existing_nodes", "no_key_is_missing"}, (
            spec.name
        )


def test_a_table_of_nodes_or_structure_is_never_empty() -> None:
    may_be_empty = {spec.name for spec in TABLE_SPECS if spec.may_be_empty}
    assert (
        may_be_empty & {"user_nodes", "product_nodes", "vehicle_nodes", "fits_edges", "fitment", "parts"}
        == set()
    )
