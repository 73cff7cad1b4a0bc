"""Who was exposed, and when the arms do not have their users."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from experiment_world import declare, outcome_table
from scipy.stats import binom, chi2

from holley_assets.experiment import traffic
from holley_assets.experiment.outcomes import read_outcomes
from holley_assets.experiment.traffic import sample_ratio, summarise_traffic, warnings_about


def arms(sql: int, graph: int) -> np.ndarray:
    return np.arange(sql + graph) < graph


def ratio_of(graph: np.ndarray, **columns: Any) -> dict[str, Any]:
    return sample_ratio(read_outcomes(outcome_table(graph, **columns), declare()).exposed)


def test_one_period_is_a_chi_square_test() -> None:
    found = ratio_of(arms(5100, 4900))
    assert found["p_value"] == pytest.approx(chi2.sf(100**2 / 5000 * 2, 1))
    assert found["periods"][0]["p_value"] == pytest.approx(found["p_value"])
    assert not found["mismatch"]
    assert found["periods"] == [
        {
            "period": 0,
            "share": 0.5,
            "first_day": "2026-03-01",
            "sql": 5100,
            "graph": 4900,
            "expected_graph": 5000.0,
            "p_value": found["periods"][0]["p_value"],
        }
    ]


def test_few_users_are_tested_exactly() -> None:
    # All of ten in one arm: 2 / 1,024.
    assert ratio_of(arms(0, 10))["p_value"] == pytest.approx(2 * binom.pmf(10, 10, 0.5))
    assert not ratio_of(arms(0, 10))["mismatch"]
    assert ratio_of(arms(0, 11))["mismatch"]


@pytest.mark.parametrize(("graph", "mismatch"), [(4836, False), (4835, True), (5164, False), (5165, True)])
def test_the_limit_is_one_in_a_thousand(graph: int, mismatch: bool) -> None:
    assert ratio_of(arms(10_000 - graph, graph))["mismatch"] is mismatch


def test_periods_are_compared_with_their_own_share() -> None:
    graph = np.concatenate([arms(9000, 1000), arms(1000, 9000)])
    period = np.repeat([0, 1], 10_000)
    right = ratio_of(graph, period=period, share=np.where(period, 0.9, 0.1))
    assert right["p_value"] == pytest.approx(1.0) and not right["mismatch"]
    # Over both periods together the arms are even, and each period is wrong.
    wrong = ratio_of(graph, period=period, share=0.5)
    assert wrong["mismatch"] and wrong["p_value"] == 0.0


def test_a_small_loss_in_every_period_adds_up() -> None:
    graph = np.concatenate([arms(5120, 4880)] * 4)
    period = np.repeat([0, 1, 2, 3], 10_000)
    found = ratio_of(graph, period=period)
    assert all(row["p_value"] > 0.01 for row in found["periods"])
    assert found["mismatch"]
    logs = -2 * sum(np.log(row["p_value"]) for row in found["periods"])
    assert found["p_value"] == pytest.approx(chi2.sf(logs, 8))


def test_a_share_of_all_or_none_is_tested_by_who_is_there() -> None:
    assert ratio_of(arms(0, 50), share=1.0)["p_value"] == 1.0
    assert ratio_of(arms(1, 50), share=1.0)["mismatch"]
    assert ratio_of(arms(50, 0), share=0.0)["p_value"] == 1.0
    assert ratio_of(arms(50, 1), share=0.0)["mismatch"]


def test_nobody_is_no_mismatch() -> None:
    found = ratio_of(arms(0, 0))
    assert found == {"p_value": None, "level": 0.001, "mismatch": False, "periods": []}


def test_a_p_value_at_the_level_is_no_mismatch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "MISMATCH_LEVEL", ratio_of(arms(0, 10))["p_value"])
    assert not ratio_of(arms(0, 10))["mismatch"] and ratio_of(arms(0, 11))["mismatch"]


def test_a_period_begins_with_the_first_user_of_either_arm() -> None:
    (period,) = ratio_of(arms(2, 2), day=[9, 3, 4, 5])["periods"]
    assert period["first_day"] == "2026-03-04"
    (period,) = ratio_of(arms(2, 2), day=[9, 3, 4, 2])["periods"]
    assert period["first_day"] == "2026-03-03"


def test_an_arm_without_users_has_counts_of_nothing_and_no_share() -> None:
    nothing = {
        "users": 0,
        "received_as_assigned": None,
        "exposures": 0,
        "clicks": 0,
        "machine_clicks": 0,
        "moved": 0,
        "click_window_open": 0,
        "order_window_open": 0,
    }
    found = summarise_traffic(read_outcomes(outcome_table(arms(0, 3)), declare()), declare())
    assert found["arms"]["sql"] == nothing and found["arms"]["graph"]["users"] == 3
    nobody = summarise_traffic(read_outcomes(outcome_table([]), declare()), declare())
    assert nobody["arms"] == {"sql": nothing, "graph": nothing} and nobody["persons_in_two_arms"] == 0
    assert nobody["first_exposure"] is None and nobody["last_exposure"] is None
    assert warnings_of(outcome_table(arms(0, 3))) == []


def test_counts_by_hand() -> None:
    table = outcome_table(
        [True, True, True, False, False],
        clicks=[1, 0, 2, 3, 0],
        machine_clicks=[0, 5, 0, 0, 7],
        exposures=[1, 2, 3, 4, 5],
        moved=[True, False, False, True, True],
        click_window_over=[True, True, False, True, True],
        order_window_over=[True, False, False, False, True],
        received_as_assigned=[True, False, True, True, True],
        person=["a", "b", "c", "a", "d"],
        day=np.array([0, 3, 8, 9, -1]),
        model_version=["7", "8", "7", "7", None],
        system=["gnn", "gnn", "gnn", "sql", "sql"],
    )
    found = summarise_traffic(read_outcomes(table, declare()), declare(moved_users="first_arm"))
    assert found == {
        "users": 4,
        "arms": {
            "sql": {
                "users": 1,
                "received_as_assigned": 1.0,
                "exposures": 4,
                "clicks": 3,
                "machine_clicks": 0,
                "moved": 1,
                "click_window_open": 0,
                "order_window_open": 1,
            },
            "graph": {
                "users": 3,
                "received_as_assigned": pytest.approx(2 / 3),
                "exposures": 6,
                "clicks": 3,
                "machine_clicks": 5,
                "moved": 1,
                "click_window_open": 1,
                "order_window_open": 2,
            },
        },
        "moved_users": "first_arm",
        "persons_in_two_arms": 1,
        "outside": 1,
        "first_exposure": "2026-03-01",
        "last_exposure": "2026-03-10",
        "model_versions": ["7", "8"],
        "systems": ["gnn", "sql"],
    }


def warnings_of(table: pa.Table, **fields: Any) -> list[str]:
    declaration = declare(**fields)
    users = read_outcomes(table, declaration)
    return warnings_about(summarise_traffic(users, declaration), sample_ratio(users.exposed))


def test_nothing_odd_gives_no_warning() -> None:
    assert warnings_of(outcome_table(arms(5, 5))) == []


def test_what_is_odd_is_said() -> None:
    table = outcome_table(
        [True, True, False, False],
        received_as_assigned=[True, False, True, True],
        person=["a", "b", "a", "c"],
        day=np.array([0, 0, 0, 100]),
    )
    assert warnings_of(table) == [
        "Persons with addresses in both arms, who saw both: 1. That makes the arms more alike than they are.",
        "1 of 2 users of the graph arm did not receive what they were assigned. Users are compared by assignment, so "
        "these make the arms more alike.",
        "Users who were first exposed on days outside the experiment and count nowhere: 1.",
    ]


@pytest.mark.parametrize("missed", [1, 100, 9_999])
def test_next_to_all_is_not_called_all(missed: int) -> None:
    received = np.arange(10_000) >= missed
    (said,) = warnings_of(outcome_table(arms(0, 10_000), received_as_assigned=received))
    assert said.startswith(
        f"{missed:,} of 10,000 users of the graph arm did not receive what they were assigned."
    )


def test_moved_users_are_counted_and_what_leaving_them_out_does_is_said() -> None:
    moved = outcome_table(arms(4, 4), moved=[True, False, False, False] * 2)
    (even,) = warnings_of(moved)
    assert even == "Users seen in two arms: 2 (first in sql: 1, first in graph: 1). They are left out."
    (first_arm,) = warnings_of(moved, moved_users="first_arm")
    assert "They count in their first arm" in first_arm
    (uneven_share,) = warnings_of(moved.set_column(5, "share", [[0.1] * 8]))
    assert "the result is biased" in uneven_share
    two_periods = moved.set_column(5, "share", [[0.5] * 4 + [0.1] * 4]).set_column(
        4, "period", [[0] * 4 + [1] * 4]
    )
    (partly_uneven,) = warnings_of(two_periods)
    assert "first in sql: 1, first in graph: 1" in partly_uneven and "the result is biased" in partly_uneven
    (one_way,) = warnings_of(outcome_table(arms(4, 4), moved=[False] * 4 + [True] + [False] * 3))
    assert "first in sql: 1, first in graph: 0" in one_way and "the result is biased" in one_way


def test_the_start_and_the_planned_end_belong_to_the_experiment() -> None:
    """The planned end is 56 days after the start."""
    table = outcome_table([True] * 4, day=[-1, 0, 56, 57])
    users = read_outcomes(table, declare())
    assert users.exposed["email_lower"].to_pylist() == ["user1@example.com", "user2@example.com"]
    assert users.outside == 2
