"""Gates: thresholds, values that do not exist."""

from __future__ import annotations

from typing import Any

import pytest

from holley_assets.evaluation.gates import DecisionRule, evaluate_gates


def comparison(**values: Any) -> dict[str, dict[str, Any]]:
    """A comparison in which every scope holds the same values."""
    row = {"hit_rate@4_delta": 0.05, "mrr_relative": 0.3, "recall@10_relative": 0.1, **values}
    return {scope: dict(row) for scope in ("overall", "cold", "warm", "hot")}


def test_the_four_gates_of_three_documents() -> None:
    """Tier, metric and threshold of each, and the contract's keys."""
    rows = evaluate_gates(comparison())
    assert [(row["tier"], row["metric"], row["threshold"]) for row in rows] == [
        ("cold", "hit_rate@4_delta", 0.03),
        ("cold", "mrr_relative", 0.20),
        ("overall", "mrr_relative", 0.10),
        ("overall", "recall@10_relative", 0.05),
    ]
    assert all(set(row) == {"name", "tier", "metric", "threshold", "value", "passed"} for row in rows)
    assert all(row["passed"] is True for row in rows)
    assert len({row["name"] for row in rows}) == 4


@pytest.mark.parametrize(
    ("value", "passed"), [(0.03, True), (0.13 - 0.10, True), (0.0299, False), (-0.2, False)]
)
def test_exactly_at_the_threshold_passes(value: float, passed: bool) -> None:
    """Also where floating point puts 0.13 − 0.10 a hair below 0.03."""
    assert evaluate_gates(comparison(**{"hit_rate@4_delta": value}))[0]["passed"] is passed


@pytest.mark.parametrize("value", [None, float("nan"), float("inf")])
def test_a_value_that_does_not_exist_passes_nothing(value: float | None) -> None:
    """NaN compares false to everything and infinity beats every threshold: neither is a pass."""
    row = evaluate_gates(comparison(mrr_relative=value))[1]
    assert row["value"] is None
    assert row["passed"] is False


def test_the_deciding_gate_follows_the_rule() -> None:
    """The clear-win threshold is a setting."""
    assert evaluate_gates(comparison(), DecisionRule(clear_win=0.06))[0]["passed"] is False


def test_a_rule_whose_bands_overlap_is_refused() -> None:
    """Marginal above clear win leaves no band for marginal."""
    with pytest.raises(ValueError, match="at most clear_win"):
        DecisionRule(clear_win=0.01, marginal=0.03)
    with pytest.raises(ValueError, match=r"marginal \(0\) must be above 0"):
        DecisionRule(clear_win=0.01, marginal=0.0)
    assert DecisionRule(clear_win=0.02, marginal=0.02).marginal == 0.02, "one limit may serve for both"
