"""The decision: every band, every reason to be inconclusive, and no false win on nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holley_assets.evaluation.decision import OUTCOMES, decide, smallest_conclusive_users
from holley_assets.evaluation.gates import DecisionRule
from holley_assets.evaluation.metrics import held_out_clicks
from holley_assets.evaluation.significance import compare


def decision(
    lift: float | None,
    bounds: tuple[float, float] | None,
    *,
    clicks: int = 3000,
    users: int = 2500,
    p_value: float | None = 0.001,
    detectable: float | None = 0.012,
    rule: DecisionRule | None = None,
) -> dict[str, str]:
    """The decision for a lift on cold users; other tiers hold nothing."""
    row: dict[str, Any] = {
        "hit_rate@4_delta": lift,
        "ci95": None if bounds is None else list(bounds),
        "mcnemar_p": p_value,
    }
    power = {"users": users, "minimal_detectable_lift": detectable}
    return decide({"cold": row}, {"cold": power}, clicks=clicks, rule=rule)


@pytest.mark.parametrize(
    ("lift", "bounds", "outcome"),
    [
        (0.06, (0.04, 0.08), "clear_win"),
        (0.04, (0.03, 0.05), "clear_win"),  # the low end exactly at the threshold
        (0.04, (0.029, 0.05), "inconclusive"),  # may be marginal
        (0.02, (0.012, 0.028), "marginal"),
        (0.02, (0.012, 0.035), "marginal"),  # may even be a clear win: at least marginal is sure
        (0.02, (0.01, 0.03), "marginal"),
        (0.02, (0.009, 0.03), "inconclusive"),
        (0.0, (-0.009, 0.009), "neutral"),
        (0.0, (-0.01, 0.0099), "neutral"),
        (0.0, (-0.009, 0.01), "inconclusive"),  # a lift of 1 % is marginal
        (0.0, (-0.011, 0.005), "inconclusive"),
        (-0.01, (-0.01, -0.01), "neutral"),
        (-0.02, (-0.03, -0.011), "worse"),
        (-0.02, (-0.03, -0.01), "inconclusive"),  # −1 % itself is neutral
        (-0.02, (-0.05, 0.01), "inconclusive"),
    ],
)
def test_bands_and_their_intervals(lift: float, bounds: tuple[float, float], outcome: str) -> None:
    """The table in the docstring, at its edges."""
    assert decision(lift, bounds)["outcome"] == outcome


def test_a_small_test_set_decides_nothing() -> None:
    """Not even a huge lift; the reason names both numbers and the lift that could have been seen."""
    result = decision(0.3, (0.25, 0.35), clicks=1999)
    assert result["outcome"] == "inconclusive"
    assert "1,999 clicks" in result["reason"]
    assert "2,000" in result["reason"]
    assert "1.20 points" in result["reason"]
    assert decision(0.3, (0.25, 0.35), clicks=2000)["outcome"] == "clear_win"


def test_the_reason_names_lift_interval_and_threshold() -> None:
    """A reader sees why it is not a win, and what it may be."""
    reason = decision(0.04, (0.005, 0.075))["reason"]
    assert "+4.00 points" in reason
    assert "+0.50 to +7.50" in reason
    assert "both sides of the threshold of +3.00 points" in reason
    assert "neutral, marginal or clear win" in reason
    assert "80 % power is 1.20 points" in reason


def test_neutral_names_what_could_have_been_seen() -> None:
    """No difference found is worth only as much as the test could see."""
    assert "80 % power is 1.20 points" in decision(0.0, (-0.005, 0.005))["reason"]


@pytest.mark.parametrize(
    ("lift", "bounds"), [(0.06, (0.04, 0.08)), (0.02, (0.011, 0.03)), (-0.04, (-0.06, -0.02))]
)
def test_a_difference_needs_the_exact_test_too(lift: float, bounds: tuple[float, float]) -> None:
    """The bootstrap over few discordant users is too sure of itself."""
    assert decision(lift, bounds, p_value=0.06)["outcome"] == "inconclusive"
    assert decision(lift, bounds, p_value=None)["outcome"] == "inconclusive"


def test_agreement_of_few_users_is_not_neutral() -> None:
    """Without a discordant user the bootstrap interval is a point, whether 10 users agree or 10,000."""
    assert smallest_conclusive_users(DecisionRule()) == 299
    assert decision(0.0, (0.0, 0.0), users=298, p_value=1.0)["outcome"] == "inconclusive"
    assert decision(0.0, (0.0, 0.0), users=299, p_value=1.0)["outcome"] == "neutral"


def test_without_cold_users_there_is_no_decision() -> None:
    """The tier that decides is empty: the reason says so, not 'neutral'."""
    result = decision(None, None, users=0, p_value=None, detectable=None)
    assert result["outcome"] == "inconclusive"
    assert "No cold user" in result["reason"]


@given(
    lift=st.floats(-0.2, 0.2),
    below=st.floats(0.0, 0.1),
    above=st.floats(0.0, 0.1),
    clicks=st.integers(0, 5000),
)
@settings(max_examples=200, deadline=None)
def test_a_claim_never_goes_beyond_its_interval(lift: float, below: float, above: float, clicks: int) -> None:
    """Whatever the numbers: a win starts at its threshold, and every outcome is a known one with a reason."""
    bounds = (lift - below, lift + above)
    result = decision(lift, bounds, clicks=clicks)
    assert result["outcome"] in OUTCOMES
    assert result["reason"].endswith(".")
    if result["outcome"] == "clear_win":
        assert bounds[0] >= 0.03 - 1e-9
        assert clicks >= 2000
    if result["outcome"] == "worse":
        assert bounds[1] < -0.01


def test_two_equal_systems_never_yield_a_clear_win() -> None:
    """200 test sets in which both systems hit at random with the same probability."""
    random = np.random.default_rng(0)
    users = 2500
    emails = [f"user{number}" for number in range(users)]
    truth = held_out_clicks(
        pa.table({"email_lower": emails, "base_sku": ["a"] * users}),
        pa.table({"email_lower": emails, "engagement_tier": ["cold"] * users}),
    )
    nothing = np.zeros(users)
    outcomes: Counter[str] = Counter()
    for _ in range(200):
        hits = [(random.random(users) < 0.12).astype(float) for _ in range(2)]
        systems = [{"hit_rate@4": hit, "recall@10": nothing, "mrr": nothing} for hit in hits]
        comparison, power = compare(systems[0], systems[1], truth)
        outcomes[decide(comparison, power, clicks=users)["outcome"]] += 1
    assert outcomes["clear_win"] == 0
    assert outcomes["marginal"] + outcomes["worse"] <= 2  # the interval is at 95 %, the band 1 % away
