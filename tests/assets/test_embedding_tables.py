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


def test_parts_stand_once() -> None:
    embeddings = vectors("base_sku", ["A", "A"], [[1.0, 0.0], [0.0, 1.0]], ["training", "serving"])
    assert product_vectors(embeddings, "run").to_pylist() == [
        {"base_sku": "A", "embedding": [0.0, 1.0], "model_version": "m", "run_id": "run"}
    ]
