"""Degrees, neighbours, the embedding map and the backtest."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holley_assets.evaluation.backtest import summarise_backtest
from holley_assets.evaluation.embedding_views import embedding_map, nearest, project_to_plane
from holley_assets.evaluation.graph_summary import degree_distribution


def test_degrees_of_a_composite_key() -> None:
    """Camaro 3 edges, Mustang 1: one node in the bin from 1, one in the bin from 2."""
    edges = pa.table({"make": ["CHEVROLET"] * 3 + ["FORD"], "model": ["CAMARO"] * 3 + ["MUSTANG"]})
    assert degree_distribution(edges, ["make", "model"]) == {
        "nodes": 2,
        "mean": 2.0,
        "median": 2.0,
        "maximum": 3,
        "lower": [1, 2],
        "counts": [1, 1],
    }


@given(st.lists(st.integers(0, 20), min_size=1, max_size=200))
def test_every_node_is_in_one_bin(ends: list[int]) -> None:
    """Bins cover all degrees, powers of two included."""
    distribution = degree_distribution(pa.table({"node": ends}), ["node"])
    assert sum(distribution["counts"]) == distribution["nodes"] == len(set(ends))


def test_no_edges_no_degrees() -> None:
    """An empty relation is drawn as nothing."""
    assert degree_distribution(pa.table({"node": pa.array([], pa.int64())}), ["node"])["counts"] == []


def test_nearest_by_cosine_without_the_example_itself() -> None:
    """Length does not count, direction does; unknown examples are left out."""
    vectors = np.array([[1.0, 0.0], [5.0, 0.0], [1.0, 1.0], [-1.0, 0.0]])
    (example,) = nearest(vectors, ["a", "b", "c", "d"], ["a", "unknown"], neighbours=3)
    assert example["of"] == "a"
    assert [item["name"] for item in example["nearest"]] == ["b", "c", "d"]
    assert [item["similarity"] for item in example["nearest"]] == pytest.approx([1.0, 0.5**0.5, -1.0])


def test_the_only_part_has_no_neighbour() -> None:
    """Nor is it its own."""
    assert nearest(np.ones((1, 3)), ["a"], ["a"]) == [{"of": "a", "nearest": []}]


def test_the_plane_keeps_what_varies() -> None:
    """Points in a plane of a larger space keep all their distances."""
    random = np.random.default_rng(0)
    flat = random.normal(size=(60, 2)) @ np.linalg.qr(random.normal(size=(8, 2)))[0].T
    positions, kept = project_to_plane(flat)
    assert kept == pytest.approx(1.0)
    np.testing.assert_allclose(
        np.linalg.norm(positions[0] - positions, axis=1), np.linalg.norm(flat[0] - flat, axis=1), atol=1e-9
    )


def test_the_map_names_frequent_groups_and_limits_its_points() -> None:
    """Rare groups and unknown types are 'others'; the same seed draws the same points."""
    vectors = np.random.default_rng(1).normal(size=(100, 4))
    groups = ["Carburetor"] * 50 + ["Wheel"] * 30 + ["Fuel Pump"] * 5 + [None] * 15
    points = embedding_map(vectors, groups, limit=80, colours=2)
    assert points.num_rows == 80
    assert set(points.column("group").to_pylist()) == {"Carburetor", "Wheel", "others"}
    assert points.equals(embedding_map(vectors, groups, limit=80, colours=2))


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_the_map_of_few_or_equal_vectors(rows: int) -> None:
    """Nothing to spread out is no error."""
    points = embedding_map(np.ones((rows, 4)), ["Wheel"] * rows)
    assert points.num_rows == rows
    assert np.isfinite(points.column("x").to_numpy()).all()


def past_report(cutoff: str, lift: float | None) -> dict[str, Any]:
    """What the backtest reads of a report."""
    return {
        "cutoff": cutoff,
        "metrics": {"gnn": {"cold": {"users": 10}}},
        "comparison": {"cold": {"hit_rate@4_delta": lift, "ci95": None if lift is None else [lift, lift]}},
        "decision": {"outcome": "inconclusive"},
    }


def test_backtest_by_hand() -> None:
    """Sorted by cutoff; a month without cold users counts in no mean."""
    reports = [
        past_report("2025-11-01", 0.03),
        past_report("2025-09-01", -0.01),
        past_report("2025-10-01", None),
    ]
    summary = summarise_backtest(reports)
    assert [row["cutoff"] for row in summary["rows"]] == ["2025-09-01", "2025-10-01", "2025-11-01"]
    assert summary["mean"] == pytest.approx(0.01)
    assert summary["standard_deviation"] == pytest.approx(0.04 / 2**0.5)
    assert (summary["positive"], summary["measured"]) == (1, 2)


def test_backtest_of_one_cutoff_has_no_spread() -> None:
    """A spread needs two."""
    assert summarise_backtest([past_report("2025-11-01", 0.03)])["standard_deviation"] is None
