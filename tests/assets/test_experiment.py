"""What the readout is told to MLflow by, and what the power plan reckons with."""

from __future__ import annotations

import pyarrow as pa
import pytest

from holley_assets.assets.experiment import readout_metrics, recent_users
from holley_assets.experiment.declaration import Declaration, PrimaryMetric
from holley_assets.experiment.power import RecentUsers


def declare(metric: PrimaryMetric) -> Declaration:
    return Declaration.model_validate(
        {
            "name": "spring",
            "salt": "s",
            "share": 0.5,
            "primary_metric": metric,
            "minimal_effect": 0.1,
            "start": "2026-03-02",
            "planned_end": "2026-03-30",
            "looks": 1,
        }
    )


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
    found = recent_users(outcomes, declare(metric))
    assert (found.mean, found.variance) == pytest.approx((mean, variance))
    assert (found.users_in_the_first_week, found.new_users_a_week, found.correlation) == (2, 1, 0.0)


def test_without_users_nobody_comes() -> None:
    none = {"week": pa.array([], pa.int64()), "clicks_before": pa.array([], pa.int64())}
    assert recent_users(pa.table(none), declare("click_rate")) == RecentUsers(0.0, 0.0, 0, 0)


def test_numbers_have_dotted_names_and_what_is_missing_has_none() -> None:
    estimate = {
        "relative": 0.1,
        "interval": [-1.0, 2.0],
        "relative_interval": None,
        "statistic": float("nan"),
    }
    readout = {
        "mismatch": {"p_value": None},
        "traffic": {"arms": {"sql": {"users": 3}, "graph": {"users": 4}}},
        "primary": {"name": "click_rate", "estimate": estimate},
        "secondary": [{"name": "conversion", "estimate": None}],
        "guardrails": None,
    }
    assert readout_metrics(readout) == {
        "users.sql": 3.0,
        "users.graph": 4.0,
        "click_rate.relative": 0.1,
        "click_rate.interval.low": -1.0,
        "click_rate.interval.high": 2.0,
    }
    assert readout_metrics({**readout, "primary": None, "secondary": None}) == {
        "users.sql": 3.0,
        "users.graph": 4.0,
    }
