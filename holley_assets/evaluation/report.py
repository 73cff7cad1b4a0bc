"""The evaluation report: one plain dictionary, ready for JSON.

Its keys are a contract with tools and people; what goes beyond the contract stands under keys of its own.
"""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.evaluation.bias import click_bias, shown_by
from holley_assets.evaluation.decision import decide, decide_beyond_popularity, network_share
from holley_assets.evaluation.exposure import exposure, score_histograms
from holley_assets.evaluation.gates import DECIDING_TIER, DecisionRule, evaluate_gates
from holley_assets.evaluation.labels import LABEL_UNITS, LabelSource
from holley_assets.evaluation.metrics import (
    UserMetrics,
    compute_metrics,
    held_out_clicks,
    score_systems,
    summarise,
)
from holley_assets.evaluation.significance import ALPHA, POWER, Bootstrap, compare
from holley_assets.evaluation.slices import (
    layers,
    traffic_slices,
    visits_of_users,
    with_history,
)
from holley_assets.evaluation.systems import (
    BASELINE,
    COUNT_BY_CAR,
    COUNTS,
    HISTORY_COUNTS,
    LAYER_SYSTEMS,
    SYSTEM_NAMES,
    delivered_system,
)
from holley_assets.texts import mask_all


@dataclass(frozen=True)
class RunIdentity:
    """Which run, model and window a report is about."""

    run_id: str
    as_of: datetime.date
    cutoff: datetime.date
    model_version: str


@dataclass(frozen=True)
class EvaluationOptions:
    """What is measured and what decides; see the settings of the same names."""

    rule: DecisionRule = field(default_factory=DecisionRule)
    bootstrap_draws: int = 1000
    seed: int = 0
    systems: tuple[str, ...] = SYSTEM_NAMES
    label_source: LabelSource = "clicks"


def build_report(
    *,
    run: RunIdentity,
    clicks: pa.Table,
    clicks_dropped: Mapping[str, int],
    users: pa.Table,
    rankings: pa.Table,
    rankings_before_rules: pa.Table,
    products: pa.Table,
    control_rankings: pa.Table | None = None,
    visits: pa.Table | None = None,
    options: EvaluationOptions | None = None,
    extras: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Measure every system, compare what is delivered with ``sql``, decide, and gather it all.

    What the model is delivered as, ``gnn`` or ``hybrid``, is on trial: its version says which.

    Args:
        run: what the report is about.
        clicks: the test set: email_lower, base_sku; one row a click, or what else ``options.label_source``
            counts as one.
        clicks_dropped: rows of it that could not be used, by reason.
        users: email_lower, engagement_tier as of the cutoff; may hold more than the test users.
        rankings: email_lower, system, rank, base_sku, score: after the rules, as of the cutoff.
        rankings_before_rules: the same over every part that fits.
        products: base_sku, part_type, log_popularity: the catalogue as of the cutoff.
        control_rankings: rankings of systems :data:`.systems.COUNTS`, popularity counted on the data that the
            model reads; a gain is granted only if it holds against the better of them too. And of
            :data:`.systems.COUNT_BY_CAR`, which is shown; so are, where they were ranked, the systems of
            :data:`.systems.LAYER_SYSTEMS` and of :data:`.systems.HISTORY_COUNTS`.
        visits: email_lower, visits: those of the class of the user's car before the cutoff
            (:func:`.car_traffic.class_visits`).
        options: thresholds, bootstrap, systems and what the test set is made of.
        extras: more sections, such as ``training`` and ``graph``; kept as they are.

    Returns:
        The contract's keys; ``delivered_system``, which is on trial; ``control`` (``metrics`` of the counts, the better
        ``system``, the ``comparison`` with it and the ``comparison_by_car`` with :data:`.systems.COUNT_BY_CAR`), or
        None; ``car_traffic``, ``layers`` and ``history``
        (see :mod:`.slices`), None without ``visits`` or control rankings; ``power`` and
        ``label_source``; ``click_bias`` with ``metrics_outside_sql_top4`` and ``comparison_outside_sql_top4``;
        ``exposure`` and ``scores``; the extras; and ``addresses_hidden``, how many e-mail addresses stood in names
        of parts or vehicles and are hidden. Plain Python values; a number that does not exist is None.

    Raises:
        EvaluationError: malformed rankings or clicks.
        ValueError: an extra section has the name of one that is computed here.
    """
    options = options or EvaluationOptions()
    truth = held_out_clicks(clicks, users)
    values = score_systems(rankings, truth, options.systems)
    treatment = delivered_system(run.model_version)
    bootstrap = Bootstrap(options.bootstrap_draws, options.rule.confidence, options.seed)
    comparison, power = compare(values[treatment], values[BASELINE], truth, bootstrap)

    unit = LABEL_UNITS[options.label_source]
    decision = decide(comparison, power, clicks=clicks.num_rows, rule=options.rule, unit=unit)
    control: dict[str, Any] | None = None
    control_values: dict[str, UserMetrics] = {}
    if control_rankings is not None:
        control_values = score_systems(control_rankings, truth, _ranked_controls(control_rankings))
        control_metrics = summarise(control_values, truth)
        better = max(COUNTS, key=lambda system: control_metrics[system][DECIDING_TIER]["hit_rate@4"] or 0.0)
        control_comparison, control_power = compare(
            values[treatment], control_values[better], truth, bootstrap
        )
        decision = decide_beyond_popularity(
            comparison,
            power,
            control_comparison,
            control_power,
            clicks=clicks.num_rows,
            rule=options.rule,
            unit=unit,
        )
        by_car, _ = compare(values[treatment], control_values[COUNT_BY_CAR], truth, bootstrap)
        decision["reason"] = " ".join(filter(None, [decision["reason"], network_share(by_car)]))
        control = {
            "system": better,
            "metrics": control_metrics,
            "comparison": control_comparison,
            "comparison_by_car": by_car,
        }

    every = {**values, **control_values}
    car_visits = visits_of_users(truth, visits) if visits is not None and control else None
    is_shown = shown_by(rankings, clicks, system=BASELINE)
    unshown_clicks = clicks.filter(pa.array(~is_shown))
    unshown_truth = held_out_clicks(unshown_clicks, users)
    unshown_values = score_systems(rankings, unshown_truth, options.systems)
    unshown_comparison, _ = compare(
        unshown_values[treatment], unshown_values[BASELINE], unshown_truth, bootstrap
    )

    report: dict[str, Any] = {
        "run_id": run.run_id,
        "as_of": run.as_of,
        "cutoff": run.cutoff,
        "model_version": run.model_version,
        "delivered_system": treatment,
        "test_set": {"clicks": clicks.num_rows, "users": truth.users, "clicks_dropped": dict(clicks_dropped)},
        "metrics": summarise(values, truth),
        "metrics_before_rules": compute_metrics(rankings_before_rules, clicks, users, options.systems),
        "comparison": comparison,
        "gates": evaluate_gates(comparison, options.rule),
        "decision": decision,
        "control": control,
        "car_traffic": None
        if car_visits is None
        else traffic_slices(
            every,
            truth,
            car_visits,
            against=(BASELINE, COUNT_BY_CAR),
            treatment=treatment,
            bootstrap=bootstrap,
        ),
        "layers": None if car_visits is None else layers(every, truth, car_visits, bootstrap=bootstrap),
        "history": with_history(every, truth, treatment=treatment, bootstrap=bootstrap),
        "label_source": options.label_source,
        "options": {
            **dataclasses.asdict(options.rule),
            "bootstrap_draws": options.bootstrap_draws,
            "seed": options.seed,
        },
        "power": {"alpha": ALPHA, "power": POWER, "scopes": power},
        "click_bias": click_bias(is_shown, system=BASELINE),
        "metrics_outside_sql_top4": summarise(unshown_values, unshown_truth),
        "comparison_outside_sql_top4": unshown_comparison,
        "exposure": exposure(rankings, products, options.systems),
        "scores": score_histograms(rankings, options.systems),
    }
    extras = extras or {}
    if taken := sorted(set(report) & set(extras)):
        raise ValueError(f"the report computes {', '.join(taken)} itself")
    hidden, count = mask_all(plain({**report, **extras}))
    return {**hidden, "addresses_hidden": count}


def _ranked_controls(rankings: pa.Table) -> tuple[str, ...]:
    """The controls that every report has, and those of the others that were ranked."""
    found = set(pc.unique(rankings["system"].cast(pa.string())).to_pylist())
    optional = (*LAYER_SYSTEMS, *HISTORY_COUNTS)
    return (*COUNTS, COUNT_BY_CAR, *(name for name in optional if name in found))


def plain(value: Any) -> Any:
    """``value`` with plain Python types alone: dates as ISO text, NaN and infinities as None.

    Raises:
        TypeError: a type that JSON has no place for.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a report holds no {type(value).__name__}")


def to_json(report: Mapping[str, Any]) -> str:
    """The report as JSON text without NaN, infinities and e-mail addresses."""
    return json.dumps(mask_all(report)[0], indent=2, ensure_ascii=False, allow_nan=False) + "\n"
