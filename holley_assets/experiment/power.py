"""How many users and weeks an experiment needs to see its minimal effect, from what users did lately."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.experiment.declaration import Declaration
from holley_assets.experiment.looks import sequential_bounds
from holley_assets.experiment.metrics import Metric

LONGEST_WEEKS = 52
# What is known of the users before their first exposure, by primary metric.
_BEFORE = {
    "click_rate": "clicks_before",
    "conversion": "orders_before",
    "revenue_per_user": "order_value_before",
}


@dataclass(frozen=True)
class RecentUsers:
    """What the last weeks say of the primary metric, over users that would be exposed.

    Attributes:
        mean: of the metric a user within its window: the click rate, the conversion, the revenue in dollars.
        variance: of the same between users; for a rate it is ``mean (1 − mean)``.
        users_in_the_first_week: who would be exposed in the first week.
        new_users_a_week: who would be exposed for the first time in each week after it.
        correlation: of the metric with what the user did in the window before, in [−1, 1]; 0 adjusts nothing.
    """

    mean: float
    variance: float
    users_in_the_first_week: int
    new_users_a_week: int
    correlation: float = 0.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.variance) and self.variance >= 0):
            raise ValueError(
                f"mean {self.mean} and variance {self.variance} must be finite, the variance at least 0"
            )
        if self.users_in_the_first_week < 0 or self.new_users_a_week < 0:
            raise ValueError("users of a week cannot be fewer than 0")
        if not -1.0 <= self.correlation <= 1.0:
            raise ValueError(f"the correlation is {self.correlation}; it must be from -1 to 1")


def recent_users(outcomes: pa.Table, declaration: Declaration) -> RecentUsers:
    """What the power plan reckons with: the primary metric in the window before the first exposure, in both arms.

    Args:
        outcomes: asset ``experiment_outcomes``.
        declaration: whose primary metric is meant.
    """
    before = outcomes[_BEFORE[declaration.primary_metric]]
    if declaration.primary_metric != "revenue_per_user":
        before = pc.greater(before, 0)
    values = pc.cast(before, pa.float64())
    newest = pc.max(outcomes["week"]).as_py() or 0
    first = pc.sum(pc.equal(outcomes["week"], 0)).as_py() or 0
    return RecentUsers(
        mean=pc.mean(values).as_py() or 0.0,
        variance=pc.variance(values).as_py() or 0.0,
        users_in_the_first_week=first,
        new_users_a_week=(outcomes.num_rows - first) // newest if newest else 0,
    )


def expected_users(exposed: pa.Table, metric: Metric) -> RecentUsers:
    """What the power plan reckons with before the start: users as if all had been exposed on one day before.

    Args:
        exposed: from :func:`.outcomes.read_outcomes`, users whose window is over.
        metric: the primary metric.
    """
    values, before = (exposed[name].to_numpy() for name in (metric.value, metric.covariate or metric.value))
    if not len(values):
        return RecentUsers(0.0, 0.0, 0, 0)
    spread = float(values.std() * before.std())
    together = float(np.mean((values - values.mean()) * (before - before.mean())))
    return RecentUsers(
        mean=float(values.mean()),
        variance=float(values.var()),
        users_in_the_first_week=len(values),
        new_users_a_week=0,
        correlation=min(1.0, max(-1.0, together / spread))
        if spread and metric.covariate is not None
        else 0.0,
    )


def users_after(recent: RecentUsers, weeks: int) -> int:
    """Users that were exposed within ``weeks`` weeks."""
    if weeks == 0:
        return 0
    return recent.users_in_the_first_week + (weeks - 1) * recent.new_users_a_week


def power_plan(declaration: Declaration, recent: RecentUsers) -> dict[str, Any]:
    """The users and weeks that the minimal effect takes.

    tea-tasting's power of a two-sided test of two means, at the limit of the last look, so that the price of looking
    often is in it; with the variance that the covariate leaves.

    Returns:
        ``users_needed`` (both arms; None where nobody does anything, so that no number of users is enough),
        ``weeks_needed`` of exposure and ``days_needed`` with the window after it (None where a year is not enough),
        ``detectable``: whether a year is enough; ``planned_weeks`` whose window is over on the planned end, their
        ``planned_users`` and ``enough``: whether these are the users needed; ``smallest_effect`` (relative) that the
        planned users show, and that of a year's users, ``smallest_effect_in_a_year``; ``last_bound``; and ``reason``,
        one sentence.
    """
    looks = declaration.look_dates()
    fractions = [(day - declaration.start).days / declaration.days for day in looks]
    bound = sequential_bounds(fractions, fractions, declaration.rule.alpha)[-1]
    planned_weeks = (declaration.days - declaration.window_days) // 7
    plan: dict[str, Any] = {
        "users_needed": None,
        "weeks_needed": None,
        "days_needed": None,
        "detectable": False,
        "planned_weeks": planned_weeks,
        "planned_users": users_after(recent, planned_weeks),
        "enough": False,
        "smallest_effect": None,
        "smallest_effect_in_a_year": None,
        "last_bound": bound,
    }
    if recent.mean <= 0 or recent.variance <= 0:
        plan["reason"] = (
            "The effect cannot be detected in a year: none of the recent users did what the primary metric counts. "
            "Choose another metric."
        )
        return plan
    needed = int(_solve(declaration, recent, bound, "n_obs", None))
    plan["users_needed"] = needed
    plan["smallest_effect"] = _smallest(declaration, recent, bound, plan["planned_users"])
    plan["smallest_effect_in_a_year"] = _smallest(
        declaration, recent, bound, users_after(recent, LONGEST_WEEKS)
    )
    plan["weeks_needed"] = weeks = weeks_for(recent, needed)
    if weeks is not None:
        plan["days_needed"] = 7 * weeks + declaration.window_days
        plan["detectable"] = True
        plan["enough"] = plan["planned_users"] >= needed
    plan["reason"] = _reason(declaration, recent, plan)
    return plan


def weeks_for(recent: RecentUsers, users: int) -> int | None:
    """Weeks until ``users`` were exposed; None where a year is not enough."""
    if users <= recent.users_in_the_first_week:
        return 1
    if users > users_after(recent, LONGEST_WEEKS):
        return None
    return 1 + math.ceil((users - recent.users_in_the_first_week) / recent.new_users_a_week)


def _smallest(declaration: Declaration, recent: RecentUsers, bound: float, users: int) -> float | None:
    return _solve(declaration, recent, bound, "rel_effect_size", users) if users >= 4 else None


def _solve(
    declaration: Declaration, recent: RecentUsers, bound: float, parameter: str, users: int | None
) -> float:
    from scipy.stats import norm
    from tea_tasting.aggr import Aggregates
    from tea_tasting.metrics import Mean

    left = recent.variance * (1.0 - recent.correlation**2)
    sample = Aggregates(
        count_=max(recent.users_in_the_first_week, 4), mean_={"metric": recent.mean}, var_={"metric": left}
    )
    analysis: Any = Mean(
        "metric",
        alternative="two-sided",
        equal_var=False,
        use_t=False,
        alpha=float(2.0 * norm.sf(bound)),
        power=declaration.rule.power,
        ratio=declaration.share / (1.0 - declaration.share),
        rel_effect_size=declaration.minimal_effect if parameter == "n_obs" else None,
        n_obs=users,
    )
    return float(getattr(analysis.solve_power_from_aggregates(sample, parameter)[0], parameter))


def _reason(declaration: Declaration, recent: RecentUsers, plan: dict[str, Any]) -> str:
    effect = f"{100.0 * declaration.minimal_effect:g} %"
    needs = f"A change of {effect} needs {plan['users_needed']:,} users"
    if not plan["detectable"]:
        smallest = plan["smallest_effect_in_a_year"]
        instead = (
            f"; a year's {users_after(recent, LONGEST_WEEKS):,} users show a change of {100.0 * smallest:.0f} %"
            if smallest is not None
            else ""
        )
        return f"{needs}: it cannot be detected in a year{instead}."
    weeks = f"{plan['weeks_needed']} week{'s' if plan['weeks_needed'] > 1 else ''}"
    if plan["enough"]:
        return f"{needs}, who come within {weeks}: the plan is long enough."
    return (
        f"{needs}, who come within {weeks}, {plan['days_needed']} days with the window; the plan has "
        f"{declaration.days} days and {plan['planned_users']:,} users. Plan a later end or a larger effect."
    )
