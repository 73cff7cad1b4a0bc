"""Differences between runs, by hand and by law."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holley_assets.evaluation.drift import VectorDrift, norm_statistics, vector_drift
from holley_assets.evaluation.stability import (
    bin_counts,
    changed_share,
    population_stability_index,
    reference_edges,
    total_variation,
)

counts = st.lists(st.integers(0, 1000), min_size=3, max_size=3)


def test_the_index_of_a_known_shift() -> None:
    p, q = np.array([75.5, 25.5]) / 101, np.array([50.5, 50.5]) / 101
    expected = sum((p - q) * np.log(p / q))
    assert population_stability_index([50, 50], [75, 25]) == pytest.approx(expected)
    assert population_stability_index([], [1]) is None


@given(before=counts, now=counts)
def test_an_index_is_never_negative_and_always_finite(before: list[int], now: list[int]) -> None:
    found = population_stability_index(before, now)
    assert found is None or (math.isfinite(found) and found >= 0)
    if sum(before):
        assert population_stability_index(before, before) == 0


def test_bins_hold_a_tenth_each_and_what_is_no_number_is_left_out() -> None:
    values = np.append(np.arange(1000.0), [np.nan, np.inf])
    edges = reference_edges(values)
    assert len(edges) == 9
    assert bin_counts(values, edges) == [100] * 10
    assert reference_edges(np.array([np.nan])) == [] and bin_counts(values[:5], []) == [5]
    assert reference_edges(np.ones(50)) == [1.0], "equal values have one edge, not nine"


def test_a_mix_that_changed_by_a_quarter() -> None:
    assert total_variation({"a": 50, "b": 50}, {"a": 25, "b": 50, "c": 25}) == pytest.approx(0.25)
    assert total_variation({"a": 1}, {"a": 7}) == 0
    assert total_variation({}, {"a": 1}) is None


def test_users_are_shown_other_parts_in_whatever_order() -> None:
    before = np.array([[1, 2, 3, 4], [1, 2, 3, -1], [5, 6, 7, 8]])
    now = np.array([[9, 9, 9, 9], [4, 3, 2, 1], [1, 2, 3, 4]])
    # User 10 has the same four in another order, user 11 a fourth one; 12 and 13 are in one run alone.
    assert changed_share(np.array([10, 11, 12]), before, np.array([13, 10, 11]), now) == (0.5, 2)
    # One other part of four is another set.
    assert changed_share(
        np.array([1]), np.array([[1, 2, 3, 4]]), np.array([1]), np.array([[1, 2, 3, 5]])
    ) == (1.0, 1)
    assert changed_share(np.array([1]), before[:1], np.array([2]), now[:1]) == (None, 0)


def unit(rows: int, dimension: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(rows, dimension))
    of_length_one: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return of_length_one


@given(seed=st.integers(0, 50))
def test_a_map_that_was_turned_or_mirrored_did_not_drift(seed: int) -> None:
    vectors = unit(40, 8, seed)
    turn, _ = np.linalg.qr(np.random.default_rng(seed + 1000).normal(size=(8, 8)))
    drift = vector_drift(vectors, vectors @ turn)
    assert drift.similarity_correlation == pytest.approx(1)
    assert drift.centroid_shift == pytest.approx(0, abs=1e-9)
    assert drift.similarity_psi is not None and drift.similarity_psi < 0.01


def test_another_map_drifted_and_a_collapsed_one_shows() -> None:
    before, other = unit(60, 8, 1), unit(60, 8, 2)
    drift = vector_drift(before, other)
    assert drift.similarity_correlation is not None and abs(drift.similarity_correlation) < 0.3
    assert drift.spread is not None and drift.spread < 0.3
    collapsed = vector_drift(before, np.tile(other[:1], (60, 1)))
    assert collapsed.spread == pytest.approx(1)
    assert collapsed.similarity_psi is not None and collapsed.similarity_psi > 1
    assert collapsed.similarity_correlation is None, "similarities that are all one correlate with nothing"


def test_all_pairs_of_a_small_map_by_hand() -> None:
    """Similarities 0.6, 0, 0.8 before and 0, 0.6, 0.8 now; two vectors have one pair, which correlates with nothing."""
    before = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    now = before[[0, 2, 1]]
    drift = vector_drift(before, now)
    one, other = np.array([0.6, 0.0, 0.8]), np.array([0.0, 0.6, 0.8])
    one, other = one - one.mean(), other - other.mean()
    expected = (one @ other) / np.sqrt((one @ one) * (other @ other))
    assert drift.similarity_correlation == pytest.approx(expected)
    two = vector_drift(before[:2], now[:2])
    assert (two.common, two.similarity_correlation) == (2, None)
    # Nothing is below the one edge of 0.6 and one pair up to it: 0.6 before, 0 now are the same bin.
    assert two.similarity_psi == pytest.approx(0.0)
    assert two.spread == pytest.approx(np.hypot(0.5, 0.5))


def test_dimensions_may_differ_and_rows_may_not() -> None:
    assert vector_drift(unit(9, 8, 1), unit(9, 4, 1)).centroid_shift is None
    assert vector_drift(unit(1, 8, 1), unit(1, 8, 1)) == VectorDrift(1)
    with pytest.raises(ValueError, match="same things"):
        vector_drift(unit(3, 8, 1), unit(2, 8, 1))


def test_lengths_of_vectors_by_hand() -> None:
    assert norm_statistics(np.arange(101, dtype=np.float32)) == {
        "mean": 50.0,
        "p05": pytest.approx(5.0),
        "p50": 50.0,
        "p95": pytest.approx(95.0),
    }
    assert norm_statistics(np.empty(0, np.float32)) == {}
