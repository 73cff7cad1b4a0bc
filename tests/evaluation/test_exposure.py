"""Exposure: coverage, concentration, popularity bias and part types, by hand."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holley_assets.evaluation.exposure import delivered, exposure, gini, score_histograms

PRODUCTS = pa.table(
    {
        "base_sku": ["a", "b", "c", "d"],
        "part_type": pa.array(["Carburetor", "Carburetor", None, "Wheel"]),
        "log_popularity": [3.0, 1.0, 0.0, 0.0],
    }
)
RANKINGS = pa.table(
    {
        "email_lower": ["ann", "ann", "bob", "bob", "ann"],
        "system": ["gnn"] * 4 + ["sql"],
        "rank": [1, 2, 1, 5, 1],
        "base_sku": ["a", "c", "a", "d", "d"],
        "score": [0.9, 0.8, 0.9, 0.1, float("nan")],
    }
)


def test_exposure_by_hand() -> None:
    """Three slots show a, c, a; rank 5 is no slot. Percentiles: a 7/8, c (tied with d) 2/8."""
    row = exposure(RANKINGS, PRODUCTS, ["gnn"])["gnn"]
    assert row["slots"] == 3
    assert row["parts"] == 2
    assert row["coverage"] == 0.5
    assert row["popularity_percentile"] == pytest.approx((7 / 8 + 2 / 8 + 7 / 8) / 3)
    assert row["part_types"] == {"Carburetor": 2, "(none)": 1}
    assert row["gini"] == pytest.approx(gini(np.array([2, 0, 1, 0])))


def test_a_system_without_slots_has_no_figures() -> None:
    """None, not 0."""
    row = exposure(RANKINGS, PRODUCTS, ["random"])["random"]
    assert (row["coverage"], row["gini"], row["popularity_percentile"]) == (None, None, None)
    assert row["part_types"] == {}


def test_gini_extremes() -> None:
    """Equal shares: 0. One of n holds all: (n − 1) / n. Nothing shared: does not exist."""
    assert gini(np.array([3, 3, 3])) == pytest.approx(0.0)
    assert gini(np.array([0, 0, 0, 8])) == pytest.approx(3 / 4)
    assert gini(np.array([0, 0])) is None


@given(st.lists(st.integers(0, 100), min_size=1, max_size=30))
def test_gini_is_the_mean_absolute_difference(counts: list[int]) -> None:
    """The definition: half the relative mean absolute difference of all pairs."""
    values = np.array(counts)
    if values.sum() == 0:
        return
    pairs = np.abs(values[:, None] - values[None, :]).sum()
    assert gini(values) == pytest.approx(pairs / (2 * len(values) * values.sum()))


def test_scores_of_the_slots_alone_and_finite_ones() -> None:
    """Rank 5 and NaN are left out; a system without scores has an empty histogram."""
    histograms = score_histograms(RANKINGS, ["gnn", "sql"], bins=4)
    assert sum(histograms["gnn"]["counts"]) == 3
    assert len(histograms["gnn"]["edges"]) == 5
    assert histograms["sql"] == {"edges": [], "counts": []}


def test_delivered_counts_filled_slots() -> None:
    """An empty fourth slot is no slot; a variant has the type of its own row."""
    recommendations = pa.table(
        {
            "email_lower": ["ann", "bob"],
            "rec_part_1": ["aB", "aB"],
            "rec1_score": [0.5, 0.4],
            "rec_part_2": ["d", "c"],
            "rec_part_4": pa.array([None, "d"], pa.string()),
        }
    )
    parts = pa.table({"sku": ["aB", "c", "d"], "part_type": pa.array(["Carburetor", None, "Wheel"])})
    assert delivered(recommendations, parts) == {
        "users": 2,
        "slots": 5,
        "parts": 3,
        "part_types": {"Carburetor": 2, "Wheel": 2, "(none)": 1},
    }
