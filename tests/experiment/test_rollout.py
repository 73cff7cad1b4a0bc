"""How far a rollout may go: a look without harm for each step, all for what is shipped, none for harm."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest
from experiment_world import END, START, declare, outcome_table, shares

from holley_assets.experiment.readout import read_experiment
from holley_assets.experiment.rollout import STEPS, next_share


def readout(
    sql: int, graph: int, *, share: float = 0.1, day: int = 0, as_of: datetime.date = END, **fields: Any
) -> dict[str, Any]:
    """10,000 users, of whom ``share`` have the graph, with clicks in a thousand of each arm."""
    of_graph = round(10_000 * share)
    clicks, arms = shares(
        (10_000 - of_graph, (10_000 - of_graph) * sql // 1000, False),
        (of_graph, of_graph * graph // 1000, True),
    )
    table = outcome_table(arms, clicks=clicks, share=share, day=np.full(10_000, day))
    return read_experiment(declare(**({"looks": 8} | fields)), table, as_of=as_of)


def day(number: int) -> datetime.date:
    return START + datetime.timedelta(days=number)


def test_a_step_needs_a_look_that_has_users_of_the_step_before() -> None:
    # Looks are every seven days, and so is the window: the look of day 7 has the users of day 0.
    assert next_share(readout(100, 100, as_of=day(6)))[0] == 0.1
    assert next_share(readout(100, 100, as_of=day(7))) == (0.25, "The look of 2026-03-08 shows no harm.")
    share, reason = next_share(readout(100, 100, day=1, as_of=day(7)))
    assert share == 0.1 and reason.startswith("No look since 2026-03-09 has been read")
    assert next_share(readout(100, 100, day=1, as_of=day(14)))[0] == 0.25


def test_revenue_waits_for_the_window_of_orders() -> None:
    clicks, arms = shares((9000, 0, False), (1000, 0, True))
    table = outcome_table(arms, clicks=clicks, share=0.1, order_value=np.arange(10_000) % 7)
    declaration = declare(looks=8, primary_metric="revenue_per_user")
    found = [next_share(read_experiment(declaration, table, as_of=day(number)))[0] for number in (13, 14)]
    assert found == [0.1, 0.25]


@pytest.mark.parametrize(("served", "allowed"), [(0.1, 0.25), (0.2, 0.25), (0.25, 0.5), (0.5, 0.5)])
def test_undecided_it_goes_up_to_a_half(served: float, allowed: float) -> None:
    found = readout(100, 100, share=served, as_of=day(7))
    assert found["decision"]["outcome"] == "keep running"
    share, reason = next_share(found)
    assert share == allowed
    assert ("waits for the decision to ship" in reason) is (served == 0.5)


def test_what_is_shipped_goes_on_step_by_step_to_all() -> None:
    for served, allowed in ((0.1, 0.25), (0.25, 0.5), (0.5, 1.0)):
        found = readout(100, 300, share=served)
        assert found["decision"]["outcome"] == "ship"
        assert next_share(found) == (allowed, "The look of 2026-03-08 says to ship.")


def test_harm_and_no_effect_give_everybody_the_sql_pipeline() -> None:
    for graph, outcome in ((50, "harm"), (302, "stop for no effect")):
        found = readout(300, graph, share=0.5)
        assert found["decision"]["outcome"] == outcome
        assert next_share(found) == (0.0, found["decision"]["reason"])


def test_arms_without_their_users_keep_the_share() -> None:
    clicks, arms = shares((5000, 500, False), (1000, 100, True))
    found = read_experiment(declare(), outcome_table(arms, clicks=clicks, share=0.25), as_of=END)
    assert next_share(found)[0] == 0.25


def test_it_starts_with_the_first_step() -> None:
    nobody = read_experiment(declare(), outcome_table([]), as_of=START)
    assert next_share(nobody)[0] == STEPS[0] == 0.1


def test_the_newest_period_is_the_share_that_is_served() -> None:
    clicks, arms = shares((9000, 900, False), (1000, 100, True), (7500, 750, False), (2500, 250, True))
    period = np.repeat([0, 1], 10_000)
    table = outcome_table(
        arms, clicks=clicks, period=period, share=np.where(period, 0.25, 0.1), day=np.where(period, 10, 0)
    )
    found = read_experiment(declare(looks=8), table, as_of=day(16))
    assert [row["first_day"] for row in found["mismatch"]["periods"]] == ["2026-03-01", "2026-03-11"]
    # The look of day 14 has nobody of the second period.
    assert next_share(found)[0] == 0.25
    assert next_share(read_experiment(declare(looks=8), table, as_of=day(21)))[0] == 0.5
