from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from holley_assets.ranking import EmbeddingScorer, build_candidates
from holley_assets.ranking.choices import log_totals


def test_totals_are_over_all_parts_of_the_car_that_may_be_shown() -> None:
    """Part C fits but has no eligible variant, D fits another car; a car that nothing fits has no total."""
    fitment = pa.table(
        {
            "year": [1967, 1967, 1967, 1968],
            "make": ["FORD"] * 4,
            "model": ["GT"] * 4,
            "base_sku": ["A", "B", "C", "D"],
            "sku": ["A", "B", None, "D"],
            "serving_sku": ["A", "B", "C", "D"],
        }
    )
    parts = pa.table({"sku": ["A", "B", "C", "D"], "part_type": ["same"] * 4})
    scorer = EmbeddingScorer(
        np.array([[1.0], [0.5]], np.float32),
        np.array([[0.25], [-0.5], [1.0], [0.75]], np.float32),
        ["A", "B", "C", "D"],
    )
    users = pa.table(
        {
            "email_lower": ["a", "b", "c", "d"],
            "year": [1967, 1967, 1968, 1969],
            "make": ["FORD"] * 4,
            "model": ["GT"] * 4,
            "profile": [0, 1, 0, 0],
        }
    )
    candidates = build_candidates(fitment, parts, view="training", apply_rules=True)
    found = log_totals(users, candidates, scorer, temperature=2.0)
    assert found["email_lower"].to_pylist() == ["a", "b", "c"]
    expected = [np.log(np.exp(0.5) + np.exp(-1.0)), np.log(np.exp(0.25) + np.exp(-0.5)), 1.5]
    assert found["log_total"].to_pylist() == pytest.approx(expected)
    assert log_totals(users.slice(0, 0), candidates, scorer, temperature=2.0).num_rows == 0
