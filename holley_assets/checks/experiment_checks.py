"""What the readout of an experiment promises. No check stops anything: each tells a person to decide."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import dagster as dg

from holley_assets.core.asset_keys import EXPERIMENT_READOUT

ARMS_HAVE_THEIR_USERS = "both_arms_have_their_users"
DOES_NO_HARM = "graph_does_no_harm"
IS_NOT_OVER = "experiment_is_not_over"
EXPERIMENT_CHECKS = [
    dg.AssetCheckSpec(
        ARMS_HAVE_THEIR_USERS,
        asset=EXPERIMENT_READOUT,
        description="The users of each arm are as many as the shares say, and there are outcomes to decide from: the "
        "decision is not invalid. Otherwise nothing of the readout is a result.",
    ),
    dg.AssetCheckSpec(
        DOES_NO_HARM,
        asset=EXPERIMENT_READOUT,
        description="No declared look was at or below its lower bound and no guardrail is broken. Otherwise give "
        "everybody the SQL pipeline's parts: job serve_sql_only.",
    ),
    dg.AssetCheckSpec(
        IS_NOT_OVER,
        asset=EXPERIMENT_READOUT,
        description="The planned end is to come and no look has decided. Otherwise somebody acts on the decision.",
    ),
]


def experiment_verdicts(readout: Mapping[str, Any], as_of: datetime.date) -> list[dg.AssetCheckResult]:
    """The verdicts on a readout, in its own words."""
    outcome, reason = readout["decision"]["outcome"], readout["decision"]["reason"]
    experiment = readout["experiment"]
    end = datetime.date.fromisoformat(experiment["planned_end"])
    over = as_of >= end or outcome in ("ship", "stop for no effect")
    found = {
        ARMS_HAVE_THEIR_USERS: (outcome != "invalid", dg.AssetCheckSeverity.ERROR),
        DOES_NO_HARM: (outcome != "harm", dg.AssetCheckSeverity.ERROR),
        IS_NOT_OVER: (not over, dg.AssetCheckSeverity.WARN),
    }
    return [
        dg.AssetCheckResult(
            asset_key=EXPERIMENT_READOUT,
            check_name=name,
            passed=passed,
            severity=severity,
            description=f"{experiment['name']}, planned to end on {end}: {outcome}. {reason}",
        )
        for name, (passed, severity) in found.items()
    ]
