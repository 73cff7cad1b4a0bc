"""What scores promise, by hand and by law."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from holley_assets.evaluation.calibration import calibration, promised_clicks


def clicks_of(promised: np.ndarray, hit: np.ndarray, owners: np.ndarray) -> pa.Table:
    return pa.table({"promised": promised, "hit": hit, "owners": owners})


def test_promises_by_hand() -> None:
    """Of three parts with logits ln 2, ln 1 and ln 5, the two that are shown are promised 3 of 8."""
    rankings = pa.table(
        {
            "email_lower": ["a", "a", "a", "b"],
            "system": ["gnn", "gnn", "sql", "gnn"],
            "rank": [1, 2, 1, 1],
            "base_sku": ["P", "Q", "R", "P"],
            "score": [np.log(2) / 10, 0.0, 9.0, 0.0],
        }
    )
    totals = pa.table({"email_lower": ["a", "b"], "log_total": [np.log(8), 0.0]})
    clicks = pa.table(
        {
            "email_lower": ["a", "a", "a", "b", "unranked"],
            "base_sku": ["P", "P", "R", "P", "P"],
            "owners": [7, 7, 7, 3, 1],
        }
    )
    found = promised_clicks(rankings, totals, clicks, temperature=10.0)
    assert found["promised"].to_pylist() == pytest.approx([0.375, 0.375, 1.0])
    assert found["hit"].to_pylist() == [True, False, True]
    assert found["owners"].to_pylist() == [7, 7, 3]


def test_the_error_by_hand() -> None:
    """Ten bins of two: nine promise 0.5 and keep it, one promises 0.9 and never does."""
    promised = np.array([0.5] * 18 + [0.9] * 2)
    hit = np.array([False, True] * 9 + [False] * 2)
    found = calibration(clicks_of(promised, hit, np.arange(20)))
    assert found["clicks"] == 20
    assert found["expected_calibration_error"] == pytest.approx(0.09)
    deviations = 9 * np.sqrt(2 * 0.25) + np.sqrt(2 * 0.09)
    assert found["by_chance"] == pytest.approx(np.sqrt(2 / np.pi) * deviations / 20)
    assert [row["clicks"] for row in found["deciles"]] == [2] * 10
    assert [row["realised"] for row in found["deciles"]] == [0.5] * 9 + [0.0]
    assert [row["promised"] for row in found["deciles"]] == pytest.approx([0.5] * 9 + [0.9])
    assert found["deciles"][9]["standard_error"] == pytest.approx(np.sqrt(2 * 0.09) / 2)
    last = found["groups"][2]
    assert (last["name"], last["clicks"]) == ("most owners", 7)
    assert last["promised"] == pytest.approx((5 * 0.5 + 2 * 0.9) / 7)
    assert last["realised"] == pytest.approx(hit[13:].mean())
    assert last["standard_error"] == pytest.approx(np.sqrt(5 * 0.25 + 2 * 0.09) / 7)


def test_true_promises_are_apart_by_chance_alone_and_others_by_more() -> None:
    rng = np.random.default_rng(0)
    promised = rng.uniform(0.1, 0.9, 20_000)
    hit, owners = rng.random(20_000) < promised, rng.integers(1, 1000, 20_000)
    found = calibration(clicks_of(promised, hit, owners))
    assert found["expected_calibration_error"] < 2 * found["by_chance"] < 0.02
    assert all(abs(row["promised"] - row["realised"]) < 4 * row["standard_error"] for row in found["groups"])
    # What is promised to vehicles of few owners is too much by half.
    unfair = calibration(clicks_of(np.where(owners < 333, promised * 1.5, promised).clip(0, 1), hit, owners))
    few, _, most = (row["promised"] - row["realised"] for row in unfair["groups"])
    assert few > 0.15 and abs(most) < 0.03


def test_vehicles_with_the_same_owners_are_one_group() -> None:
    found = calibration(clicks_of(np.full(6, 0.5), np.ones(6, bool), np.array([5, 5, 5, 5, 9, 9])))
    assert [row["clicks"] for row in found["groups"]] == [4, 0, 2]
    assert found["groups"][1]["realised"] is None
