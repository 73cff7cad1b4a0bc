"""The readout as a whole: what counts, which look decides, and every decision with its reason."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from experiment_world import END, START, declare, outcome_table, shares

from holley_assets.experiment.readout import RESULTS, read_experiment, readout_metrics
from holley_assets.experiment.verdict import DECISIONS

DAY = datetime.timedelta(days=1)


def rates(sql: float, graph: float, users: int = 4000, **columns: Any) -> pa.Table:
    """``users`` in each arm on the first day, of whom these shares click."""
    clicks, of_graph = shares((users, round(users * sql), False), (users, round(users * graph), True))
    return outcome_table(of_graph, clicks=clicks, **columns)


def read(table: pa.Table, as_of: datetime.date = END, **fields: Any) -> dict[str, Any]:
    found = read_experiment(declare(**fields), table, as_of=as_of)
    assert found["decision"]["outcome"] in DECISIONS
    # Everything can be written as JSON, and no number in it is none.
    json.dumps(found, allow_nan=False)
    return found


def decision(table: pa.Table, as_of: datetime.date = END, **fields: Any) -> tuple[str, str]:
    found = read(table, as_of, **fields)["decision"]
    return found["outcome"], found["reason"]


def test_a_gain_is_shipped() -> None:
    found = read(rates(0.1, 0.13))
    assert found["decision"]["outcome"] == "ship"
    assert found["decision"]["reason"].startswith(
        "Click rate of the graph's arm is higher: +30.0 %, between +15.0 % and +47.0 %."
    )
    (look,) = found["looks"]
    assert look["bound"] == pytest.approx(1.96, abs=1e-4) and look["spent"] == pytest.approx(0.05)
    assert look["date"] == END.isoformat() and look["users"] == {"sql": 4000, "graph": 4000}
    for name in ("statistic", "effect", "interval", "relative", "relative_interval"):
        assert look[name] == found["primary"]["estimate"][name]


def test_a_loss_is_harm() -> None:
    outcome, reason = decision(rates(0.13, 0.1))
    assert outcome == "harm"
    assert reason.startswith(
        "Click rate of the graph's arm is lower at look 1 of 1 (2026-04-26): −23.1 %, between"
    )
    assert reason.endswith("Give everybody the SQL pipeline's parts.")


def test_no_difference_stops_and_says_whether_the_smallest_gain_that_matters_is_ruled_out() -> None:
    outcome, reason = decision(rates(0.5, 0.5))
    assert (
        outcome == "stop for no effect"
        and "A gain of 10 %, the smallest that matters, is ruled out" in reason
    )
    outcome, reason = decision(rates(0.1, 0.1, users=400))
    assert outcome == "stop for no effect" and "is not ruled out: the experiment had too few users" in reason


def test_before_the_end_no_difference_keeps_running_until_the_smallest_gain_is_ruled_out() -> None:
    half = START + 28 * DAY
    outcome, reason = decision(rates(0.1, 0.1), as_of=half, looks=2)
    assert outcome == "keep running" and reason.endswith("The next look is on 2026-04-26.")
    assert decision(rates(0.5, 0.5, users=20_000), as_of=half, looks=2)[0] == "stop for no effect"


def test_arms_without_their_users_are_invalid_and_nothing_is_shown_as_a_result() -> None:
    clicks, graph = shares((4000, 400, False), (3600, 900, True))
    found = read(outcome_table(graph, clicks=clicks))
    assert found["decision"]["outcome"] == "invalid"
    assert "the graph has 3,600 users instead of 3,800" in found["decision"]["reason"]
    assert [found[name] for name in RESULTS] == [None] * len(RESULTS)
    assert [look["statistic"] for look in found["looks"]] == [None]
    assert found["traffic"]["users"] == 7600 and found["mismatch"]["mismatch"]


def test_before_the_start_and_before_the_first_look_nothing_is_compared() -> None:
    table = rates(0.1, 0.2)
    assert decision(table.slice(0, 0), as_of=START - DAY) == (
        "keep running",
        "The experiment starts on 2026-03-01.",
    )
    found = read(table, as_of=END - DAY)
    assert found["decision"] == {
        "outcome": "keep running",
        "reason": "The first look is on 2026-04-26; until then nothing is compared.",
    }
    assert found["primary"] is None and found["looks"][0]["statistic"] is None
    assert found["traffic"]["users"] == 8000


def test_an_experiment_without_outcomes_is_invalid_at_its_end_and_waits_before() -> None:
    empty = rates(0.1, 0.2).slice(0, 0)
    outcome, reason = decision(empty)
    assert outcome == "invalid" and "Find why exposures or outcomes are missing" in reason
    outcome, reason = decision(empty, as_of=START + 30 * DAY, looks=2)
    assert outcome == "keep running" and "the next look is on 2026-04-26" in reason
    assert decision(rates(0.0, 0.0))[0] == "invalid"


def test_users_whose_window_is_open_do_not_count_as_no() -> None:
    # Of users that came in the last six days nobody had time to click.
    clicks, graph = shares((1000, 100, False), (1000, 200, True), (5000, 0, False), (5000, 0, True))
    day = np.repeat([49, 50], [2000, 10_000])
    found = read(outcome_table(graph, clicks=clicks, day=day))
    assert found["primary"]["users"] == {"sql": 1000, "graph": 1000}
    assert found["primary"]["control"] == pytest.approx(0.1)
    # The table's own word counts too, even where the days would say that the window is over.
    flagged = outcome_table(graph, clicks=clicks, click_window_over=day < 50)
    assert read(flagged)["primary"]["users"] == {"sql": 1000, "graph": 1000}
    # Orders have longer: of this table, nobody's window is over.
    assert found["secondary"][0]["name"] == "conversion"
    assert found["secondary"][0]["users"] == {"sql": 0, "graph": 0}


def test_a_look_reads_the_users_whose_window_was_over_on_its_day() -> None:
    clicks, graph = shares((1000, 100, False), (1000, 200, True), (3000, 600, False), (3000, 300, True))
    table = outcome_table(graph, clicks=clicks, day=np.repeat([0, 35], [2000, 6000]))
    found = read(table, looks=2)
    first, second = found["looks"]
    assert first["users"] == {"sql": 1000, "graph": 1000} and first["effect"] == pytest.approx(0.1)
    assert second["users"] == found["primary"]["users"] == {"sql": 4000, "graph": 4000}
    # Half of the plan's days, a quarter of its information.
    assert first["spent"] == pytest.approx(0.0030514, abs=1e-6)
    assert first["bound"] == pytest.approx(2.9626, abs=1e-3)
    assert found["decision"]["outcome"] == "harm"
    # Between the looks the comparison of the first stands, whoever came in between.
    between = read(table, as_of=END - DAY, looks=2, rule={"novelty_days": 0})
    assert between["looks"][0] == first and between["looks"][1]["statistic"] is None
    assert between["primary"]["users"] == {"sql": 1000, "graph": 1000}
    assert between["decision"]["outcome"] == "ship"


def test_harm_at_an_earlier_look_stands() -> None:
    clicks, graph = shares((2000, 500, False), (2000, 300, True), (4000, 300, False), (4000, 900, True))
    table = outcome_table(graph, clicks=clicks, day=np.repeat([0, 35], [4000, 8000]))
    found = read(table, looks=2)
    assert found["looks"][1]["statistic"] > found["looks"][1]["bound"]
    assert found["decision"]["outcome"] == "harm" and "look 1 of 2" in found["decision"]["reason"]


def test_a_gain_that_is_gone_at_the_newest_look_is_not_shipped() -> None:
    clicks, graph = shares((1000, 100, False), (1000, 200, True), (8000, 900, False), (8000, 800, True))
    table = outcome_table(graph, clicks=clicks, day=np.repeat([0, 35], [2000, 16_000]))
    found = read(table, looks=2)
    assert found["looks"][0]["statistic"] > found["looks"][0]["bound"]
    assert found["decision"]["outcome"] == "stop for no effect"


def test_a_look_without_new_users_is_none() -> None:
    found = read(rates(0.1, 0.11), looks=4)
    assert [look["statistic"] is None for look in found["looks"]] == [False, True, True, True]


def test_moved_users_are_left_out_or_taken_by_their_first_arm() -> None:
    clicks, graph = shares((1000, 100, False), (1000, 200, True), (500, 500, False), (500, 500, True))
    table = outcome_table(graph, clicks=clicks, moved=np.repeat([False, True], [2000, 1000]))
    left_out = read(table)
    assert left_out["primary"]["users"] == {"sql": 1000, "graph": 1000}
    assert "Users seen in two arms: 1,000" in left_out["warnings"][0]
    by_first_arm = read(table, moved_users="first_arm")
    assert by_first_arm["primary"]["users"] == {"sql": 1500, "graph": 1500}
    assert by_first_arm["primary"]["control"] == pytest.approx(0.4)


def test_the_arms_are_checked_before_moved_users_are_left_out() -> None:
    # A share that grows moves users one way: after leaving them out the arms are uneven, and nobody was lost.
    clicks, graph = shares((4000, 400, False), (4000, 400, True))
    found = read(outcome_table(graph, clicks=clicks, moved=np.arange(8000) < 2000))
    assert not found["mismatch"]["mismatch"]
    assert found["primary"]["users"] == {"sql": 2000, "graph": 4000}


def test_corrected_outcomes_give_the_corrected_figure_and_the_same_outcomes_the_same() -> None:
    before = rates(0.1, 0.13)
    again = read(before.take(pa.array(np.random.default_rng(0).permutation(8000))))
    for name in ("effect", "standard_error", "interval", "relative_interval"):
        assert again["primary"]["estimate"][name] == pytest.approx(read(before)["primary"]["estimate"][name])
    assert read(rates(0.1, 0.12))["primary"]["treatment"] == pytest.approx(0.12)


def test_the_gate_of_the_documents() -> None:
    gate = read(rates(0.2, 0.22, users=8000))["gate"]
    assert gate["threshold"] == 0.1 and gate["relative"] == pytest.approx(0.1) and gate["passes"]
    assert not gate["surely"]
    assert not read(rates(0.2, 0.2199, users=8000))["gate"]["passes"]
    assert read(rates(0.2, 0.24, users=8000))["gate"]["surely"]
    # Also where something else decides.
    other = read(
        rates(0.2, 0.24, order_value=np.arange(16_000) % 7, users=8000), primary_metric="revenue_per_user"
    )
    assert other["gate"]["surely"]


def test_what_an_exposure_is_and_what_was_declared_stand_in_the_readout() -> None:
    declaration = declare(looks=2)
    found = read_experiment(declaration, rates(0.1, 0.1), as_of=START, exposure_source="sent")
    assert found["exposure_source"] == "sent" and found["as_of"] == "2026-03-01"
    assert found["experiment"]["fingerprint"] == declaration.fingerprint()
    assert found["experiment"]["look_dates"] == ["2026-03-29", "2026-04-26"]
    # Whoever knows the salt can tell everybody's arm.
    assert "salt" not in found["experiment"] and found["experiment"]["primary_metric"] == "click_rate"
    assert read(rates(0.1, 0.1))["exposure_source"] == "published"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda table: table.drop_columns(["clicks", "person"]), "no column clicks, person"),
        (lambda table: pa.concat_tables([table, table.slice(0, 1)]), "8001 rows for 8000 users"),
        (
            lambda table: table.set_column(1, "assigned_arm", [["SQL"] * 8000]),
            r"assigned_arm holds \['SQL'\]",
        ),
        (lambda table: table.set_column(5, "share", [[1.5] * 8000]), "share goes from 1.5 to 1.5"),
        (lambda table: table.set_column(5, "share", [[-0.5] * 8000]), "share goes from -0.5 to -0.5"),
        (
            lambda table: table.set_column(5, "share", [[0.5] * 7999 + [0.6]]),
            "a period has users of two shares",
        ),
        (lambda table: table.set_column(4, "period", [[-1] * 8000]), "period must be 0 or more"),
        (lambda table: table.set_column(11, "clicks", [[None] + [1] * 7999]), "rows without clicks"),
        (lambda table: table.set_column(11, "clicks", [["many"] * 8000]), "does not fit its schema"),
    ],
)
def test_a_table_that_is_none_is_refused(change: Callable[[pa.Table], pa.Table], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        read(change(rates(0.1, 0.1)))


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
