"""The cost of a calendar month: at the budget, at the stop, and over a month of runs."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from holley_assets.assets.time_windows import check_month
from holley_assets.checks.month_spending import MonthBudgetError, judge_month
from holley_assets.core.asset_keys import DELIVERED_TABLE, SERVING_TABLE
from holley_assets.resources.storage.interface import FolderStore
from holley_assets.resources.warehouse.bigquery.spending import Spending
from holley_assets.settings import BigQuerySettings, RunSettings, Settings, load_settings

TIB = 1 << 40
FIRST = datetime.datetime(2026, 2, 1, tzinfo=datetime.UTC)
# A tebibyte costs $10: the budget is 10 of them, the stop 20.
PRICES = BigQuerySettings(dollars_per_tib=10.0, month_budget_dollars=100.0, month_stop_factor=2.0)
DELIVERY = {DELIVERED_TABLE, SERVING_TABLE}


@pytest.mark.parametrize(
    ("read", "passed"), [(0, True), (10 * TIB, True), (10 * TIB + TIB // 1000, False), (30 * TIB, False)]
)
def test_it_warns_above_the_budget(read: int, passed: bool) -> None:
    result = judge_month({"a": read}, FIRST, PRICES, may_stop=False)
    assert result.passed == passed
    assert result.severity is dg.AssetCheckSeverity.WARN
    assert f"${read / TIB * 10:,.2f} of $100.00 since 2026-02-01" in str(result.description)


def test_it_stops_at_the_factor_and_says_what_to_do() -> None:
    below = {"a": 10 * TIB, "b": 10 * TIB - TIB // 1000}
    assert not judge_month(below, FIRST, PRICES, may_stop=True).passed
    with pytest.raises(MonthBudgetError) as error:
        judge_month({"a": 10 * TIB, "b": 10 * TIB}, FIRST, PRICES, may_stop=True)
    assert str(error.value) == (
        "BigQuery: $200.00 of $100.00 since 2026-02-01; runs that asked BigQuery: 2; at 2 times the budget no "
        "training and no delivery starts. Look at bytes_billed on the assets' pages for what grew, and raise "
        "HOLLEY_BIGQUERY_MONTH_BUDGET_DOLLARS (now 100) if the cost is right"
    )


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    loaded = load_settings()
    return loaded.model_copy(update={"bigquery": PRICES, "run": RunSettings(data_dir=tmp_path)})


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as opened:
        yield opened


def spend(instance: dg.DagsterInstance, settings: Settings, at: datetime.datetime, tebibytes: int) -> None:
    """A run of that moment that has asked BigQuery two queries, or none."""
    run = dg.DagsterRun("weekly_retrain", run_id=f"{at:%Y%m%dT%H%M%S}")
    instance.run_storage.add_historical_run(run, at)
    spending = Spending(FolderStore(settings.run.data_dir), run.run_id)
    for query in range(2 if tebibytes else 0):
        spending.write(f"query-{query}", tebibytes * TIB // 2)


def test_a_month_of_daily_runs_warns_and_then_stops_until_the_next(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    """A tebibyte a day: $100 are spent by the 10th, more by the 11th, $200 by the 20th."""
    seen: dict[datetime.date, str] = {}
    for day in range(40):
        now = FIRST + datetime.timedelta(days=day, hours=6)
        try:
            seen[now.date()] = "fine" if check_month(instance, settings, now, DELIVERY).passed else "warned"
        except MonthBudgetError:
            seen[now.date()] = "stopped"
        else:
            spend(instance, settings, now, 1)
    of_day = [seen[FIRST.date() + datetime.timedelta(days=day)] for day in range(40)]
    assert of_day == ["fine"] * 11 + ["warned"] * 9 + ["stopped"] * 8 + ["fine"] * 11 + ["warned"]


def test_the_month_begins_with_its_first_moment(instance: dg.DagsterInstance, settings: Settings) -> None:
    spend(instance, settings, FIRST - datetime.timedelta(seconds=1), 50)
    spend(instance, settings, FIRST, 2)
    spend(instance, settings, FIRST + datetime.timedelta(days=1), 0)
    result = check_month(instance, settings, FIRST + datetime.timedelta(days=3), DELIVERY)
    assert result.description == "$20.00 of $100.00 since 2026-02-01; runs that asked BigQuery: 1"


def test_safe_parts_are_served_whatever_the_month_has_cost(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    spend(instance, settings, FIRST, 90)
    now = FIRST + datetime.timedelta(days=1)
    assert not check_month(instance, settings, now, {SERVING_TABLE}).passed
    with pytest.raises(MonthBudgetError):
        check_month(instance, settings, now, DELIVERY)
