"""Where a model earns its lift: by how much was known of the car, and by what each layer of the model added.

Both look at cold users, whose parts rest on their cars alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float64

from holley_assets.evaluation.car_traffic import NAMES, slice_of
from holley_assets.evaluation.formatting import signed
from holley_assets.evaluation.gates import DECIDING_TIER
from holley_assets.evaluation.metrics import HeldOutClicks, UserMetrics, string_column
from holley_assets.evaluation.significance import Bootstrap, bootstrap_means, interval
from holley_assets.evaluation.systems import HISTORY_COUNTS, TREATMENT

METRIC = "hit_rate@4"
# Bounds of the visits below which the graph has to help: nothing else is known of such a car.
FEW_VISITS = 6.0


class Layer(NamedTuple):
    """A step from popularity to the whole model, and the system that ranks by all up to it."""

    name: str
    system: str


# The layer that the graph adds.
MESSAGES = "levels_messages"
# Each is the model without what comes after it; the last is the whole graph model.
LAYERS = (
    Layer("popularity", "fitted_popularity"),
    Layer("levels: make, model, class and part type", "levels"),
    Layer("visitors' cars", "levels_visitors"),
    Layer("message passing", MESSAGES),
    Layer("a last fit with everybody", TREATMENT),
)


def visits_of_users(truth: HeldOutClicks, visits: pa.Table) -> Float64[np.ndarray, "users"]:
    """Visits of the class of each test user's car; NaN where no part fits it.

    Args:
        truth: the test users.
        visits: email_lower, visits; may hold more users.
    """
    place = pc.index_in(truth.emails, value_set=string_column(visits, "email_lower", what="visits"))
    found = pc.fill_null(visits["visits"].combine_chunks(), np.nan).to_numpy(zero_copy_only=False)
    of_user: np.ndarray = np.append(found, np.nan)[pc.fill_null(place, -1).to_numpy(zero_copy_only=False)]
    return of_user


def _mean(
    values: Float64[np.ndarray, "users"], bootstrap: Bootstrap, stream: int
) -> tuple[float | None, list[float] | None]:
    if len(values) == 0:
        return None, None
    draws = bootstrap_means(values[:, None], draws=bootstrap.draws, seed=[bootstrap.seed, stream])
    return float(values.mean()), interval(draws[:, 0], bootstrap.confidence)


def traffic_slices(
    values: Mapping[str, UserMetrics],
    truth: HeldOutClicks,
    visits: Float64[np.ndarray, "users"],
    *,
    against: Sequence[str],
    treatment: str,
    bootstrap: Bootstrap,
) -> list[dict[str, Any]]:
    """Cold users by the visits of their car's class before the cutoff.

    Args:
        values: metrics of each test user by system.
        truth: the test users.
        visits: of :func:`visits_of_users`; users without a car that parts fit are in no slice.
        against: systems that ``treatment`` is compared with.
        treatment: the model.
        bootstrap: resampling; each slice has its own random stream.

    Returns:
        One mapping for each of :data:`.car_traffic.NAMES`: ``name``, ``users``, ``systems`` (system → ``hit_rate@4``
        with its ``ci95``, ``recall@10``, ``mrr``) and ``comparison`` (system → ``hit_rate@4_delta``, ``ci95``). None
        where a slice has no user.
    """
    cold, of = truth.in_scope(DECIDING_TIER), slice_of(visits)
    rows = []
    for number, name in enumerate(NAMES):
        inside = cold & (of == number)
        users = int(inside.sum())
        systems: dict[str, Any] = {}
        for system, metrics in values.items():
            rate, bounds = _mean(metrics[METRIC][inside], bootstrap, number)
            others = {
                metric: float(metrics[metric][inside].mean()) if users else None
                for metric in ("recall@10", "mrr")
            }
            systems[system] = {METRIC: rate, "ci95": bounds, **others}
        comparison: dict[str, Any] = {}
        for system in against:
            delta = (values[treatment][METRIC] - values[system][METRIC])[inside]
            lift, bounds = _mean(delta, bootstrap, number)
            comparison[system] = {f"{METRIC}_delta": lift, "ci95": bounds}
        rows.append({"name": name, "users": users, "systems": systems, "comparison": comparison})
    return rows


def layers(
    values: Mapping[str, UserMetrics],
    truth: HeldOutClicks,
    visits: Float64[np.ndarray, "users"],
    *,
    bootstrap: Bootstrap,
) -> dict[str, Any]:
    """What each layer added to the one before it, on cold users and on those whose car had few visits.

    Layers whose system was not ranked are left out, and the next one is held against the last that was.

    Returns:
        ``rows``: one mapping a layer with ``name``, ``system`` and, for ``cold`` and ``few_visits``, ``users``,
        ``hit_rate@4``, ``added`` and its ``ci95``; ``added`` is None for the first layer. ``reason``: what message
        passing adds, in words.
    """
    scopes = {
        "cold": truth.in_scope(DECIDING_TIER),
        "few_visits": truth.in_scope(DECIDING_TIER) & (visits < FEW_VISITS),
    }
    present = [layer for layer in LAYERS if layer.system in values]
    rows: list[dict[str, Any]] = []
    for number, layer in enumerate(present):
        row: dict[str, Any] = {"name": layer.name, "system": layer.system}
        for stream, (scope, inside) in enumerate(scopes.items()):
            mine = values[layer.system][METRIC][inside]
            added, bounds = None, None
            if number:
                before = values[present[number - 1].system][METRIC][inside]
                added, bounds = _mean(mine - before, bootstrap, stream)
            rate = float(mine.mean()) if len(mine) else None
            row[scope] = {"users": len(mine), METRIC: rate, "added": added, "ci95": bounds}
        rows.append(row)
    return {"rows": rows, "reason": _of_messages(rows)}


def with_history(
    values: Mapping[str, UserMetrics], truth: HeldOutClicks, *, treatment: str, bootstrap: Bootstrap
) -> dict[str, Any] | None:
    """Warm and hot users together: the model against what their own history says, counted.

    Returns:
        ``users``, ``systems`` (system → ``hit_rate@4``, ``recall@10``, ``mrr``) and ``comparison`` (each of
        :data:`HISTORY_COUNTS` → ``hit_rate@4_delta``, ``ci95``). None where none of these was ranked.
    """
    counts = [system for system in HISTORY_COUNTS if system in values]
    if not counts:
        return None
    inside = ~truth.in_scope(DECIDING_TIER)
    users = int(inside.sum())
    comparison = {}
    for stream, system in enumerate(counts):
        delta = (values[treatment][METRIC] - values[system][METRIC])[inside]
        lift, bounds = _mean(delta, bootstrap, stream)
        comparison[system] = {f"{METRIC}_delta": lift, "ci95": bounds}
    return {
        "users": users,
        "systems": {
            system: {
                metric: float(metrics[metric][inside].mean()) if users else None
                for metric in (METRIC, "recall@10", "mrr")
            }
            for system, metrics in values.items()
        },
        "comparison": comparison,
    }


def _of_messages(rows: list[dict[str, Any]]) -> str:
    """What message passing adds, in one or two sentences."""
    systems = [layer.system for layer in LAYERS]
    ranked = [row["system"] for row in rows]
    if MESSAGES not in ranked or systems[systems.index(MESSAGES) - 1] not in ranked:
        return "What message passing adds was not measured: the model without it was not ranked."
    sentences = []
    few = f"cold users with a car of fewer than {FEW_VISITS:g} visits"
    for scope, whose in (("cold", "cold users"), ("few_visits", few)):
        found = rows[ranked.index(MESSAGES)][scope]
        if found["ci95"] is None:
            sentences.append(f"There are no {whose} to measure it on.")
            continue
        low, high = found["ci95"]
        verdict = (
            "a gain" if low > 0 else "a loss" if high < 0 else "nothing that this test can tell from none"
        )
        # Drawing from users who are all alike gives an interval without width, which says nothing.
        how_sure = f"({signed(low)} to {signed(high)}) on" if low < high else "for each of"
        sentences.append(
            f"Message passing adds {signed(found['added'])} points {how_sure} {found['users']:,} {whose}: {verdict}."
        )
    return " ".join(sentences)
