"""Each promise on similar parts, broken on purpose in a sound table of a small catalogue."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holley_assets.checks.similar_parts_checks import (
    RULES,
    check_change,
    check_coverage,
    check_promises,
    similar_parts_check_specs,
)
from holley_assets.ranking.similar_parts import SCHEMA
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES

Rows = list[dict[str, Any]]


def row(base: str, relation: str, rank: int | None, other: str | None, score: float | None) -> dict[str, Any]:
    return {
        "base_sku": base,
        "relation": relation,
        "rank": rank,
        "other_base_sku": other,
        "score": score,
        "evidence": {"buyers": 2, "shared_vehicles": 1},
        "generated_at": datetime.datetime(2026, 2, 1, tzinfo=datetime.UTC),
        "model_version": "m",
    }


def sound() -> Rows:
    return [
        row("A", "alternative", 1, "B", 0.5),
        row("A", "goes_with", 1, "C", 3.0),
        row("A", "goes_with", 2, "B", 3.0),
        row("B", "alternative", 1, "A", 0.5),
        row("8202", "goes_with", 1, "A", 1.5),
    ]


@pytest.fixture
def judge(tmp_path: Path) -> Callable[[Rows], dict[str, dg.AssetCheckResult]]:
    """Results of all promises by name. 8202 may be shown in black alone; D and E may not be, or fit another car."""
    reasons = {
        "A": None,
        "B": None,
        "C": None,
        "8202B": None,
        "8202": "no image",
        "D": "refurbished",
        "E": None,
    }
    parts = {
        "sku": list(reasons),
        "base_sku": [sku.removesuffix("B") if sku != "B" else sku for sku in reasons],
        "serving_ineligible_reason": pa.array(reasons.values(), pa.string()),
    }
    # Of 8202 the black variant alone fits 1967, and it is the only one that may be shown.
    cars = [("1967", ["A", "B", "C", "8202b", "D"]), ("1968-1969", ["E", "8202"])]
    fitment = pa.table(
        {
            "v1_year": [year for year, _ in cars],
            "v1_make": ["Ford"] * 2,
            "v1_model": ["Mustang"] * 2,
            "products": [[{"product_number": sku} for sku in skus] for _, skus in cars],
        }
    )
    pq.write_table(fitment, tmp_path / "fitment.parquet")
    pq.write_table(pa.table(parts), tmp_path / "parts.parquet")
    staged = tmp_path / "similar_parts.parquet"
    warehouse = DuckDBWarehouse(
        sources=dict.fromkeys(SOURCE_TABLES, tmp_path / "fitment.parquet"),
        assets={"parts": tmp_path / "parts.parquet", "similar_parts": staged},
        database=tmp_path / "warehouse.duckdb",
        temporary_directory=tmp_path,
    )
    parameters = {"as_of": datetime.date(2026, 2, 1), "maximum_similar_parts": 2}

    def results(rows: Rows) -> dict[str, dg.AssetCheckResult]:
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), staged)
        return {str(result.check_name): result for result in check_promises(warehouse, parameters, tmp_path)}

    return results


def test_a_sound_table_keeps_every_promise(judge: Callable[[Rows], dict[str, dg.AssetCheckResult]]) -> None:
    results = judge(sound())
    assert {name: result.passed for name, result in results.items()} == {rule.name: True for rule in RULES}
    assert all(result.passed for result in judge([]).values())


@pytest.mark.parametrize(
    ("rule", "changed"),
    [
        ("one_row_a_similar_part", row("A", "alternative", 2, "B", 0.5)),
        ("one_row_a_similar_part", row("C", "alike", 1, "B", 0.5)),
        ("one_row_a_similar_part", row("C", "alternative", 1, None, 0.5)),
        ("similar_parts_are_eligible", row("D", "alternative", 1, "A", 0.5)),
        ("similar_parts_are_eligible", row("C", "alternative", 1, "D", 0.5)),
        ("similar_parts_are_eligible", row("C", "alternative", 1, "UNLISTED", 0.5)),
        ("no_part_is_similar_to_itself", row("C", "alternative", 1, "C", 0.5)),
        ("no_part_is_similar_to_itself", row("8202", "alternative", 1, "8202R", 0.5)),
        ("similar_parts_share_a_vehicle", row("C", "alternative", 1, "E", 0.5)),
        # The plain variant fits E's car, and may not be shown.
        ("similar_parts_share_a_vehicle", row("8202", "alternative", 1, "E", 0.5)),
        ("similar_ranks_are_unbroken", row("C", "alternative", 2, "A", 0.5)),
        ("similar_ranks_are_unbroken", row("C", "alternative", 0, "A", 0.5)),
        ("similar_ranks_are_unbroken", row("C", "alternative", None, "A", 0.5)),
        ("similar_ranks_are_unbroken", row("A", "goes_with", 2, "8202", 3.0)),
        ("similar_ranks_are_unbroken", row("A", "goes_with", 3, "8202", 1.0)),
        ("similar_ranks_are_unbroken", row("A", "alternative", 2, "C", 0.75)),
        ("similar_ranks_are_unbroken", row("C", "alternative", 1, "A", math.nan)),
        ("similar_ranks_are_unbroken", row("C", "alternative", 1, "A", math.inf)),
        ("similar_ranks_are_unbroken", row("C", "alternative", 1, "A", None)),
    ],
)
def test_a_broken_promise_is_found(
    judge: Callable[[Rows], dict[str, dg.AssetCheckResult]], rule: str, changed: dict[str, Any]
) -> None:
    result = judge([*sound(), changed])[rule]
    assert not result.passed and result.severity is dg.AssetCheckSeverity.ERROR
    violations = result.metadata["violations"].value
    assert isinstance(violations, int) and 1 <= violations <= 2


def table_of(*keys: tuple[str, str, str]) -> pa.Table:
    return pa.Table.from_pylist(
        [row(base, relation, 1, other, 0.5) for base, relation, other in keys], schema=SCHEMA
    )


@pytest.mark.parametrize(("eligible", "passed"), [(3, True), (4, True), (5, False), (0, False)])
def test_too_few_parts_with_similar_ones_warn(eligible: int, passed: bool) -> None:
    table = table_of(("A", "alternative", "B"), ("A", "goes_with", "B"), ("B", "alternative", "A"))
    result = check_coverage(table, eligible, 0.5)
    assert result.passed == passed and result.severity is dg.AssetCheckSeverity.WARN


@pytest.mark.parametrize(
    ("kept", "passed"), [(("A",), False), (("A", "B"), True), (("A", "B", "C", "D"), True), ((), False)]
)
def test_a_table_that_lost_more_than_half_of_its_rows_warns(kept: tuple[str, ...], passed: bool) -> None:
    """A row of another relation is another row, and new rows are no loss."""
    last = table_of(*((part, "alternative", "Z") for part in "ABCD"))
    now = table_of(
        *((part, "alternative", "Z") for part in kept), ("C", "goes_with", "Z"), ("N", "alternative", "Z")
    )
    result = check_change(now, last, 0.5)
    assert result.passed == passed and result.severity is dg.AssetCheckSeverity.WARN
    assert result.metadata["value"].value == 1 - len(kept) / 4


def test_without_a_table_of_before_nothing_changed() -> None:
    now = table_of(("A", "alternative", "B"))
    for last in (None, now.slice(0, 0)):
        assert check_change(now, last, 0.0).passed


def test_promises_block_and_warnings_do_not() -> None:
    blocking = {spec.name: spec.blocking for spec in similar_parts_check_specs()}
    promises = {rule.name for rule in RULES}
    assert {name for name, blocks in blocking.items() if blocks} == promises and len(blocking) == len(
        promises
    ) + 2
