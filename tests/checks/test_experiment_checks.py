"""A readout's decision as the promises that people are told of when they are broken."""

from __future__ import annotations

import datetime

import dagster as dg
import pytest

from holley_assets.checks.experiment_checks import EXPERIMENT_CHECKS, experiment_verdicts

END = datetime.date(2026, 3, 1)
ARMS, HARM, OVER = "both_arms_have_their_users", "graph_does_no_harm", "experiment_is_not_over"


@pytest.mark.parametrize(
    ("outcome", "days_left", "broken"),
    [
        ("keep running", 1, set()),
        ("keep running", 0, {OVER}),
        ("ship", 9, {OVER}),
        ("stop for no effect", 9, {OVER}),
        ("harm", 9, {HARM}),
        ("harm", 0, {HARM, OVER}),
        ("invalid", 9, {ARMS}),
        ("invalid", -1, {ARMS, OVER}),
    ],
)
def test_each_decision_breaks_its_promise(outcome: str, days_left: int, broken: set[str]) -> None:
    readout = {
        "experiment": {"name": "spring", "planned_end": END.isoformat()},
        "decision": {"outcome": outcome, "reason": "So it is."},
    }
    verdicts = experiment_verdicts(readout, END - datetime.timedelta(days=days_left))
    assert {verdict.check_name for verdict in verdicts} == {spec.name for spec in EXPERIMENT_CHECKS}
    assert {verdict.check_name for verdict in verdicts if not verdict.passed} == broken
    for verdict in verdicts:
        assert verdict.description == f"spring, planned to end on 2026-03-01: {outcome}. So it is."
        warns = verdict.check_name == OVER
        assert verdict.severity == (dg.AssetCheckSeverity.WARN if warns else dg.AssetCheckSeverity.ERROR)
