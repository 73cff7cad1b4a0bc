"""A change of what is delivered, from the graph model to the hybrid and back, over the serving table."""

from __future__ import annotations

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest
from assets.test_serving import ONLY, graph_users, reasons, served
from promotion import promote_version
from small_run import FinishedRun, execute_job

from holley_assets.ranking.mixtures import chosen_value

# From the weights to the delivered table, with what the checks on it ask for.
SCORING = [
    "user_embeddings",
    "product_embeddings",
    "history_weights",
    "held_out_visits",
    "held_out_scores",
    "history_scores",
    "mixture_weights",
    "recommendations",
    "recommendations_table",
]
TRAINING = ["trained_checkpoint", *SCORING]


def test_a_change_of_the_system_and_back_mixes_nothing(
    continued_run: tuple[FinishedRun, dg.DagsterInstance], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, instance = continued_run
    graph = version(run)
    promote_version(graph)
    monkeypatch.setenv("HOLLEY_SERVING_MODE", "ab")
    first = deliver(run, instance, ONLY)
    assert models(first) == {graph, "sql"}

    # The setting alone changes nothing: the champion is delivered as what it was judged as.
    monkeypatch.setenv("HOLLEY_SERVING_SYSTEM", "hybrid")
    assert deliver(run, instance, ONLY).equals(first)

    # The next training makes a hybrid, which serves nobody until somebody promotes it.
    assert execute_job("weekly_retrain", instance=instance, only=TRAINING).success
    hybrid = version(run)
    assert hybrid.endswith("-hybrid") and not graph.endswith("-hybrid")
    assert deliver(run, instance, ONLY).equals(first)
    assert f"only the champion {graph} fills" in reasons(instance)[0]
    delivered = run.table("recommendations")
    assert models(delivered) == {hybrid}
    assert_is_the_hybrid(run, delivered)

    promote_version(hybrid)
    second = deliver(run, instance, ONLY)
    assert models(second) == {hybrid, "sql"}
    assert graph_users(second) == graph_users(first)
    assert second["assigned_arm"].equals(first["assigned_arm"])
    assert not second["rec_part_1"].equals(first["rec_part_1"])

    # Back to the version of before, whatever the setting still says: its parts, row for row.
    promote_version(graph)
    assert execute_job("daily_score", instance=instance, only=[*SCORING, *ONLY]).success
    back = served(run)
    assert back is not None and back.equals(first)


def version(run: FinishedRun) -> str:
    return str(run.table("trained_checkpoint")["model_version"][0].as_py())


def models(table: pa.Table) -> set[str]:
    return set(table["model_version"].to_pylist())


def deliver(run: FinishedRun, instance: dg.DagsterInstance, only: list[str]) -> pa.Table:
    """The serving table after these steps of a daily run."""
    assert execute_job("daily_score", instance=instance, only=only).success
    table = served(run)
    assert table is not None
    return table


def assert_is_the_hybrid(run: FinishedRun, delivered: pa.Table) -> None:
    """Scores of some rows from the vectors, the histories and the pipeline's scores as of the run's day."""
    mixtures = run.table("mixture_weights")
    nodes, profiles = run.table("user_nodes").to_pylist(), run.table("user_profiles").to_pylist()
    users = {node["email_lower"]: {**node, **profile} for node, profile in zip(nodes, profiles, strict=True)}
    base_skus = {row["sku"]: row["base_sku"] for row in run.table("parts").to_pylist()}
    fitting: dict[tuple[object, ...], list[str]] = {}
    for row in run.table("fitment").to_pylist():
        if row["serving_sku"] is not None:
            car = (str(row["year"]), row["make"], row["model"])
            fitting.setdefault(car, []).append(row["base_sku"])
    sql = {
        (row["make"], row["model"], row["base_sku"]): row["serving_sql_score"]
        for row in run.table("popularity").to_pylist()
    }
    vectors, lengths = {}, {}
    for name, key in (("user_embeddings", "profile"), ("product_embeddings", "base_sku")):
        rows = [row for row in run.table(name).to_pylist() if row["view"] == "serving"]
        vectors[name] = {row[key]: np.array(row["embedding"]) for row in rows}
        lengths[name] = max(row["norm"] for row in rows)
    added = {
        (row["profile"], row["base_sku"]): row["score"]
        for row in run.table("history_scores").to_pylist()
        if row["view"] == "serving"
    }
    temperature = lengths["user_embeddings"] * lengths["product_embeddings"]
    tiers = {name: user["serving_engagement_tier"] for name, user in users.items()}
    rows = delivered.to_pylist()
    some = [*rows[::100], *(row for row in rows if tiers[row["email_lower"]] != "cold")][:60]
    assert {tiers[row["email_lower"]] for row in some} >= {"cold", "warm"}
    for row in some:
        user = users[row["email_lower"]]
        profile, car = user["serving_profile"], (row["year"], row["make"], row["model"])
        parts = fitting[car]
        graph = temperature * np.array(
            [
                vectors["user_embeddings"][profile] @ vectors["product_embeddings"][part]
                + added.get((profile, part), 0.0)
                for part in parts
            ]
        )
        pipeline = chosen_value(mixtures, "sql_temperature") * np.array(
            [sql[(row["make"], row["model"], part)] for part in parts]
        )
        alpha = chosen_value(mixtures, "alpha", user["serving_engagement_tier"])
        mixed = alpha * logarithms(pipeline) + (1 - alpha) * logarithms(graph)
        shown = [base_skus[row[f"rec_part_{slot}"]] for slot in (1, 2, 3)]
        scores = [row[f"rec{slot}_score"] for slot in (1, 2, 3)]
        assert scores == pytest.approx([mixed[parts.index(part)] for part in shown], abs=1e-4)


def logarithms(logits: np.ndarray) -> np.ndarray:
    return np.asarray(logits - np.logaddexp.reduce(logits))
