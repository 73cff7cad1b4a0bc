"""When a run counts as worse than the one before it."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest

from holley_assets.evaluation.drift import VectorDrift
from holley_assets.evaluation.run_comparison import (
    Measure,
    RunSummary,
    Thresholds,
    compare_runs,
    distribution,
    measures_table,
    objections,
)

SCORES = np.linspace(0.1, 0.9, 500)


def summary(rate: float = 0.30, users: int = 4000, **changes: Any) -> RunSummary:
    scopes = ("overall", "cold", "warm")
    return dataclasses.replace(
        RunSummary(
            hit_rates={**dict.fromkeys(scopes, rate), "hot": None},
            test_users={**dict.fromkeys(scopes, users), "hot": 0},
            graph={"nodes.user": 1000.0, "edges.interacts": 200.0},
            part_types={"Intake": 600, "Brake": 400},
            distributions={"scores": distribution(SCORES)},
        ),
        **changes,
    )


def compare(now: RunSummary, *, changed: float | None = 0.4) -> list[Measure]:
    return compare_runs(
        summary(),
        now,
        {"scores": SCORES},
        users_changed=changed,
        vectors={"parts": VectorDrift(50, 0.02, 0.99, 0.01, 0.1)},
        thresholds=Thresholds(),
    )


def test_the_same_again_is_neither_worse_nor_drifted() -> None:
    measures = compare(summary())
    assert objections(measures, "worse") == objections(measures, "drift") == []
    by_name = {measure.name: measure for measure in measures}
    assert by_name["hot_hit_rate_at_4_drop"].kept is None, "an empty tier is nothing to compare"
    assert by_name["scores_psi"].value == 0


@pytest.mark.parametrize(
    ("rate", "users", "worse"),
    [(0.29, 4000, False), (0.27, 4000, True), (0.27, 300, False), (0.20, 300, True), (0.40, 4000, False)],
)
def test_a_drop_counts_beyond_the_threshold_and_beyond_chance(rate: float, users: int, worse: bool) -> None:
    """At 30 % the difference of 4,000 and 300 users has a standard error of 2.7 points, of twice 4,000 one."""
    found = objections(compare(summary(rate, users)), "worse")
    assert bool(found) == worse
    if worse:
        assert found[0].startswith("overall_hit_rate_at_4_drop is 0.") and "from 0.3 to" in found[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"graph": {"nodes.user": 1000.0, "edges.interacts": 20.0}}, "edges.interacts_change is 0.9"),
        ({"graph": {"nodes.user": 1300.0, "edges.interacts": 200.0}}, "nodes.user_change is 0.3"),
        ({"part_types": {"Brake": 1000}}, "part_type_change is 0.6"),
    ],
)
def test_what_changed_too_much_is_named(changes: dict[str, Any], words: str) -> None:
    (found,) = objections(compare(summary(**changes)), "worse")
    assert found.startswith(words)


def test_nearly_everybody_being_shown_other_parts_is_too_much() -> None:
    assert objections(compare(summary(), changed=0.99), "worse") == [
        "users_changed_share is 0.99, at most 0.95"
    ]
    assert objections(compare(summary(), changed=None), "worse") == []


@pytest.mark.parametrize(
    ("name", "kind"), [("scores", "shown"), ("score_leads", "worse"), ("prices", "drift")]
)
def test_what_it_means_that_a_distribution_moved(name: str, kind: str) -> None:
    """Cosines have the scale of their training; leads say how users are ranked; features are the data."""
    before = summary(distributions={name: distribution(SCORES)})
    (found,) = [
        measure
        for measure in compare_runs(
            before, before, {name: SCORES * 2}, users_changed=None, vectors={}, thresholds=Thresholds()
        )
        if measure.name == f"{name}_psi"
    ]
    assert (found.kind, found.kept) == (kind, None if kind == "shown" else False)


def test_a_value_that_is_no_number_is_an_objection() -> None:
    assert Measure("x", "worse", None, None, math.nan, 1.0).kept is False


def test_a_summary_survives_json() -> None:
    known = summary(shown={"gini": 0.5})
    assert RunSummary.from_json(json.loads(json.dumps(dataclasses.asdict(known)))) == known


def test_lengths_of_vectors_are_compared_and_keep_nobody_from_anything() -> None:
    before, now = (summary(norms={"user": {"mean": mean}}) for mean in (2.0, 5.0))
    measures = compare_runs(before, now, {}, users_changed=None, vectors={}, thresholds=Thresholds())
    (found,) = [measure for measure in measures if measure.name == "user_norm_mean_change"]
    assert (found.before, found.now, found.value, found.kept) == (2.0, 5.0, 1.5, False)
    assert objections(measures, "worse") == []
    assert now.numbers["user_norm_mean"] == 5.0
    assert "user_norm_mean_change" not in {measure.name for measure in compare(now)}, "nothing kept before"


def test_the_table_has_a_row_a_measure() -> None:
    table = measures_table(compare(summary()), "a-run")
    assert table.num_rows == len(compare(summary()))
    assert set(table["previous_run"].to_pylist()) == {"a-run"}
    assert measures_table([], None).num_rows == 0


def test_the_limit_of_a_drop_is_two_standard_errors_of_the_difference() -> None:
    """√(0.3 · 0.7 / 300 + 0.25 · 0.75 / 400) is 0.0341870; where chance says less, the threshold holds."""
    now = summary(0.25, 400)
    measures = compare_runs(
        summary(0.30, 300), now, {"scores": SCORES}, users_changed=None, vectors={}, thresholds=Thresholds()
    )
    limits = {measure.name: measure.limit for measure in measures}
    assert limits["overall_hit_rate_at_4_drop"] == pytest.approx(2 * 0.0341870, rel=1e-5)
    many = compare_runs(
        summary(0.30, 10**9),
        summary(0.25, 10**9),
        {"scores": SCORES},
        users_changed=None,
        vectors={},
        thresholds=Thresholds(),
    )
    assert {measure.name: measure.limit for measure in many}[
        "overall_hit_rate_at_4_drop"
    ] == Thresholds().hit_rate_drop
