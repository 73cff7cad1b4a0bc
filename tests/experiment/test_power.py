"""The power plan by the textbook's formula, and what it says where a year is not enough."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from experiment_world import declare, outcome_table
from scipy.stats import norm

from holley_assets.experiment.declaration import PrimaryMetric
from holley_assets.experiment.metrics import CLICK_RATE, TESTED
from holley_assets.experiment.outcomes import read_outcomes
from holley_assets.experiment.power import (
    RecentUsers,
    expected_users,
    power_plan,
    recent_users,
    users_after,
    weeks_for,
)

# 10 % of the users click: 4 (1.96 + 0.8416)² · 0.09 / 0.01² = 28,256 users for a change of a tenth.
CLICKS = RecentUsers(mean=0.1, variance=0.09, users_in_the_first_week=10_000, new_users_a_week=3_043)


def test_users_and_weeks_by_hand() -> None:
    plan = power_plan(declare(), CLICKS)
    assert plan["users_needed"] == pytest.approx(28_256, abs=1)
    # 10,000 + 6 · 3,043 = 28,258.
    assert plan["weeks_needed"] == 7 and plan["days_needed"] == 56
    assert plan["planned_weeks"] == 7 and plan["planned_users"] == 28_258
    assert plan["enough"] and plan["detectable"]
    assert plan["smallest_effect"] == pytest.approx(0.1, rel=1e-3)
    assert (
        plan["reason"]
        == "A change of 10 % needs 28,256 users, who come within 7 weeks: the plan is long enough."
    )


def test_an_uneven_share_needs_more() -> None:
    plan = power_plan(declare(share=0.1), CLICKS)
    # 1 / (0.1 · 0.9) instead of 1 / 0.25.
    assert plan["users_needed"] == pytest.approx(28_256 * 0.25 / 0.09, rel=1e-3)


def test_more_power_and_a_smaller_alpha_need_more() -> None:
    plan = power_plan(declare(rule={"alpha": 0.01, "power": 0.9}), CLICKS)
    expected = 4 * (norm.isf(0.005) + norm.isf(0.1)) ** 2 * 0.09 / 0.01**2
    assert plan["users_needed"] == pytest.approx(expected, rel=1e-3)


def test_looks_have_their_price() -> None:
    plan = power_plan(declare(looks=4), CLICKS)
    assert plan["last_bound"] == pytest.approx(2.0141, abs=2e-4)
    assert plan["users_needed"] == pytest.approx(4 * (2.0141 + norm.isf(0.2)) ** 2 * 0.09 / 0.01**2, rel=1e-3)
    assert not plan["enough"]
    assert "Plan a later end or a larger effect" in plan["reason"]


def test_a_covariate_takes_its_part_of_the_variance_away() -> None:
    recent = RecentUsers(0.1, 0.09, 10_000, 3_043, correlation=0.6)
    assert power_plan(declare(), recent)["users_needed"] == pytest.approx(28_256 * 0.64, rel=1e-3)


def test_the_plan_of_another_metric_waits_for_its_window() -> None:
    plan = power_plan(declare(primary_metric="conversion"), CLICKS)
    assert plan["planned_weeks"] == 6 and plan["days_needed"] == 63


def test_what_cannot_be_detected_in_a_year_is_said() -> None:
    recent = RecentUsers(mean=0.001, variance=0.000999, users_in_the_first_week=10_000, new_users_a_week=100)
    plan = power_plan(declare(), recent)
    assert not plan["detectable"] and not plan["enough"]
    assert plan["weeks_needed"] is None and plan["days_needed"] is None
    assert plan["smallest_effect_in_a_year"] == pytest.approx(
        2 * (norm.isf(0.025) + norm.isf(0.2)) * (0.000999 / 15_100) ** 0.5 / 0.001, rel=1e-3
    )
    assert "it cannot be detected in a year; a year's 15,100 users show a change of 144 %" in plan["reason"]


def test_where_nobody_does_anything_no_number_is_enough() -> None:
    plan = power_plan(declare(), RecentUsers(0.0, 0.0, 10_000, 100))
    assert plan["users_needed"] is None and not plan["detectable"]
    assert "cannot be detected in a year" in plan["reason"]


def test_where_nobody_comes() -> None:
    plan = power_plan(declare(), RecentUsers(0.1, 0.09, 0, 0))
    assert plan["smallest_effect"] is None and plan["smallest_effect_in_a_year"] is None
    assert plan["reason"].endswith("it cannot be detected in a year.")


def test_weeks_at_the_bounds() -> None:
    recent = RecentUsers(0.1, 0.09, 100, 10)
    assert weeks_for(recent, 100) == 1 and weeks_for(recent, 101) == 2 and weeks_for(recent, 110) == 2
    assert weeks_for(recent, 111) == 3
    assert users_after(recent, 52) == 610 and users_after(recent, 0) == 0
    assert weeks_for(recent, 610) == 52 and weeks_for(recent, 611) is None


def test_a_plan_shorter_than_a_week_of_users_and_their_window() -> None:
    plan = power_plan(declare(planned_end=datetime.date(2026, 3, 14)), CLICKS)
    assert plan["planned_weeks"] == 0 and plan["planned_users"] == 0 and not plan["enough"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"variance": -1.0}, "the variance at least 0"),
        ({"mean": float("nan")}, "must be finite"),
        ({"new_users_a_week": -1}, "cannot be fewer than 0"),
        ({"correlation": 1.1}, "from -1 to 1"),
    ],
)
def test_impossible_users_are_refused(fields: dict[str, float], words: str) -> None:
    usual: dict[str, Any] = {
        "mean": 0.1,
        "variance": 0.09,
        "users_in_the_first_week": 1,
        "new_users_a_week": 1,
    }
    with pytest.raises(ValueError, match=words):
        RecentUsers(**(usual | fields))


@pytest.mark.parametrize(
    ("metric", "mean", "variance"),
    [("click_rate", 0.4, 0.24), ("conversion", 0.2, 0.16), ("revenue_per_user", 20.0, 1600.0)],
)
def test_the_plan_reckons_with_what_users_did_before(
    metric: PrimaryMetric, mean: float, variance: float
) -> None:
    """Five users, two in the first week; of the other three, who came in two weeks, one a week."""
    outcomes = pa.table(
        {
            "week": [0, 0, 1, 2, 2],
            "clicks_before": [0, 3, 0, 1, 0],
            "orders_before": [0, 0, 2, 0, 0],
            "order_value_before": [0.0, 0.0, 100.0, 0.0, 0.0],
        }
    )
    found = recent_users(outcomes, declare(primary_metric=metric))
    assert (found.mean, found.variance) == pytest.approx((mean, variance))
    assert (found.users_in_the_first_week, found.new_users_a_week, found.correlation) == (2, 1, 0.0)


def test_before_the_start_it_reckons_with_what_users_did_lately() -> None:
    """Of eight users four clicked and two had clicked before, of whom one did again."""
    clicks, before = [1, 3, 1, 1, 0, 0, 0, 0], [2, 0, 0, 0, 2, 0, 0, 0]
    table = outcome_table([False] * 8, clicks=clicks, clicks_before=before, order_value=8.0 * np.arange(8))
    exposed = read_outcomes(table, declare()).exposed
    found = expected_users(exposed, CLICK_RATE)
    assert (found.mean, found.variance, found.correlation) == (0.5, 0.25, 0.0)
    assert (found.users_in_the_first_week, found.new_users_a_week) == (8, 0)
    revenue = expected_users(exposed, TESTED["revenue_per_user"])
    # The numbers from 0 to 7 have a variance of (64 − 1) / 12; nobody spent anything before.
    assert (revenue.mean, revenue.correlation) == (28.0, 0.0)
    assert revenue.variance == pytest.approx(64.0 * 63.0 / 12.0)
    nobody = read_outcomes(outcome_table([]), declare()).exposed
    assert expected_users(nobody, CLICK_RATE) == RecentUsers(0.0, 0.0, 0, 0)


def test_who_did_it_before_and_does_it_again_makes_the_plan_shorter() -> None:
    """Twice what each spent before, the same in the other order, and in an order between the two."""
    before, spent = np.array([0.0, 10.0, 20.0, 30.0]), np.array([0.0, 20.0, 40.0, 60.0])
    table = outcome_table([False] * 4, order_value=spent, order_value_before=before)
    exposed = read_outcomes(table, declare()).exposed
    assert expected_users(exposed, TESTED["revenue_per_user"]).correlation == pytest.approx(1.0)
    table = outcome_table([False] * 4, order_value=spent[::-1], order_value_before=before)
    exposed = read_outcomes(table, declare()).exposed
    assert expected_users(exposed, TESTED["revenue_per_user"]).correlation == pytest.approx(-1.0)
    table = outcome_table([False] * 4, order_value=[0.0, 60.0, 20.0, 40.0], order_value_before=before)
    exposed = read_outcomes(table, declare()).exposed
    # Products of the distances from the means: (−15)(−30) + (−5)(30) + (5)(−10) + (15)(10) = 400, of √(500 · 2,000).
    assert expected_users(exposed, TESTED["revenue_per_user"]).correlation == pytest.approx(0.4)


def test_without_users_nobody_comes() -> None:
    none = {"week": pa.array([], pa.int64()), "clicks_before": pa.array([], pa.int64())}
    assert recent_users(pa.table(none), declare()) == RecentUsers(0.0, 0.0, 0, 0)
