"""A real experiment, where it is at hand: its published rates, intervals by an independent road, and what loss does."""

from __future__ import annotations

import datetime
import math
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from experiment_world import declare, outcome_table
from scipy.stats import chisquare

from holley_assets.experiment.outcomes import read_outcomes
from holley_assets.experiment.readout import read_experiment, read_looks
from holley_assets.experiment.traffic import sample_ratio

FILE = Path(__file__).parents[3] / "shared" / "data" / "hillstrom" / "hillstrom.parquet"
pytestmark = pytest.mark.skipif(not FILE.is_file(), reason=f"{FILE} is not here")
MEN, NOBODY = "Mens E-Mail", "No E-Mail"
# Outcomes were counted for two weeks.
END = datetime.date(2026, 3, 15)


def customers(segments: tuple[str, ...] = (MEN, NOBODY)) -> pa.Table:
    rows = pq.read_table(FILE)
    return rows.filter(pc.is_in(rows["segment"], pa.array(segments)))


def outcomes(rows: pa.Table, graph: np.ndarray) -> pa.Table:
    """A visit is a click, a conversion an order; dollars of the year before are the covariate."""
    numbers = {name: rows[name].to_numpy() for name in ("visit", "conversion", "spend", "history")}
    return outcome_table(
        graph,
        clicks=numbers["visit"],
        orders=numbers["conversion"],
        order_value=numbers["spend"],
        order_value_before=numbers["history"],
    )


@pytest.fixture(scope="module")
def mail() -> pa.Table:
    rows = customers()
    return outcomes(rows, pc.equal(rows["segment"], MEN).to_numpy())


def read(table: pa.Table, **fields: Any) -> dict[str, Any]:
    return read_experiment(declare(planned_end=END, **fields), table, as_of=END)


def test_the_readout_of_the_mens_mail(mail: pa.Table) -> None:
    found = read(mail)
    assert found["primary"]["users"] == {"sql": 21_306, "graph": 21_307}
    assert round(100 * found["primary"]["treatment"], 2) == 18.28
    assert round(100 * found["primary"]["control"], 2) == 10.62
    assert found["decision"]["outcome"] == "ship"
    assert found["gate"]["surely"]
    # By the textbook: two shares, the normal distribution, the delta method on their ratio.
    users, visits = np.array([21_306, 21_307]), np.array([2262, 3894])
    rate = visits / users
    z = statistics.NormalDist().inv_cdf(0.975)
    half = z * math.sqrt((rate * (1 - rate) / users).sum())
    assert found["primary"]["estimate"]["interval"] == pytest.approx(
        [rate[1] - rate[0] - half, rate[1] - rate[0] + half], abs=1e-6
    )
    of_ratio = z * math.sqrt(((1 - rate) / (rate * users)).sum())
    assert found["primary"]["estimate"]["relative_interval"] == pytest.approx(
        [rate[1] / rate[0] * math.exp(sign * of_ratio) - 1 for sign in (-1, 1)], abs=1e-4
    )


def test_its_arms_have_their_users(mail: pa.Table) -> None:
    mismatch = read(mail)["mismatch"]
    assert not mismatch["mismatch"]
    assert mismatch["p_value"] == pytest.approx(chisquare([21_306, 21_307]).pvalue)


def test_its_conversion_and_revenue(mail: pa.Table) -> None:
    conversion, revenue = read(mail)["secondary"][:2]
    assert round(100 * conversion["treatment"], 2) == 1.25 and round(100 * conversion["control"], 2) == 0.57
    rows = customers()
    spend, graph = rows["spend"].to_numpy(), pc.equal(rows["segment"], MEN).to_numpy()
    difference = spend[graph].mean() - spend[~graph].mean()
    half = statistics.NormalDist().inv_cdf(0.975) * math.sqrt(
        spend[graph].var(ddof=1) / graph.sum() + spend[~graph].var(ddof=1) / (~graph).sum()
    )
    assert revenue["unadjusted"]["interval"] == pytest.approx(
        [difference - half, difference + half], abs=1e-4
    )
    assert conversion["differs"] and revenue["differs"]


def test_a_twentieth_of_one_arms_buyers_lost_is_seen_and_nothing_else_shown(mail: pa.Table) -> None:
    # Every one of these customers bought in the year before. Of the men's mail, each twentieth is lost.
    lost = (np.cumsum(pc.equal(mail["assigned_arm"], "graph").to_numpy()) % 20 == 0) & pc.equal(
        mail["assigned_arm"], "graph"
    ).to_numpy()
    assert lost.sum() == 1065
    found = read(mail.filter(pa.array(~lost)))
    assert found["decision"]["outcome"] == "invalid" and found["primary"] is None
    assert found["mismatch"]["p_value"] == pytest.approx(chisquare([21_306, 20_242]).pvalue)


def test_what_a_ratio_of_users_cannot_see(mail: pa.Table) -> None:
    # A twentieth of those who bought after the mail are 13 of 42,613: no count of users shows that they are missing.
    bought = pc.and_(pc.equal(mail["assigned_arm"], "graph"), pc.greater(mail["orders"], 0)).to_numpy()
    lost = bought & (np.cumsum(bought) % 20 == 0)
    assert lost.sum() == 13
    assert read(mail.filter(pa.array(~lost)))["decision"]["outcome"] == "ship"


def test_the_mens_mail_by_its_dollars(mail: pa.Table) -> None:
    found = read(mail, primary_metric="revenue_per_user")
    assert found["decision"]["outcome"] == "ship"
    assert "Revenue a user of the graph's arm is higher: +117.3 %" in found["decision"]["reason"]


def test_reshuffled_customers_without_mail_show_no_difference() -> None:
    rows = customers((NOBODY,))
    rng = np.random.default_rng(0)
    declared = declare(planned_end=END)
    statistic = []
    for _ in range(20):
        users = read_outcomes(outcomes(rows, rng.random(len(rows)) < 0.5), declared).exposed
        assert not sample_ratio(users)["mismatch"]
        statistic.append(read_looks(users, declared, END)[0]["statistic"])
    # Standard normal: a mean within four of its errors, and hardly a spread beyond these.
    assert abs(np.mean(statistic)) < 4 / math.sqrt(20)
    assert 0.5 < np.std(statistic, ddof=1) < 1.6
