"""Differences between the arms by hand: one period, several, a covariate, a ratio, nothing to compare."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest
from experiment_world import declare, outcome_table, shares
from hypothesis import given, settings
from hypothesis import strategies as st

from holley_assets.experiment.estimates import measure
from holley_assets.experiment.metrics import CLICK_RATE, GUARDRAILS, TESTED
from holley_assets.experiment.outcomes import read_outcomes

Z = 1.959963984540054
REVENUE = TESTED["revenue_per_user"]


def users_of(table: pa.Table) -> pa.Table:
    return read_outcomes(table, declare()).exposed


def test_a_difference_of_two_rates_by_hand() -> None:
    clicks, graph = shares((1000, 100, False), (1000, 130, True))
    found = measure(users_of(outcome_table(graph, clicks=clicks)), CLICK_RATE, 0.95)
    # Variances of a sample: p (1 − p) n / (n − 1).
    error = math.sqrt((0.1 * 0.9 + 0.13 * 0.87) / 999)
    of_ratio = Z * math.sqrt((0.9 / 0.1 + 0.87 / 0.13) / 999)
    assert found["users"] == {"sql": 1000, "graph": 1000} and found["left_out"] == 0
    assert found["control"] == pytest.approx(0.1) and found["treatment"] == pytest.approx(0.13)
    estimate = found["estimate"]
    assert estimate["effect"] == pytest.approx(0.03) and estimate["relative"] == pytest.approx(0.3)
    assert estimate["standard_error"] == pytest.approx(error)
    assert estimate["statistic"] == pytest.approx(0.03 / error)
    assert estimate["interval"] == pytest.approx([0.03 - Z * error, 0.03 + Z * error])
    assert estimate["relative_interval"] == pytest.approx(
        [1.3 * math.exp(-of_ratio) - 1, 1.3 * math.exp(of_ratio) - 1]
    )
    assert estimate["p_value"] == pytest.approx(math.erfc(0.03 / error / math.sqrt(2)))


def test_periods_are_compared_within_themselves_and_pooled_by_their_information() -> None:
    clicks, graph = shares((900, 180, False), (100, 25, True), (500, 25, False), (500, 50, True))
    period = np.repeat([0, 1], 1000)
    table = outcome_table(graph, clicks=clicks, period=period, share=np.where(period, 0.5, 0.1))
    found = measure(users_of(table), CLICK_RATE, 0.95)
    # Information 900 · 100 / 1,000 = 90 and 500 · 500 / 1,000 = 250; differences of 5 points in both.
    assert found["information"] == pytest.approx(340)
    assert found["estimate"]["effect"] == pytest.approx(0.05)
    assert found["control"] == pytest.approx((90 * 0.2 + 250 * 0.05) / 340)
    assert found["treatment"] == pytest.approx((90 * 0.25 + 250 * 0.1) / 340)
    # Sums of squares within the arms: n p (1 − p); both arms of a period have one variance.
    first = (900 * 0.16 + 100 * 0.1875) / 998 * (1 / 900 + 1 / 100)
    second = (500 * 0.0475 + 500 * 0.09) / 998 * (1 / 500 + 1 / 500)
    error = math.sqrt((90 / 340) ** 2 * first + (250 / 340) ** 2 * second)
    assert found["estimate"]["standard_error"] == pytest.approx(error)
    assert found["estimate"]["statistic"] == pytest.approx(0.05 / error)
    # The relative change has the variance of each arm.
    sql = ((90 / 340) ** 2 * 0.16 / 899 + (250 / 340) ** 2 * 0.0475 / 499) / found["control"] ** 2
    graph_arm = ((90 / 340) ** 2 * 0.1875 / 99 + (250 / 340) ** 2 * 0.09 / 499) / found["treatment"] ** 2
    ratio, half = found["treatment"] / found["control"], Z * math.sqrt(sql + graph_arm)
    assert found["estimate"]["relative_interval"] == pytest.approx(
        [ratio * math.exp(-half) - 1, ratio * math.exp(half) - 1]
    )


def test_a_small_arm_without_a_buyer_is_not_surely_worse() -> None:
    # Of 4,000 users 1 % buy; of 200 in the other arm nobody has yet, which happens to one arm in seven.
    clicks, graph = shares((4000, 40, False), (200, 0, True))
    estimate = measure(users_of(outcome_table(graph, clicks=clicks, share=0.05)), CLICK_RATE, 0.95)[
        "estimate"
    ]
    variance = 4000 * 0.01 * 0.99 / 4198
    assert estimate["statistic"] == pytest.approx(-0.01 / math.sqrt(variance * (1 / 4000 + 1 / 200)))
    assert estimate["statistic"] > -1.5


def test_a_growing_share_cannot_turn_the_answer_around() -> None:
    # In both periods the graph has half as many clicks again; but most of its users came when clicks were rare.
    clicks, graph = shares((9000, 1800, False), (1000, 300, True), (1000, 20, False), (9000, 270, True))
    period = np.repeat([0, 1], 10_000)
    table = outcome_table(graph, clicks=clicks, period=period, share=np.where(period, 0.9, 0.1))
    naive = clicks[graph].mean() / clicks[~graph].mean() - 1
    assert naive < -0.6
    estimate = measure(users_of(table), CLICK_RATE, 0.95)["estimate"]
    assert estimate["relative"] == pytest.approx(0.5)
    assert estimate["interval"][0] > 0


def test_a_period_without_both_arms_is_left_out_and_counted() -> None:
    clicks, graph = shares((100, 10, False), (100, 20, True), (50, 50, True), (1, 1, False))
    period = np.repeat([0, 1], [200, 51])
    found = measure(users_of(outcome_table(graph, clicks=clicks, period=period)), CLICK_RATE, 0.95)
    assert found["left_out"] == 51 and found["estimate"]["effect"] == pytest.approx(0.1)
    assert found["users"] == {"sql": 101, "graph": 150}


def test_a_period_has_its_arms_whatever_its_number() -> None:
    clicks, graph = shares((1000, 100, False), (1000, 130, True))
    found = measure(users_of(outcome_table(graph, clicks=clicks, period=3)), CLICK_RATE, 0.95)
    assert found["estimate"]["effect"] == pytest.approx(0.03) and found["left_out"] == 0


def test_one_arm_alone_has_no_estimate() -> None:
    clicks, graph = shares((100, 10, True))
    found = measure(users_of(outcome_table(graph, clicks=clicks)), CLICK_RATE, 0.95)
    assert found["estimate"] is None and found["control"] is None and found["left_out"] == 100
    assert found["users"] == {"sql": 0, "graph": 100}
    assert found["covariate"] == {"used": False, "correlation": None, "reduction": None}


def test_where_nobody_does_anything_there_is_no_interval() -> None:
    _, graph = shares((100, 0, False), (100, 0, True))
    estimate = measure(users_of(outcome_table(graph)), CLICK_RATE, 0.95)["estimate"]
    assert estimate["effect"] == 0.0 and estimate["standard_error"] == 0.0
    assert [
        estimate[name] for name in ("interval", "statistic", "p_value", "relative", "relative_interval")
    ] == [None] * 5


def test_a_mean_of_next_to_nothing_has_a_difference_and_no_relative_change() -> None:
    # As many dollars come back as go: the ratio of the arms would have more digits than a number holds.
    value = np.tile([10.0, -10.0 + 1e-9], 200)
    graph = np.arange(400) % 4 < 2
    estimate = measure(users_of(outcome_table(graph, order_value=value + 5.0 * graph)), REVENUE, 0.95)[
        "estimate"
    ]
    error = math.sqrt(100 * 200 / 199 / 100)
    assert estimate["effect"] == pytest.approx(5.0) and estimate["standard_error"] == pytest.approx(error)
    assert estimate["interval"] == pytest.approx([5.0 - Z * error, 5.0 + Z * error])
    assert estimate["relative_interval"] is None
    # The value of an order is no mean over users, and has not even that.
    orders = measure(
        users_of(outcome_table(graph, order_value=value, orders=1 + np.arange(400) // 2 % 2)),
        GUARDRAILS["average_order_value"],
        0.95,
    )["estimate"]
    assert orders["statistic"] is None and orders["interval"] is None and orders["standard_error"] == 0.0
    assert abs(orders["effect"]) < 1e-8
    # A graph's arm of next to nothing against 5 dollars of two orders.
    less = measure(
        users_of(outcome_table(graph, order_value=value + 5.0 * ~graph, orders=2)),
        GUARDRAILS["average_order_value"],
        0.95,
    )["estimate"]
    assert less["interval"] is None and less["effect"] == pytest.approx(-2.5)


def test_arms_on_both_sides_of_zero_have_a_change_and_no_interval_of_it() -> None:
    # 10 dollars a user, and 2 that go back: a change of −120 %, which has no place on the scale of the logarithm.
    graph = np.repeat([False, True], 100)
    spread = np.tile([-1.0, 1.0], 100)
    estimate = measure(
        users_of(outcome_table(graph, order_value=np.where(graph, -2.0, 10.0) + spread)), REVENUE, 0.95
    )["estimate"]
    error = math.sqrt(2 * 100 / 99 / 100)
    assert estimate["effect"] == pytest.approx(-12.0) and estimate["relative"] == pytest.approx(-1.2)
    assert estimate["interval"] == pytest.approx([-12.0 - Z * error, -12.0 + Z * error])
    assert estimate["relative_interval"] is None


@pytest.mark.parametrize(("users", "counts"), [(1, False), (2, True)])
def test_a_period_counts_from_two_users_of_each_arm_on(users: int, counts: bool) -> None:
    clicks, graph = shares((100, 10, False), (100, 20, True), (users, 1, False), (2, 1, True))
    period = np.repeat([0, 1], [200, users + 2])
    found = measure(users_of(outcome_table(graph, clicks=clicks, period=period)), CLICK_RATE, 0.95)
    assert found["left_out"] == (0 if counts else users + 2)
    # Information 100 · 100 / 200, and 2 · 2 / 4.
    assert found["information"] == pytest.approx(51.0 if counts else 50.0)


def test_a_change_beyond_every_measure_has_no_interval() -> None:
    clicks, graph = shares((10_000, 1, False), (10_000, 100, True))
    estimate = measure(users_of(outcome_table(graph, clicks=clicks)), CLICK_RATE, 0.95)["estimate"]
    assert estimate["relative"] == pytest.approx(99.0) and estimate["relative_interval"] is None
    assert estimate["interval"][0] > 0


@pytest.mark.parametrize(("clicked", "shown"), [(401, True), (402, False)])
def test_an_interval_ends_at_a_hundred_times_more(clicked: int, shown: bool) -> None:
    # Of 10,000 users 8 click; the upper ends are +9,987 % and +10,012 %.
    clicks, graph = shares((10_000, 8, False), (10_000, clicked, True))
    found = measure(users_of(outcome_table(graph, clicks=clicks)), CLICK_RATE, 0.95)["estimate"]
    half = Z * math.sqrt((0.9992 / 8 + (1.0 - clicked / 10_000) / clicked) * 10_000 / 9_999)
    assert (found["relative_interval"] is not None) is shown is (clicked / 8 * math.exp(half) - 1.0 < 100.0)


def test_a_change_of_fifteen_times_has_an_interval() -> None:
    clicks, graph = shares((10_000, 20, False), (10_000, 300, True))
    estimate = measure(users_of(outcome_table(graph, clicks=clicks)), CLICK_RATE, 0.95)["estimate"]
    assert estimate["relative"] == pytest.approx(14.0)
    low, high = estimate["relative_interval"]
    assert 8.0 < low < 14.0 < high < 25.0


def test_arms_that_are_equal_to_the_last_digit_have_their_standard_error() -> None:
    clicks, graph = shares((1000, 100, False), (1000, 100, True))
    estimate = measure(users_of(outcome_table(graph, clicks=clicks)), CLICK_RATE, 0.9)["estimate"]
    assert estimate["effect"] == 0.0
    assert estimate["standard_error"] == pytest.approx(math.sqrt(2 * 0.1 * 0.9 / 999))


def test_more_returns_than_orders_have_no_relative_change() -> None:
    rng = np.random.default_rng(0)
    graph = np.arange(400) % 2 == 0
    estimate = measure(users_of(outcome_table(graph, order_value=rng.normal(-5, 1, 400))), REVENUE, 0.95)[
        "estimate"
    ]
    assert estimate["relative"] is None and estimate["relative_interval"] is None
    assert estimate["interval"][0] < estimate["effect"] < estimate["interval"][1]


@pytest.mark.parametrize("before", [None, 0.0, 0.1, 1e9 + 0.1])
def test_a_missing_or_constant_covariate_changes_nothing(before: float | None) -> None:
    rng = np.random.default_rng(1)
    graph = np.arange(600) % 2 == 0
    table = outcome_table(graph, order_value=rng.exponential(10, 600), order_value_before=before)
    found = measure(users_of(table), REVENUE, 0.95)
    assert found["estimate"] == found["unadjusted"]
    assert found["covariate"] == {"used": False, "correlation": None, "reduction": None}
    without_column = measure(users_of(table.drop_columns(["order_value_before"])), REVENUE, 0.95)
    assert without_column["estimate"] == found["unadjusted"]


def test_a_covariate_that_tells_the_metric_whole_changes_nothing_instead_of_failing() -> None:
    rng = np.random.default_rng(5)
    graph = np.arange(600) % 2 == 0
    before = np.where(graph, rng.normal(0.0, 0.3, 600), 0.0)
    table = outcome_table(graph, order_value=5.0 + before, order_value_before=before)
    found = measure(users_of(table), REVENUE, 0.95)
    assert found["estimate"] == found["unadjusted"] and found["estimate"]["interval"] is not None
    assert found["covariate"] == {"used": False, "correlation": None, "reduction": None}


@pytest.mark.parametrize(("spread", "used"), [(0.5e-9, False), (1.5e-9, True)])
def test_what_varies_by_less_than_floating_point_tells_is_a_constant(spread: float, used: bool) -> None:
    rng = np.random.default_rng(5)
    graph = np.arange(600) % 2 == 0
    before = spread * np.where(np.arange(600) % 4 < 2, 1.0, -1.0)
    table = outcome_table(graph, order_value=rng.exponential(1.0, 600), order_value_before=before)
    assert measure(users_of(table), REVENUE, 0.95)["covariate"]["used"] is used


@pytest.mark.parametrize(("centre", "only_graph"), [(1000.0, False), (0.0, True)])
def test_a_covariate_that_varies_little_or_in_one_arm_alone_is_used(centre: float, only_graph: bool) -> None:
    rng = np.random.default_rng(5)
    graph = np.arange(600) % 2 == 0
    before = centre + np.where(graph | (not only_graph), rng.normal(0.0, 0.3, 600), 0.0)
    spent = before + rng.exponential(1.0, 600)
    table = outcome_table(graph, order_value=spent, order_value_before=before)
    assert measure(users_of(table), REVENUE, 0.95)["covariate"]["used"]


def test_a_covariate_shortens_the_interval_as_its_correlation_foretells() -> None:
    rng = np.random.default_rng(2)
    graph = rng.random(20_000) < 0.5
    before = rng.exponential(10, 20_000)
    spent = 0.8 * before + rng.exponential(6, 20_000)
    found = measure(
        users_of(outcome_table(graph, order_value=spent, order_value_before=before)), REVENUE, 0.95
    )
    correlation = np.corrcoef(before, spent)[0, 1]
    assert found["covariate"]["used"]
    assert found["covariate"]["correlation"] == pytest.approx(correlation, abs=1e-3)
    assert found["covariate"]["reduction"] == pytest.approx(correlation**2, abs=1e-2)
    widths = [found[name]["interval"][1] - found[name]["interval"][0] for name in ("estimate", "unadjusted")]
    assert widths[0] / widths[1] == pytest.approx(math.sqrt(1 - correlation**2), abs=1e-2)
    # The adjusted difference is what regression on the covariate says.
    slope = np.cov(before, spent)[0, 1] / before.var(ddof=1)
    adjusted = spent - slope * before
    assert found["estimate"]["effect"] == pytest.approx(
        adjusted[graph].mean() - adjusted[~graph].mean(), abs=1e-6
    )
    assert found["treatment"] == pytest.approx(spent[graph].mean())


def test_a_covariate_adjusts_over_several_periods_as_within_one() -> None:
    """In each period 0.8 of the dollars before is spent again, r² = 64 / (64 + 36); the second has 50 dollars more."""
    rng = np.random.default_rng(6)
    period = np.repeat([0, 1], [12_000, 8_000])
    graph = rng.random(20_000) < np.where(period == 1, 0.5, 0.1)
    before = rng.exponential(10, 20_000)
    spent = 0.8 * before + rng.exponential(6, 20_000) + 50.0 * period + 2.0 * graph
    table = outcome_table(graph, period=period, order_value=spent, order_value_before=before)
    found = measure(users_of(table), REVENUE, 0.95)
    assert found["covariate"]["reduction"] == pytest.approx(0.64, abs=0.03)
    assert found["estimate"]["effect"] == pytest.approx(2.0, abs=3.0 * found["estimate"]["standard_error"])
    # Information of the periods: 12,000 · 0.1 · 0.9 and 8,000 · 0.5 · 0.5.
    assert found["estimate"]["standard_error"] == pytest.approx(6.0 / math.sqrt(3_080), rel=0.05)


def test_a_share_has_a_correlation_too() -> None:
    clicks, graph = shares((400, 100, False), (400, 100, True))
    # Half of those who click had clicked before, and nobody else.
    before = np.tile(np.arange(400) < 50, 2).astype(np.int64)
    found = measure(users_of(outcome_table(graph, clicks=clicks, clicks_before=before)), CLICK_RATE, 0.95)
    correlation = (0.125 - 0.25 * 0.125) / math.sqrt(0.25 * 0.75 * 0.125 * 0.875)
    assert found["covariate"]["correlation"] == pytest.approx(correlation)
    assert found["covariate"]["reduction"] == pytest.approx(correlation**2)


def test_two_in_a_hundred_with_a_period_before_are_enough_to_adjust_and_the_rest_had_nothing() -> None:
    rng = np.random.default_rng(3)
    graph = rng.random(5000) < 0.5
    known = rng.random(5000) < 0.02
    before = [
        float(value) if there else None for value, there in zip(rng.exponential(50, 5000), known, strict=True)
    ]
    filled = np.array([value or 0.0 for value in before])
    spent = filled + rng.exponential(1, 5000)
    found, same = (
        measure(users_of(outcome_table(graph, order_value=spent, order_value_before=values)), REVENUE, 0.95)
        for values in (before, filled)
    )
    assert found == same and found["covariate"]["reduction"] > 0.9
    assert found["users"]["graph"] + found["users"]["sql"] == 5000


def test_the_value_of_an_order_is_a_ratio_with_the_delta_method() -> None:
    rng = np.random.default_rng(4)
    graph = np.arange(4000) % 2 == 0
    orders = rng.poisson(0.5, 4000)
    value = orders * rng.exponential(100, 4000)
    found = measure(
        users_of(outcome_table(graph, orders=orders, order_value=value)),
        GUARDRAILS["average_order_value"],
        0.95,
    )
    within = [np.cov(value[arm], orders[arm]) for arm in (graph, ~graph)]
    together = (within[0] + within[1]) / 2
    variance, relative = 0.0, 0.0
    for arm, own in zip((graph, ~graph), within, strict=True):
        ratio = value[arm].sum() / orders[arm].sum()
        slope = np.array([1.0, -ratio]) / orders[arm].mean()
        variance += slope @ together @ slope / 2000
        relative += slope @ own @ slope / 2000 / ratio**2
    assert found["treatment"] == pytest.approx(value[graph].sum() / orders[graph].sum())
    assert found["control"] == pytest.approx(value[~graph].sum() / orders[~graph].sum())
    assert found["covariate"] == {"used": False, "correlation": None, "reduction": None}
    assert found["estimate"]["standard_error"] == pytest.approx(math.sqrt(variance))
    low, high = found["estimate"]["relative_interval"]
    assert math.log((1 + high) / (1 + low)) == pytest.approx(2 * Z * math.sqrt(relative))


def test_the_value_of_an_order_without_orders_is_nothing() -> None:
    orders = np.r_[np.zeros(100), np.ones(100)].astype(np.int64)
    table = outcome_table(orders == 1, orders=orders, order_value=orders * 10.0)
    assert measure(users_of(table), GUARDRAILS["average_order_value"], 0.95)["estimate"] is None


@settings(max_examples=20)
@given(
    rates=st.lists(st.floats(0.05, 0.95), min_size=3, max_size=3),
    users=st.lists(st.integers(20, 400), min_size=6, max_size=6),
    seed=st.integers(0, 100),
)
def test_swapping_the_arms_turns_the_sign_and_nothing_else(
    rates: list[float], users: list[int], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    period = np.repeat([0, 0, 1, 1, 2, 2], users)
    graph = np.repeat([True, False] * 3, users)
    clicks = (rng.random(len(period)) < np.array(rates)[period]).astype(np.int64)
    there, back = (
        measure(users_of(outcome_table(arm, clicks=clicks, period=period)), CLICK_RATE, 0.9)
        for arm in (graph, ~graph)
    )
    assert there["estimate"]["effect"] == pytest.approx(-back["estimate"]["effect"])
    assert there["estimate"]["standard_error"] == pytest.approx(back["estimate"]["standard_error"])
    assert there["information"] == pytest.approx(back["information"])
    low, high = there["estimate"]["interval"] or [0.0, 0.0]
    assert back["estimate"]["interval"] is None or back["estimate"]["interval"] == pytest.approx(
        [-high, -low]
    )


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), shift=st.floats(-50, 50))
def test_what_all_users_of_a_period_have_more_changes_no_difference(seed: int, shift: float) -> None:
    rng = np.random.default_rng(seed)
    period = rng.integers(0, 3, 300)
    graph = rng.random(300) < 0.5
    value = rng.exponential(10, 300)
    first, second = (
        measure(users_of(outcome_table(graph, period=period, order_value=values)), REVENUE, 0.95)["estimate"]
        for values in (value, value + shift * period)
    )
    assert first["effect"] == pytest.approx(second["effect"], abs=1e-9)
    assert first["standard_error"] == pytest.approx(second["standard_error"])
