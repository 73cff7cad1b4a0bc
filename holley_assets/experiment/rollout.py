"""How far a staged rollout may go by what the readout says."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

STEPS = (0.10, 0.25, 0.50, 1.0)
# The other arm has to stay as large until the graph is shipped: beyond it there is ever less to compare with.
LARGEST_UNDECIDED = 0.50


def next_share(readout: Mapping[str, Any]) -> tuple[float, str]:
    """The share of the graph that the readout allows from now on, and why.

    Harm, or no effect, takes the graph's parts from everybody. Arms without their users keep the share as it is until
    it is known why. Each step up needs a look without harm that has users of the step before: one whose day is at least
    a window after the first day of the share that is served. Undecided, the share ends at one half; the last step is
    for what is to be shipped.

    Args:
        readout: from :func:`.readout.read_experiment`. The share that is served is that of its newest period, and none
            where nobody was exposed yet.
    """
    outcome = readout["decision"]["outcome"]
    periods = readout["mismatch"]["periods"]
    served = periods[-1]["share"] if periods else 0.0
    if outcome in ("harm", "stop for no effect"):
        return 0.0, readout["decision"]["reason"]
    if outcome == "invalid":
        return served, "The arms do not have their users: the share stays until it is known why."
    if not periods:
        return STEPS[0], "Nobody was exposed yet: the rollout starts with its first step."
    since, look = _look_of_the_step(readout, periods[-1]["first_day"])
    if look is None:
        return served, (
            f"No look since {since} has been read: that is the first day on which users of the present share have "
            "their window behind them."
        )
    coming = next((step for step in STEPS if step > served), served)
    if coming > LARGEST_UNDECIDED and outcome != "ship":
        return served, "The last step waits for the decision to ship."
    return coming, f"The look of {look} {'says to ship' if outcome == 'ship' else 'shows no harm'}."


def _look_of_the_step(readout: Mapping[str, Any], first_day: str) -> tuple[datetime.date, str | None]:
    """The first day of a look that has users of the present share, and the newest such look that was read."""
    window = readout["experiment"]["windows"]
    days = window["click_days" if readout["experiment"]["primary_metric"] == "click_rate" else "order_days"]
    since = datetime.date.fromisoformat(first_day) + datetime.timedelta(days=days)
    read = [look["date"] for look in readout["looks"] if look["statistic"] is not None]
    return since, next((date for date in reversed(read) if date >= since.isoformat()), None)
