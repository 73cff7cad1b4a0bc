"""The one decision of an experiment and the sentence that says why."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import Any

from holley_assets.evaluation.formatting import probability
from holley_assets.experiment.declaration import Declaration
from holley_assets.experiment.metrics import TESTED, Metric

DECISIONS = ("ship", "keep running", "stop for no effect", "harm", "invalid")
# What a guardrail can be.
HELD, OPEN, BROKEN, MISSING = "held", "open", "broken", "no source"
_STOP = "Give everybody the SQL pipeline's parts."
Rows = Sequence[Mapping[str, Any]]


def decide(
    declaration: Declaration,
    as_of: datetime.date,
    mismatch: Mapping[str, Any],
    looks: Rows,
    guardrails: Rows,
    novelty: Mapping[str, Any] | None,
    lasting: Mapping[str, Any] | None,
) -> tuple[str, str]:
    """Outcome and reason.

    In this order: arms that do not have their users are ``invalid``. A look whose statistic is at or beyond the lower
    bound, or a guardrail that is broken, is ``harm``, and later looks do not take the first back. A statistic at or
    beyond the upper bound at the newest look is ``ship`` if every guardrail with a source is held and the gain does not
    fade; before the planned end, only if it is surely there in the last week too, and among the users who came once the
    days of novelty were over. An interval that lies below the
    minimal effect is ``stop for no effect``, and so is every look on the planned end that shows nothing. Otherwise
    ``keep running``.

    Args:
        declaration: the experiment.
        as_of: the day of the readout.
        mismatch: from :func:`.traffic.sample_ratio`.
        looks: from :func:`.readout.read_looks`, in order.
        guardrails: from :func:`.segments.read_guardrails`, at the newest look.
        novelty: from :func:`.segments.read_novelty`.
        lasting: from :func:`.segments.read_lasting`.
    """
    if mismatch["mismatch"]:
        return "invalid", _mismatch_reason(mismatch)
    if as_of < declaration.start:
        return "keep running", f"The experiment starts on {declaration.start}."
    coming = next((look["date"] for look in looks if look["date"] > as_of.isoformat()), None)
    read = [look for look in looks if look["statistic"] is not None]
    if not read:
        return _nothing_read(declaration, looks, coming)
    metric = TESTED[declaration.primary_metric]
    harm = _harm(metric, read, len(looks), guardrails)
    if harm is not None:
        return "harm", f"{harm} {_STOP}"
    newest = read[-1]
    if newest["statistic"] >= newest["bound"]:
        return _gain(metric, newest, guardrails, novelty, lasting, coming)
    return _no_gain(declaration, metric, newest, coming)


def _mismatch_reason(mismatch: Mapping[str, Any]) -> str:
    worst = min(mismatch["periods"], key=lambda period: period["p_value"])
    return (
        f"The arms do not have the users that they should have (p {_probability(mismatch['p_value'])}): in period "
        f"{worst['period']}, with a share of {_percent(worst['share'])}, the graph has {worst['graph']:,} users "
        f"instead of {worst['expected_graph']:,.0f}. No figure of this experiment can be trusted; find where users "
        "were lost or added."
    )


def _nothing_read(declaration: Declaration, looks: Rows, coming: str | None) -> tuple[str, str]:
    if coming is None:
        return "invalid", (
            "The planned end is over and no look had outcomes of users of both arms whose window was over: there is "
            "nothing to decide from. Find why exposures or outcomes are missing."
        )
    if coming == looks[0]["date"]:
        return "keep running", f"The first look is on {coming}; until then nothing is compared."
    return "keep running", (
        f"At the looks so far no users of both arms had a window of {declaration.window_days} days behind them, or "
        f"none of them had an outcome; the next look is on {coming}."
    )


def _harm(metric: Metric, read: Rows, looks: int, guardrails: Rows) -> str | None:
    for look in read:
        if look["statistic"] <= -look["bound"]:
            return (
                f"{metric.label} of the graph's arm is lower at look {look['number']} of {looks} ({look['date']}): "
                f"{_change(look)}."
            )
    for guardrail in guardrails:
        if guardrail["state"] == BROKEN:
            return (
                f"{guardrail['label']} is worse by more than the {_percent(guardrail['margin'])} that the declaration "
                f"accepts: {_change(guardrail['estimate'])}."
            )
    return None


def _gain(
    metric: Metric,
    newest: Mapping[str, Any],
    guardrails: Rows,
    novelty: Mapping[str, Any] | None,
    lasting: Mapping[str, Any] | None,
    coming: str | None,
) -> tuple[str, str]:
    gain = f"{metric.label} of the graph's arm is higher: {_change(newest)}."
    if novelty is not None and novelty["fades"]:
        fading = (
            f"{gain} But the gain fades, from {_amount(novelty['first'], metric)} for those who came in week "
            f"{novelty['first_week']} to {_amount(novelty['last'], metric)} for those of week {novelty['last_week']}, "
            "which is not surely a gain"
        )
        if coming is None:
            return "stop for no effect", f"{fading}: what was new wore off."
        return "keep running", f"{fading}. The next look is on {coming}."
    if coming is not None and novelty is not None and novelty["last_interval"][0] <= 0.0:
        low, high = (_amount(end, metric) for end in novelty["last_interval"])
        return "keep running", (
            f"{gain} But it is not yet sure that it lasts: for those who came in week {novelty['last_week']} the trend "
            f"says {_amount(novelty['last'], metric)}, between {low} and {high}. The next look is on {coming}."
        )
    if coming is not None and lasting is not None and not lasting["lasts"]:
        estimate = lasting["estimate"]
        shown = "nobody of them can be compared yet" if estimate is None else f"they show {_change(estimate)}"
        return "keep running", (
            f"{gain} But it may come from what is merely new: it must be there among users who came from "
            f"{lasting['since']} on too, and {shown}. The next look is on {coming}."
        )
    unsure = [guardrail["label"].lower() for guardrail in guardrails if guardrail["state"] == OPEN]
    if unsure:
        after = f"the next look is on {coming}" if coming else "the plan has ended, so declare a longer one"
        return "keep running", (
            f"{gain} But {' and '.join(unsure)} may be worse by more than the declaration accepts; {after}."
        )
    return "ship", gain


def _no_gain(
    declaration: Declaration, metric: Metric, newest: Mapping[str, Any], coming: str | None
) -> tuple[str, str]:
    found = f"No gain in {metric.label.lower()} is shown: {_change(newest)}."
    interval = newest["relative_interval"]
    minimal = _percent(declaration.minimal_effect)
    if interval is not None and interval[1] < declaration.minimal_effect:
        return "stop for no effect", f"{found} A gain of {minimal}, the smallest that matters, is ruled out."
    if coming is None:
        return "stop for no effect", (
            f"{found} A gain of {minimal} is not ruled out: the experiment had too few users to see it."
        )
    return "keep running", f"{found} The next look is on {coming}."


def _change(row: Mapping[str, Any]) -> str:
    if row["relative"] is not None and row["relative_interval"] is not None:
        low, high = row["relative_interval"]
        return f"{_signed(row['relative'])}, between {_signed(low)} and {_signed(high)}"
    if row["interval"] is not None:
        low, high = row["interval"]
        return f"a difference of {row['effect']:+.4g}, between {low:+.4g} and {high:+.4g}".replace("-", "−")
    return f"a difference of {row['effect']:+.4g}".replace("-", "−")


def _signed(value: float) -> str:
    return f"{100.0 * value:+z.1f} %".replace("-", "−")


def _amount(value: float, metric: Metric) -> str:
    if metric.kind == "share":
        return f"{100.0 * value:+z.2f} points".replace("-", "−")
    return f"{value:+z.3f}{' dollars' if metric.kind == 'dollars' else ''}".replace("-", "−")


def _probability(value: float) -> str:
    written = probability(value)
    return written if written.startswith("<") else f"= {written}"


def _percent(value: float) -> str:
    return f"{100.0 * value:.4g} %"
