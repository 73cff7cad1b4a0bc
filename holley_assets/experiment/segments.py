"""What is read beside the primary metric: guardrails, secondary metrics, tiers, weeks, models."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.experiment.declaration import Declaration
from holley_assets.experiment.estimates import measure
from holley_assets.experiment.metrics import GUARDRAILS, TESTED, Metric
from holley_assets.experiment.outcomes import CONTROL, TREATMENT
from holley_assets.experiment.verdict import BROKEN, HELD, MISSING, OPEN
from holley_assets.terms import TIERS

# The trend over weeks, what it leaves in the last week and the gain of who came later: each at this two-sided level.
NOVELTY_LEVEL = 0.95
# The rows that a metric may read: those whose window is over.
Rows = Callable[[Metric], pa.Table]


def read_guardrails(rows: Rows, declaration: Declaration, level: float) -> list[dict[str, Any]]:
    """Each declared guardrail as non-inferiority: its interval against the relative loss that is accepted.

    Returns:
        for each what :func:`.estimates.measure_cells` returns, with ``margin`` and ``state``: ``held`` where the whole
        interval lies within the margin, ``broken`` where it lies beyond, ``open`` where it covers the margin,
        ``no source`` where nothing was measured.
    """
    found = []
    for name, margin in sorted(declaration.guardrails.items()):
        metric = GUARDRAILS[name]
        row = measure(rows(metric), metric, level)
        found.append({**row, "margin": margin, "state": _state(row, metric, margin)})
    return found


def _state(row: dict[str, Any], metric: Metric, margin: float) -> str:
    estimate = row["estimate"]
    if estimate is None:
        return MISSING
    if estimate["relative_interval"] is not None:
        low, high = estimate["relative_interval"]
    elif row["control"] > 0:
        # One arm has none at all, or nobody differs from anybody: there is no logarithm.
        low, high = (
            end / row["control"] for end in estimate["interval"] or [estimate["effect"], estimate["effect"]]
        )
    else:
        # A relative margin of nothing is nothing: whether a rise from zero is too much cannot be said.
        return HELD if estimate["effect"] == 0 else OPEN
    least, most = (-high, -low) if metric.more_is_better else (low, high)
    if most < margin:
        return HELD
    return BROKEN if least > margin else OPEN


def read_secondary(rows: Rows, declaration: Declaration, level: float) -> list[dict[str, Any]]:
    """Every other metric, with p-values for many tests (Benjamini and Hochberg, *JRSS B* 57, 1995).

    Returns:
        what :func:`.estimates.measure_cells` returns, with ``adjusted_p`` and ``differs``: whether it is below that of
        the look. Both are None without a p-value.
    """
    from tea_tasting.experiment import ExperimentResult
    from tea_tasting.multiplicity import adjust_fdr

    found = [
        measure(rows(metric), metric, level)
        for name, metric in TESTED.items()
        if name != declaration.primary_metric
    ]
    tested: dict[str, Any] = {
        row["name"]: {"pvalue": row["estimate"]["p_value"]}
        for row in found
        if row["estimate"] is not None and row["estimate"]["p_value"] is not None
    }
    adjusted: dict[str, dict[str, Any]] = {}
    if tested:
        results: Any = adjust_fdr(ExperimentResult(tested), alpha=1.0 - level)
        adjusted = next(iter(results.values()))
    for row in found:
        of_metric = adjusted.get(row["name"])
        row["adjusted_p"] = of_metric["pvalue_adj"] if of_metric else None
        row["differs"] = bool(of_metric["null_rejected"]) if of_metric else None
    return found


def read_tiers(table: pa.Table, metric: Metric, level: float) -> list[dict[str, Any]]:
    """The metric in each tier that has users; ``tier`` names it."""
    return [
        {"tier": tier, **measure(rows, metric, level)}
        for tier in TIERS
        if len(rows := table.filter(pc.equal(table["tier"], tier)))
    ]


def read_weeks(table: pa.Table, metric: Metric, level: float) -> list[dict[str, Any]]:
    """The metric by the week in which users were first exposed; ``week`` counts from the start."""
    weeks = sorted(pc.unique(table["week"]).to_pylist())
    return [
        {"week": week, **measure(table.filter(pc.equal(table["week"], week)), metric, level)}
        for week in weeks
    ]


def read_versions(table: pa.Table, metric: Metric, level: float) -> list[dict[str, Any]]:
    """The metric by the model that users of the graph's arm saw first; ``model_version`` names it.

    The other arm has no model: it is the users who were first exposed on the days on which that model was served. A
    model without users of both arms is left out.
    """
    of_graph = table.filter(pc.equal(table["assigned_arm"], TREATMENT))
    of_sql = table.filter(pc.equal(table["assigned_arm"], CONTROL))
    found = []
    for version in sorted(pc.unique(of_graph["model_version"]).drop_null().to_pylist()):
        users = of_graph.filter(pc.equal(of_graph["model_version"], version))
        days = pc.unique(users["first_exposure"])
        others = of_sql.filter(pc.is_in(of_sql["first_exposure"], value_set=days))
        row = measure(pa.concat_tables([users, others]), metric, level)
        if row["estimate"] is not None:
            found.append({"model_version": version, **row})
    return found


def read_lasting(table: pa.Table, metric: Metric, declaration: Declaration) -> dict[str, Any]:
    """The metric among users who were first exposed once the declared days of novelty were over.

    Returns:
        what :func:`.estimates.measure_cells` returns at 95 %, with ``since``, the first of these days, and ``lasts``:
        whether their gain is surely above zero.
    """
    since = declaration.start + datetime.timedelta(days=declaration.rule.novelty_days)
    row = measure(
        table.filter(pc.greater_equal(table["first_exposure"], pa.scalar(since))), metric, NOVELTY_LEVEL
    )
    interval = row["estimate"]["interval"] if row["estimate"] is not None else None
    return {**row, "since": since.isoformat(), "lasts": interval is not None and interval[0] > 0.0}


def read_novelty(weeks: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Whether the effect becomes smaller from week to week, and what the trend leaves of it in the last week.

    A straight line through the weekly effects, each weighted by its precision. A gain ``fades`` where the line surely
    falls and its end is not surely above zero, each at 95 %.

    Returns:
        ``slope`` (a week), ``statistic``, ``first_week``, ``last_week``, ``first`` and ``last`` (the line at these
        weeks), ``last_interval`` and ``fades``; None with fewer than two weeks that can be compared.
    """
    from scipy.stats import norm

    known = [
        (float(row["week"]), row["estimate"]["effect"], row["estimate"]["standard_error"])
        for row in weeks
        if row["estimate"] is not None and row["estimate"]["standard_error"] > 0
    ]
    if len(known) < 2:
        return None
    weights = [1.0 / error**2 for _, _, error in known]
    total = sum(weights)
    centre = sum(weight * week for weight, (week, _, _) in zip(weights, known, strict=True)) / total
    mean = sum(weight * effect for weight, (_, effect, _) in zip(weights, known, strict=True)) / total
    spread = sum(weight * (week - centre) ** 2 for weight, (week, _, _) in zip(weights, known, strict=True))
    slope = (
        sum(
            weight * (week - centre) * effect
            for weight, (week, effect, _) in zip(weights, known, strict=True)
        )
        / spread
    )
    first_week, last_week = known[0][0], known[-1][0]
    last = mean + slope * (last_week - centre)
    critical = float(norm.isf((1.0 - NOVELTY_LEVEL) / 2.0))
    half = critical * math.sqrt(1.0 / total + (last_week - centre) ** 2 / spread)
    statistic = slope * math.sqrt(spread)
    return {
        "slope": slope,
        "statistic": statistic,
        "first_week": int(first_week),
        "last_week": int(last_week),
        "first": mean + slope * (first_week - centre),
        "last": last,
        "last_interval": [last - half, last + half],
        "fades": statistic <= -critical and last - half <= 0.0,
    }
