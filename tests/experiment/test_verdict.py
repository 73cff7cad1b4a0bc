"""Decisions at their limits: a statistic at its bound, an interval at the minimal effect, one guardrail of several."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pytest
from experiment_world import END, START, declare, outcome_table

from holley_assets.experiment.outcomes import read_outcomes
from holley_assets.experiment.verdict import decide

FINE = {"mismatch": False, "p_value": 0.5, "periods": []}
MIDDLE = START + datetime.timedelta(days=28)


def look(number: int, statistic: float | None, **fields: Any) -> dict[str, Any]:
    """One of two looks, with a bound of 2."""
    usual = {
        "number": number,
        "date": (MIDDLE if number == 1 else END).isoformat(),
        "statistic": statistic,
        "bound": 2.0,
        "effect": 0.01,
        "interval": [-0.1, 0.3],
        "relative": 0.1,
        "relative_interval": [-0.1, 0.3],
    }
    return usual | fields


def outcome(*statistics: float | None, as_of: datetime.date = END, **parts: Any) -> str:
    looks = [
        look(number, statistic, **parts.get("fields", {})) for number, statistic in enumerate(statistics, 1)
    ]
    decision, reason = decide(
        declare(looks=2),
        as_of,
        FINE,
        looks,
        parts.get("guardrails", []),
        parts.get("novelty"),
        parts.get("lasting"),
    )
    assert reason.endswith(".") and reason[0].isupper()
    return decision


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        (2.0, "ship"),
        (1.999, "stop for no effect"),
        (-1.999, "stop for no effect"),
        (-2.0, "harm"),
    ],
)
def test_the_bound_is_reached_by_what_is_at_it(statistic: float, expected: str) -> None:
    assert outcome(None, statistic) == expected


def test_the_newest_look_ships_and_any_look_harms() -> None:
    assert outcome(2.5, 1.0) == "stop for no effect"
    assert outcome(-2.5, 2.5) == "harm"
    assert outcome(2.5, None, as_of=MIDDLE) == "ship"
    assert outcome(1.0, None, as_of=MIDDLE) == "keep running"


@pytest.mark.parametrize(("high", "expected"), [(0.0999, "stop for no effect"), (0.1, "keep running")])
def test_the_minimal_effect_is_ruled_out_below_it(high: float, expected: str) -> None:
    fields = {"relative_interval": [-0.2, high]}
    assert outcome(0.0, None, as_of=MIDDLE, fields=fields) == expected


def test_without_a_relative_interval_nothing_is_ruled_out() -> None:
    fields = {"relative": None, "relative_interval": None}
    assert outcome(0.0, None, as_of=MIDDLE, fields=fields) == "keep running"
    _, reason = decide(
        declare(looks=2), MIDDLE, FINE, [look(1, 0.0, **fields), look(2, None)], [], None, None
    )
    assert "a difference of +0.01, between −0.1 and +0.3" in reason


def guardrail(state: str) -> dict[str, Any]:
    return {"label": f"Rail {state}", "state": state, "margin": 0.1, "estimate": look(1, 0.0)}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        (["held", "held"], "ship"),
        (["held", "no source"], "ship"),
        (["held", "open"], "keep running"),
        (["open", "broken"], "harm"),
    ],
)
def test_every_guardrail_has_its_word(states: list[str], expected: str) -> None:
    assert outcome(None, 3.0, guardrails=[guardrail(state) for state in states]) == expected


def test_a_broken_guardrail_is_harm_without_a_gain_too() -> None:
    assert outcome(0.0, None, as_of=MIDDLE, guardrails=[guardrail("broken")]) == "harm"
    assert outcome(0.0, None, as_of=MIDDLE, guardrails=[guardrail("open")]) == "keep running"


def test_a_gain_that_fades_waits_while_there_is_a_look_to_come() -> None:
    novelty = {
        "fades": True,
        "first": 0.05,
        "last": 0.0,
        "last_interval": [-0.02, 0.02],
        "first_week": 0,
        "last_week": 4,
    }
    assert outcome(3.0, None, as_of=MIDDLE, novelty=novelty) == "keep running"
    assert outcome(3.0, 3.0, novelty=novelty) == "stop for no effect"
    assert outcome(3.0, 3.0, novelty=novelty | {"fades": False}) == "ship"
    _, reason = decide(
        declare(looks=1, primary_metric="revenue_per_user"), END, FINE, [look(2, 3.0)], [], novelty, None
    )
    assert "from +0.050 dollars for those who came in week 0 to +0.000 dollars for those of week 4" in reason


def test_before_the_end_a_gain_must_be_there_in_the_last_week_too() -> None:
    novelty = {"fades": False, "first": 0.05, "last": 0.02, "first_week": 0, "last_week": 3}
    for low, expected in ((0.0, "keep running"), (0.001, "ship")):
        lasting = novelty | {"last_interval": [low, 0.05]}
        assert outcome(3.0, None, as_of=MIDDLE, novelty=lasting) == expected
        assert outcome(3.0, 3.0, novelty=lasting) == "ship"
    looks = [look(1, 3.0), look(2, None)]
    _, reason = decide(
        declare(looks=2), MIDDLE, FINE, looks, [], novelty | {"last_interval": [-0.01, 0.05]}, None
    )
    assert (
        "came in week 3 the trend says +2.00 points, between −1.00 points and +5.00 points. The next"
        in reason
    )


def test_before_the_end_a_gain_must_be_there_among_users_who_came_later_too() -> None:
    for lasts, expected in ((False, "keep running"), (True, "ship")):
        lasting = {"since": "2026-03-15", "lasts": lasts, "estimate": look(1, 1.0)}
        assert outcome(3.0, None, as_of=MIDDLE, lasting=lasting) == expected
        assert outcome(3.0, 3.0, lasting=lasting) == "ship"
    looks = [look(1, 3.0), look(2, None)]
    for estimate, said in (
        (look(1, 1.0), "they show +10.0 %, between"),
        (None, "nobody of them can be compared yet"),
    ):
        lasting = {"since": "2026-03-15", "lasts": False, "estimate": estimate}
        _, reason = decide(declare(looks=2), MIDDLE, FINE, looks, [], None, lasting)
        assert f"among users who came from 2026-03-15 on too, and {said}" in reason


def test_a_mismatch_comes_before_everything() -> None:
    mismatch = {
        "mismatch": True,
        "p_value": 0.0001,
        "periods": [
            {"period": 0, "share": 0.1, "graph": 100, "expected_graph": 101.0, "p_value": 0.9},
            {"period": 1, "share": 0.25, "graph": 900, "expected_graph": 1000.4, "p_value": 0.0001},
        ],
    }
    decision, reason = decide(declare(), END, mismatch, [look(1, -3.0)], [guardrail("broken")], None, None)
    assert decision == "invalid"
    assert "in period 1, with a share of 25 %, the graph has 900 users instead of 1,000" in reason
    assert "(p = 0.0001)" in reason
    _, reason = decide(declare(), END, mismatch | {"p_value": 1e-9}, [], [], None, None)
    assert "(p < 0.0001)" in reason


def test_the_first_and_the_last_day_belong_to_the_experiment() -> None:
    table = outcome_table([True] * 4, day=np.array([-1, 0, 56, 57]))
    users = read_outcomes(table, declare())
    assert users.exposed["first_exposure"].to_pylist() == [START, END] and users.outside == 2
