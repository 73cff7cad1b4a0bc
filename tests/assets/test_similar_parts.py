"""Similar parts of a finished run: what is published is what was judged, and a broken table never is."""

from __future__ import annotations

from collections import Counter
from typing import Any

import dagster as dg
import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from small_run import FinishedRun, execute_job, failure_of

from holley_assets.ranking import similar_parts
from holley_assets.ranking.directed_vectors import pair_scores
from holley_assets.ranking.similar_parts import SCHEMA

STEPS = ["similar_parts", "similar_parts_table"]


def published(run: FinishedRun) -> pa.Table:
    with duckdb.connect(str(run.data_dir / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute("SELECT * FROM temp_holley_gnn.similar_parts ORDER BY ALL").to_arrow_table()


def in_order(table: pa.Table) -> list[dict[str, Any]]:
    order = [(name, "ascending") for name in ("base_sku", "relation", "rank")]
    return list(table.sort_by(order).to_pylist())


def test_what_is_published_is_what_was_judged(weekly_run: FinishedRun) -> None:
    table = published(weekly_run)
    assert table.column_names == SCHEMA.names
    staged = weekly_run.table("similar_parts")
    assert staged.num_rows > 100 and in_order(table) == in_order(staged)
    (version,) = set(weekly_run.table("product_embeddings")["model_version"].to_pylist())
    assert set(table["model_version"].to_pylist()) == {version}
    assert set(table["relation"].to_pylist()) == {"alternative", "goes_with"}


def test_alternatives_have_one_type_and_what_goes_with_a_part_was_ordered_after_it(
    weekly_run: FinishedRun,
) -> None:
    rows = weekly_run.table("similar_parts").to_pylist()
    types: dict[str, set[str]] = {}
    for part in weekly_run.table("parts").to_pylist():
        types.setdefault(part["base_sku"], set()).add(part["part_type"])
    table = weekly_run.table("ordered_pairs")
    firsts, others = table["base_sku"].to_pylist(), table["other_base_sku"].to_pylist()
    number = {name: place for place, name in enumerate(sorted({*firsts, *others}))}
    scores = pair_scores(
        np.array([number[name] for name in firsts]),
        np.array([number[name] for name in others]),
        table["serving_weight"].to_numpy(),
        16,
    )
    pairs = {
        (first, other): (score, buyers)
        for first, other, score, buyers in zip(
            firsts, others, scores.tolist(), table["serving_buyers"].to_pylist(), strict=True
        )
    }
    seen = Counter[tuple[str, str]]()
    for row in rows:
        pair = (row["base_sku"], row["other_base_sku"])
        seen[row["relation"], row["base_sku"]] += 1
        if row["relation"] == "alternative":
            assert types[pair[0]] & types[pair[1]]
            assert row["evidence"]["buyers"] == pairs.get(pair, (0.0, 0))[1]
        else:
            assert (row["score"], row["evidence"]["buyers"]) == pairs[pair]
        assert row["evidence"]["shared_vehicles"] >= 1
    assert max(seen.values()) <= 20


def test_a_table_with_a_part_beside_itself_is_not_published(
    continued_run: tuple[FinishedRun, dg.DagsterInstance], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, instance = continued_run
    before = published(run)
    right = similar_parts.find_similar_parts

    def wrong(*arguments: Any, **options: Any) -> pa.Table:
        table = right(*arguments, **options)
        first = pc.equal(pa.array(range(table.num_rows)), 0)
        others = pc.if_else(first, table["base_sku"], table["other_base_sku"])
        return table.set_column(SCHEMA.get_field_index("other_base_sku"), "other_base_sku", others)

    monkeypatch.setattr(similar_parts, "find_similar_parts", wrong)
    result = execute_job("weekly_retrain", instance=instance, only=STEPS)
    assert not result.success
    failed = {each.check_name for each in result.get_asset_check_evaluations() if not each.passed}
    assert "no_part_is_similar_to_itself" in failed
    # Nobody publishes around the checks either.
    alone = execute_job("weekly_retrain", instance=instance, only=STEPS[1:])
    assert not alone.success
    assert "similar_parts: no_part_is_similar_to_itself failed" in failure_of(alone, "similar_parts_table")
    assert published(run).equals(before)
    monkeypatch.undo()
