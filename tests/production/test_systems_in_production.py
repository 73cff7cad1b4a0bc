"""The hybrid in production: trained in shadow, promoted, served to its arm, switched off and on, and rolled back."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from small_run import TRAINING

from holley_assets.evaluation.systems import delivered_system
from holley_assets.ranking.arms import user_buckets
from production.production_world import OUTPUT, Production, Weekly, rows_by_email

MIXING = ["mixed_recommendations", "serving_table"]
WHO = {"by": "ada", "reason": "a test"}


def test_the_hybrid_is_served_like_any_model_and_the_model_before_it_comes_back_whole(
    production: Production, weekly: Weekly, serving: pa.Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = weekly.model_version
    before = production.served()

    # In shadow a training delivers the hybrid to the table that nobody serves from, and customers keep what they had.
    monkeypatch.setenv("HOLLEY_SERVING_SYSTEM", "hybrid")
    production.do("weekly_retrain", TRAINING)
    (hybrid,) = set(production.table(OUTPUT, "recommendations")["model_version"].to_pylist())
    assert (delivered_system(graph), delivered_system(hybrid)) == ("gnn", "hybrid")
    assert production.served().equals(before)
    assert set(before["model_version"].to_pylist()) <= {graph, "sql"}

    # Promoted it fills the graph's arm, and users stay in the arms that they had.
    monkeypatch.setenv("HOLLEY_SERVING_MODE", "ab")
    production.promote(model_version=hybrid)
    production.do("serve_graph_again", ["serving_switch", *MIXING], serving_switch=WHO)
    mixed = production.served()
    assert_arms(production, mixed, hybrid)
    assert mixed.select(["email_lower", "assigned_arm"]).equals(
        serving.select(["email_lower", "assigned_arm"])
    )
    assert first_parts(mixed, "graph") != first_parts(serving, "graph")

    # The kill switch takes it from everybody, and what comes back after it is the hybrid's again.
    production.do("serve_sql_only", ["serving_switch", *MIXING], serving_switch=WHO)
    assert_arms(production, production.served(), None)
    production.do("serve_graph_again", ["serving_switch", *MIXING], serving_switch=WHO)
    assert production.served().equals(mixed)

    # A rollback brings back the graph model's version, row for row, in both tables.
    production.do("rollback", roll_back=WHO)
    assert production.served().equals(serving)
    assert set(production.table(OUTPUT, "recommendations")["model_version"].to_pylist()) == {graph}
    champion = production.tracking().get_model_version_by_alias("holley-gnn", "champion")
    assert champion.tags["model_version"] == graph


def assert_arms(production: Production, table: pa.Table, champion: str | None) -> None:
    """Each user is in the arm of the hash, with the row that was judged for it; None is the kill switch."""
    judged: dict[str, dict[str, dict[str, Any]]] = {
        "graph": rows_by_email(production.asset("recommendations")),
        "sql": rows_by_email(production.asset("sql_recommendations")),
    }
    buckets = user_buckets(table["email_lower"], "holley").to_pylist()
    assert {bucket < 5000 for bucket in buckets} == {True, False}
    for row, bucket in zip(table.to_pylist(), buckets, strict=True):
        arm, assigned = row.pop("arm"), row.pop("assigned_arm")
        assert assigned == ("graph" if bucket < 5000 else "sql")
        assert arm == (assigned if champion else "sql")
        assert row["model_version"] == (champion if arm == "graph" else "sql")
        assert row == judged[arm][row["email_lower"]]


def first_parts(table: pa.Table, arm: str) -> dict[str, object]:
    """The first part of each user of an arm."""
    return {row["email_lower"]: row["rec_part_1"] for row in table.to_pylist() if row["arm"] == arm}
