"""Experiments on a sample whose true chances are known, from the mails to the decision by the queries of production.

``tests/benchmarks/experiment.py --truths 200`` reads 200 of each and counts the wrong decisions.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from experiment_truth import USERS_WITH_A_CAR, WORLDS, Round, Sample
from experiment_world import END

from holley_assets.sample_data.reactions import Habits

USERS = 3_000


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Sample:
    return Sample(tmp_path_factory.mktemp("truth"), math.ceil(USERS * len(WORLDS) / USERS_WITH_A_CAR))


@pytest.fixture(scope="module")
def experiment(sample: Sample) -> Round:
    return sample.experiment(WORLDS, USERS, seed=0)


def click_rate(sample: Sample, choice: str) -> float:
    """The true share of users who click a mail with the parts of this choice."""
    wanted, habits = float(sample.chance[choice].sum(axis=1).mean()), Habits()
    return habits.opening * (wanted + (1.0 - wanted) * habits.other_links)


def found(readout: dict[str, Any]) -> tuple[float, float]:
    """The difference of the click rates and its standard error."""
    estimate = readout["primary"]["estimate"]
    return estimate["effect"], estimate["standard_error"]


@pytest.mark.parametrize("world", WORLDS)
def test_each_truth_gets_its_decision(experiment: Round, sample: Sample, world: str) -> None:
    readout = experiment.decide(world)
    assert readout["decision"]["outcome"] in WORLDS[world].right, readout["decision"]["reason"]
    if world == "broken":
        assert readout["primary"] is None
    elif world != "fading":
        effect, error = found(readout)
        truth = click_rate(sample, WORLDS[world].graph) - click_rate(sample, WORLDS[world].sql)
        assert abs(effect - truth) < 3.0 * error
    if world == "fading":
        assert readout["novelty"]["fades"]


def test_the_log_and_the_mails_come_back_as_they_were_sent(experiment: Round) -> None:
    outcomes = experiment.outcomes("equal", END)
    assert outcomes.num_rows == USERS
    graph = pc.equal(outcomes["assigned_arm"], "graph")
    # While the share grows, users of the SQL arm move to the graph and nobody back.
    moved = outcomes["moved"].to_numpy()
    assert moved.any() and not moved[graph.to_numpy()].any()
    received = outcomes.filter(graph)["received_as_assigned"].to_numpy()
    assert 0.97 < received.mean() < 1.0
    assert pc.all(outcomes.filter(pc.invert(graph))["received_as_assigned"]).as_py()
    # A provider follows four links of one mail, or of none.
    assert set(np.unique(outcomes["machine_clicks"].to_numpy())) == {0, 4}
    assert outcomes.group_by(["period", "share"]).aggregate([]).sort_by("period").to_pylist() == [
        {"period": 0, "share": 0.25},
        {"period": 1, "share": 0.5},
    ]


def test_no_user_is_in_two_experiments_and_there_must_be_enough(sample: Sample, experiment: Round) -> None:
    log = pq.read_table(experiment.folder / "shown_exposures.parquet")
    by_user = log.group_by("email_lower").aggregate([("experiment", "count_distinct")])
    assert pc.max(by_user["experiment_count_distinct"]).as_py() == 1
    with pytest.raises(ValueError, match="users have a car"):
        sample.experiment(["equal"], len(sample.users) + 1, seed=0)
