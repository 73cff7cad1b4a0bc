"""Do the queries of this month cost what was planned? The first step of each run asks, before it asks anything else."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import dagster as dg

from holley_assets.checks.violations import threshold_verdict
from holley_assets.settings import BigQuerySettings

MONTH_KEEPS_TO_ITS_BUDGET = "month_keeps_to_its_budget"
MONTH_CHECKS = [
    dg.AssetCheckSpec(
        MONTH_KEEPS_TO_ITS_BUDGET,
        asset="time_windows",
        description="What BigQuery has read for all runs since the first of this month (UTC) costs at most "
        "HOLLEY_BIGQUERY_MONTH_BUDGET_DOLLARS. At HOLLEY_BIGQUERY_MONTH_STOP_FACTOR times that, no training and no "
        "delivery starts.",
    )
]


class MonthBudgetError(Exception):
    """The month has cost so much that nothing more may start; says how much and what to do."""


def first_of_month(now: datetime.datetime) -> datetime.datetime:
    """The moment at which the calendar month of ``now`` begins, in its time zone."""
    return now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def judge_month(
    bytes_by_run: Mapping[str, int], since: datetime.datetime, settings: BigQuerySettings, *, may_stop: bool
) -> dg.AssetCheckResult:
    """Whether the runs of a month cost what was planned.

    Args:
        bytes_by_run: bytes that BigQuery has read for each run of the month, or is about to.
        since: the first of the month.
        may_stop: whether the run that asks may be ended for it. One that gives customers safe parts may not.

    Raises:
        MonthBudgetError: the stop is reached and ``may_stop`` says so.
    """
    spent = settings.dollars(sum(bytes_by_run.values()))
    budget, factor = settings.month_budget_dollars, settings.month_stop_factor
    words = f"${spent:,.2f} of ${budget:,.2f} since {since:%Y-%m-%d}; runs that asked BigQuery: {len(bytes_by_run)}"
    if may_stop and spent >= budget * factor:
        raise MonthBudgetError(
            f"BigQuery: {words}; at {factor:g} times the budget no training and no delivery starts. "
            "Look at bytes_billed on the assets' pages for what grew, and raise HOLLEY_BIGQUERY_MONTH_BUDGET_DOLLARS "
            f"(now {budget:g}) if the cost is right"
        )
    return threshold_verdict(
        asset="time_windows",
        check=MONTH_KEEPS_TO_ITS_BUDGET,
        value=round(spent, 4),
        high=budget,
        description=words,
        severity=dg.AssetCheckSeverity.WARN,
    )
