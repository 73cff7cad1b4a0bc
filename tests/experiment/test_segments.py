"""Guardrails, secondary metrics, tiers and weeks, each beside an answer that was worked out by hand."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from experiment_world import END, declare, outcome_table, shares
from present import present
from scipy.stats import false_discovery_control

from holley_assets.experiment.metrics import CLICK_RATE
from holley_assets.experiment.outcomes import read_outcomes
from holley_assets.experiment.readout import read_experiment
from holley_assets.experiment.segments import read_guardrails, read_lasting, read_novelty

USERS = 8000


def read(table: pa.Table, as_of: datetime.date = END, **fields: Any) -> dict[str, Any]:
    return read_experiment(declare(**fields), table, as_of=as_of)


def users_of(table: pa.Table) -> pa.Table:
    return read_outcomes(table, declare()).exposed


def gain_with(unsubscribed: tuple[float, float] | None = None, **columns: Any) -> dict[str, Any]:
    """A clear gain of clicks, with shares of the SQL arm and of the graph's that unsubscribed."""
    clicks, graph = shares((USERS, USERS // 10, False), (USERS, USERS * 13 // 100, True))
    if unsubscribed is not None:
        columns["unsubscribed"] = np.concatenate([np.arange(USERS) < share * USERS for share in unsubscribed])
    margins = {"unsubscribe_rate": 0.1, "delivered_share": 0.02, "average_order_value": 0.05}
    return read(outcome_table(graph, clicks=clicks, **columns), guardrails=margins)


def state(found: dict[str, Any], name: str) -> str:
    (row,) = [row for row in found["guardrails"] if row["name"] == name]
    return str(row["state"])


@pytest.mark.parametrize(
    ("shares_of", "expected", "outcome"),
    [
        ((0.2, 0.2), "held", "ship"),
        ((0.2, 0.1), "held", "ship"),
        ((0.02, 0.02), "open", "keep running"),
        ((0.2, 0.3), "broken", "harm"),
        ((0.0, 0.0), "held", "ship"),
        ((0.0, 0.2), "open", "keep running"),
        ((0.2, 0.0), "held", "ship"),
        (None, "no source", "ship"),
    ],
)
def test_unsubscribes_may_not_rise(
    shares_of: tuple[float, float] | None, expected: str, outcome: str
) -> None:
    found = gain_with(shares_of)
    assert state(found, "unsubscribe_rate") == expected
    assert found["decision"]["outcome"] == outcome


def test_a_guardrail_is_held_or_broken_by_its_interval() -> None:
    found = gain_with((0.2, 0.2))
    (row,) = [row for row in found["guardrails"] if row["name"] == "unsubscribe_rate"]
    half = 1.96 * np.sqrt(2 * 0.8 / 0.2 / USERS)
    assert row["estimate"]["relative_interval"] == pytest.approx(
        [np.exp(-half) - 1, np.exp(half) - 1], rel=1e-3
    )
    assert row["margin"] == 0.1


def test_what_is_broken_is_named() -> None:
    reason = gain_with((0.2, 0.3))["decision"]["reason"]
    assert reason.startswith(
        "Unsubscribe rate is worse by more than the 10 % that the declaration accepts: +50.0 %"
    )
    reason = gain_with((0.02, 0.02))["decision"]["reason"]
    assert (
        "But unsubscribe rate may be worse by more than the declaration accepts; the plan has ended" in reason
    )


def test_an_arm_must_receive_what_it_was_assigned() -> None:
    of_graph = np.arange(2 * USERS) >= USERS
    fine = ~of_graph | (np.arange(2 * USERS) < 2 * USERS - USERS // 200)
    assert state(gain_with(), "delivered_share") == "held"
    assert state(gain_with(received_as_assigned=fine), "delivered_share") == "held"
    broken = gain_with(received_as_assigned=~of_graph | (np.arange(2 * USERS) % 4 > 0))
    assert state(broken, "delivered_share") == "broken" and broken["decision"]["outcome"] == "harm"
    nobody = gain_with(received_as_assigned=~of_graph)
    assert state(nobody, "delivered_share") == "broken"


@pytest.mark.parametrize(
    ("of_sql", "users", "expected"),
    [
        # One in twenty of the SQL arm and nobody of the graph's: few of all users, and all that there was.
        (0.05, USERS, "broken"),
        # One user of twenty against none of twenty: a difference of −5 points with an error of as many.
        (0.05, 20, "open"),
    ],
)
def test_a_loss_of_everything_is_relative_to_what_there_was(of_sql: float, users: int, expected: str) -> None:
    received = np.concatenate([np.arange(users) < of_sql * users, np.zeros(users, bool)])
    table = outcome_table(np.repeat([False, True], users), received_as_assigned=received)
    rows = read_guardrails(lambda _: users_of(table), declare(guardrails={"delivered_share": 0.02}), 0.95)
    assert [row["state"] for row in rows] == [expected]


@pytest.mark.parametrize(
    ("value", "expected"), [(95.01, "held"), (95.0, "open"), (94.99, "broken"), (105.0, "held")]
)
def test_at_the_margin_a_guardrail_is_open(value: float, expected: str) -> None:
    """Everybody has one order of one value, so that the interval is a point: 95 of 100 dollars lose the whole 5 %."""
    graph = np.repeat([False, True], 10)
    table = outcome_table(graph, orders=1, order_value=np.where(graph, value, 100.0))
    rows = read_guardrails(lambda _: users_of(table), declare(guardrails={"average_order_value": 0.05}), 0.95)
    assert [row["state"] for row in rows] == [expected]


def test_the_value_of_an_order_may_not_fall() -> None:
    rng = np.random.default_rng(0)
    orders = (rng.random(2 * USERS) < 0.5).astype(np.int64)
    value = orders * rng.normal(100, 10, 2 * USERS)
    assert state(gain_with(orders=orders, order_value=value), "average_order_value") == "held"
    lower = value * np.repeat([1.0, 0.8], USERS)
    assert state(gain_with(orders=orders, order_value=lower), "average_order_value") == "broken"
    assert state(gain_with(), "average_order_value") == "no source"


def test_secondary_metrics_pay_for_their_number() -> None:
    rng = np.random.default_rng(5)
    graph = np.arange(8000) % 2 == 0
    clicks = rng.poisson(0.3 + 0.02 * graph)
    orders = rng.poisson(0.2 + 0.012 * graph)
    found = read(
        outcome_table(graph, clicks=clicks, orders=orders, order_value=orders * rng.exponential(50, 8000))
    )
    rows = found["secondary"]
    assert [row["name"] for row in rows] == [
        "conversion",
        "revenue_per_user",
        "clicks_per_user",
        "orders_per_user",
    ]
    plain = [row["estimate"]["p_value"] for row in rows]
    adjusted = [row["adjusted_p"] for row in rows]
    assert adjusted == pytest.approx(list(false_discovery_control(plain)))
    assert max(adjusted) > 0.05 or any(row["differs"] for row in rows)
    assert [row["differs"] for row in rows] == [value <= 0.05 for value in adjusted]


def test_secondary_metrics_at_an_early_look_have_its_level() -> None:
    clicks, graph = shares((4000, 400, False), (4000, 400, True))
    orders = np.concatenate([np.arange(4000) < 400, np.arange(4000) < 470]).astype(np.int64)
    table = outcome_table(graph, clicks=clicks, orders=orders, order_value=orders * 1.0)
    # p is 0.012 everywhere: beyond the 5 % of a single look, within the 0.3 % of the first of two.
    late, early = (
        read(table, as_of=day, looks=looks)["secondary"][0]
        for day, looks in ((END, 1), (datetime.date(2026, 3, 29), 2))
    )
    assert late["adjusted_p"] == pytest.approx(early["adjusted_p"]) and 0.005 < late["adjusted_p"] < 0.03
    assert late["differs"] is True and early["differs"] is False
    assert early["level"] == pytest.approx(1 - 0.0030514, abs=1e-5)


def test_metrics_that_nobody_has_have_no_p_value() -> None:
    rows = {row["name"]: row for row in gain_with()["secondary"]}
    assert rows["conversion"]["adjusted_p"] is None and rows["conversion"]["differs"] is None
    assert rows["clicks_per_user"]["differs"] is True


def test_revenue_is_shown_as_it_was_before_the_cap_too() -> None:
    clicks, graph = shares((1000, 100, False), (1000, 100, True))
    found = read(
        outcome_table(graph, clicks=clicks, order_value=np.arange(2000) % 7, order_value_uncapped=5.0)
    )
    assert found["uncapped_revenue"]["control"] == 5.0 and found["secondary"][1]["control"] < 5.0


def test_tiers_and_weeks_split_the_users() -> None:
    clicks, graph = shares((1000, 100, False), (1000, 150, True), (500, 200, False), (500, 150, True))
    tier = np.repeat(["warm", "cold"], [2000, 1000])
    found = read(outcome_table(graph, clicks=clicks, tier=tier, day=np.repeat([0, 15], [2000, 1000])))
    assert [(row["tier"], round(row["estimate"]["effect"], 9)) for row in found["tiers"]] == [
        ("cold", -0.1),
        ("warm", 0.05),
    ]
    assert [(row["week"], round(row["estimate"]["effect"], 9)) for row in found["weeks"]] == [
        (0, 0.05),
        (2, -0.1),
    ]


def weeks(*effects: float, error: float = 0.01) -> list[dict[str, Any]]:
    return [
        {"week": week, "estimate": {"effect": effect, "standard_error": error}}
        for week, effect in enumerate(effects)
    ]


def test_the_trend_over_weeks_by_hand() -> None:
    found = read_novelty(weeks(0.06, 0.04, 0.02, 0.0))
    assert found is not None
    # Weeks around their mean: 2.25 + 0.25 + 0.25 + 2.25 = 5; a slope of −2 points with an error of 0.01 / √5.
    assert found["slope"] == pytest.approx(-0.02)
    assert found["statistic"] == pytest.approx(-0.02 * np.sqrt(5) / 0.01)
    assert found["first"] == pytest.approx(0.06) and found["last"] == pytest.approx(0.0, abs=1e-12)
    half = 1.959964 * 0.01 * np.sqrt(1 / 4 + 2.25 / 5)
    assert found["last_interval"] == pytest.approx([-half, half])
    assert found["first_week"] == 0 and found["last_week"] == 3
    assert found["fades"]


def test_what_does_not_fade() -> None:
    assert not present(read_novelty(weeks(0.03, 0.03, 0.03)))["fades"]
    assert not present(read_novelty(weeks(0.0, 0.03, 0.06)))["fades"]
    # It falls, and is surely there in the last week.
    assert not present(read_novelty(weeks(0.2, 0.15, 0.1)))["fades"]
    # It may fall.
    assert not present(read_novelty(weeks(0.03, 0.01)))["fades"]
    assert read_novelty(weeks(0.03)) is None and read_novelty([]) is None
    assert read_novelty([*weeks(0.03), {"week": 1, "estimate": None}]) is None
    assert read_novelty([*weeks(0.03), *weeks(0.1, error=0.0)]) is None


def test_a_precise_week_counts_more() -> None:
    uneven = [*weeks(0.06, 0.04), {"week": 2, "estimate": {"effect": 0.05, "standard_error": 1.0}}]
    assert present(read_novelty(uneven))["slope"] == pytest.approx(-0.02, abs=1e-4)


def test_a_gain_that_fades_is_not_shipped() -> None:
    groups = []
    for week in range(8):
        groups += [(2000, 200, False), (2000, 200 + max(0, 160 - 40 * week), True)]
    clicks, graph = shares(*groups)
    table = outcome_table(graph, clicks=clicks, day=np.repeat(np.arange(8) * 7, 4000))
    found = read(table)
    assert found["looks"][0]["statistic"] > found["looks"][0]["bound"]
    assert found["decision"]["outcome"] == "stop for no effect"
    assert (
        "But the gain fades, from +6.49 points for those who came in week 0 to −1.59 points"
        in found["decision"]["reason"]
    )
    assert found["decision"]["reason"].endswith("which is not surely a gain: what was new wore off.")


def test_a_gain_lasts_where_users_who_came_after_the_days_of_novelty_show_it() -> None:
    """Ten days of novelty: who came on the tenth day after the start counts, who came the day before does not."""
    clicks, graph = shares((1000, 100, False), (1000, 300, True), (1000, 100, False), (1000, 127, True))
    for day, lasts in ((10, True), (9, False)):
        table = users_of(outcome_table(graph, clicks=clicks, day=np.repeat([day, 20], 2000)))
        found = read_lasting(table, CLICK_RATE, declare(rule={"novelty_days": 10}))
        assert found["since"] == "2026-03-11" and found["lasts"] is lasts
        assert found["users"] == ({"sql": 2000, "graph": 2000} if lasts else {"sql": 1000, "graph": 1000})
    # Without the early ones +2.7 points, with an error of 1.42: 1.91 of them.
    assert found["estimate"]["statistic"] == pytest.approx(0.027 / np.sqrt((0.09 + 0.127 * 0.873) / 999))
    everybody = read_lasting(table, CLICK_RATE, declare(rule={"novelty_days": 0}))
    assert everybody["since"] == "2026-03-01" and everybody["lasts"] and everybody["users"]["sql"] == 2000
    nobody = read_lasting(table, CLICK_RATE, declare(rule={"novelty_days": 21}))
    assert nobody["estimate"] is None and not nobody["lasts"]


def test_a_gain_of_the_first_days_alone_is_shipped_at_the_end_or_where_no_novelty_is_declared() -> None:
    clicks, graph = shares((2000, 200, False), (2000, 300, True))
    table, early = outcome_table(graph, clicks=clicks), datetime.date(2026, 3, 29)
    found = read(table, as_of=early, looks=2)
    assert found["looks"][0]["statistic"] > found["looks"][0]["bound"]
    assert found["decision"]["outcome"] == "keep running"
    assert "among users who came from 2026-03-15 on too, and nobody of them" in found["decision"]["reason"]
    assert read(table, as_of=early, looks=2, rule={"novelty_days": 0})["decision"]["outcome"] == "ship"
    assert read(table, looks=2)["decision"]["outcome"] == "ship"
