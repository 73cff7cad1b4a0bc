"""The decision: every band, every reason to be inconclusive, and no false win on nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holley_assets.evaluation.decision import (
    OUTCOMES,
    decide,
    decide_beyond_popularity,
    network_share,
    smallest_conclusive_users,
)
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
@settings(max_examples=200)
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


WIN, MARGINAL, NEUTRAL = (0.06, (0.04, 0.08)), (0.02, (0.012, 0.028)), (0.0, (-0.006, 0.006))
UNSURE, WORSE = (0.02, (-0.01, 0.05)), (-0.03, (-0.05, -0.02))
Lift = tuple[float | None, tuple[float, float] | None]


def beyond_popularity(against_sql: Lift, against_count: Lift, *, clicks: int = 3000) -> dict[str, str]:
    """The decision for a lift against each of the two."""
    rows = [
        {"hit_rate@4_delta": lift, "ci95": None if bounds is None else list(bounds), "mcnemar_p": 0.001}
        for lift, bounds in (against_sql, against_count)
    ]
    power = {"cold": {"users": 2500, "minimal_detectable_lift": 0.012}}
    return decide_beyond_popularity({"cold": rows[0]}, power, {"cold": rows[1]}, power, clicks=clicks)


@pytest.mark.parametrize(
    ("against_sql", "against_count", "outcome"),
    [
        (WIN, WIN, "clear_win"),
        (WIN, MARGINAL, "marginal"),
        (WIN, NEUTRAL, "neutral"),
        (WIN, UNSURE, "inconclusive"),
        (WIN, WORSE, "neutral"),  # it still beats the SQL pipeline
        (WIN, (None, None), "inconclusive"),
        (MARGINAL, WIN, "marginal"),
        (MARGINAL, MARGINAL, "marginal"),
        (MARGINAL, NEUTRAL, "neutral"),
        (MARGINAL, UNSURE, "inconclusive"),
    ],
)
def test_a_gain_counts_as_far_as_better_counting_does_not_explain_it(
    against_sql: Lift, against_count: Lift, outcome: str
) -> None:
    """The less favourable of both; the reason gives both lifts, the one that decides last."""
    result = beyond_popularity(against_sql, against_count)
    assert result["outcome"] == outcome
    assert "against the SQL pipeline (95 % interval" in result["reason"]
    if against_count[0] is not None:
        assert "against popularity counted on the same data (95 % interval" in result["reason"]


@pytest.mark.parametrize("against_count", [WIN, NEUTRAL, WORSE])
@pytest.mark.parametrize("against_sql", [NEUTRAL, UNSURE, WORSE, (None, None)])
def test_without_a_gain_the_count_changes_nothing(against_sql: Lift, against_count: Lift) -> None:
    """Neutral, worse and inconclusive stay, to the letter."""
    assert beyond_popularity(against_sql, against_count) == decision(*against_sql)


def test_a_small_test_set_decides_nothing_beyond_popularity_either() -> None:
    """A lift over both, on too few clicks."""
    assert beyond_popularity(WIN, WIN, clicks=1999) == decision(*WIN, clicks=1999)


def test_reasons_beyond_popularity_read_well() -> None:
    """Whole sentences, in an order that a reader follows."""
    assert beyond_popularity(WIN, WIN)["reason"] == (
        "Hit Rate@4 on 2,500 cold users is +6.00 points against the SQL pipeline (95 % interval +4.00 to "
        "+8.00). The whole interval reaches the +3.00 points of a clear win. Hit Rate@4 on 2,500 cold users "
        "is +6.00 points against popularity counted on the same data (95 % interval +4.00 to +8.00). So "
        "popularity does not explain the gain. Proceed to an A/B test."
    )
    assert beyond_popularity(WIN, NEUTRAL)["reason"] == (
        "Hit Rate@4 on 2,500 cold users is +6.00 points against the SQL pipeline (95 % interval +4.00 to "
        "+8.00). A gain counts only as far as popularity does not explain it. Hit Rate@4 on 2,500 cold "
        "users is +0.00 points against popularity counted on the same data (95 % interval −0.60 to +0.60). "
        "The whole interval lies within ±1.00 points. With 2,500 cold test users, the smallest lift that "
        "this test tells from none with 80 % power is 1.20 points. The graph neither helps nor hurts: here "
        "it adds nothing beyond fitment and popularity."
    )
    assert beyond_popularity(WIN, WORSE)["reason"].endswith(
        "The whole interval lies below −1.00 points. Better counting alone does more: the graph adds nothing "
        "to it."
    )


def test_what_the_network_adds_to_the_count_by_car_is_one_sentence() -> None:
    measured = {"cold": {"hit_rate@4_delta": -0.0078, "ci95": [-0.0233, 0.0072]}}
    assert network_share(measured) == (
        "Against what visitors wanted for the very car, counted without a network, it is −0.78 points "
        "(−2.33 to +0.72), which decides nothing."
    )
    assert network_share({"cold": {"hit_rate@4_delta": None, "ci95": None}}) == ""
