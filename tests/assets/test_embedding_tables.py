"""Vectors as they stand in the warehouse: every customer once, with the vector that scores its parts."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from holley_assets.assets.embedding_tables import product_vectors, user_vectors


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
