"""Experiments whose answers are known: tables of outcomes column by column, and a declaration to read them by."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from holley_assets.experiment.declaration import Declaration
from holley_assets.experiment.outcomes import OUTCOMES_SCHEMA, read_outcomes
from holley_assets.experiment.readout import read_experiment, read_looks
from holley_assets.experiment.traffic import sample_ratio

START = datetime.date(2026, 3, 1)
END = datetime.date(2026, 4, 26)


def declaration_text(start: str = "2026-02-01", planned_end: str = "2026-03-01") -> str:
    """The file that declares experiment ``spring``, with arms as the settings have them by default."""
    return f"""
name = "spring"
salt = "holley"
share = 0.5
primary_metric = "click_rate"
minimal_effect = 0.1
start = {start}
planned_end = {planned_end}
looks = 4
"""


def declare(**fields: Any) -> Declaration:
    """A declaration of eight weeks and one look at their end, unless told otherwise."""
    usual = {
        "name": "graph_spring",
        "salt": "a salt",
        "share": 0.5,
        "primary_metric": "click_rate",
        "minimal_effect": 0.1,
        "start": START,
        "planned_end": END,
        "looks": 1,
    }
    return Declaration.model_validate(usual | fields)


def outcome_table(graph: Any, **columns: Any) -> pa.Table:
    """One row a user that did nothing, except for what ``columns`` say.

    Args:
        graph: boolean [users], assigned to the graph.
        columns: values by name, one for all or one a user. ``day`` is the first exposure in days after the start.
    """
    graph = np.asarray(graph, dtype=bool)
    users = len(graph)
    day = np.broadcast_to(np.asarray(columns.pop("day", 0)), users)
    arm = np.where(graph, "graph", "sql")
    values: dict[str, Any] = {
        "email_lower": [f"user{number}@example.com" for number in range(users)],
        "assigned_arm": arm,
        "received_arm": arm,
        "first_exposure": np.datetime64(START) + day.astype("timedelta64[D]"),
        "period": 0,
        "share": 0.5,
        "tier": "cold",
        "week": day // 7,
        "moved": False,
        "click_window_over": True,
        "order_window_over": True,
        "clicks": 0,
        "machine_clicks": 0,
        "orders": 0,
        "order_value": 0.0,
        "exposures": 1,
        "received_as_assigned": True,
        "clicks_before": 0,
        "orders_before": 0,
        "person": [f"person{number}" for number in range(users)],
        "model_version": "7",
        "system": "gnn",
    } | columns
    values.setdefault("order_value_uncapped", values["order_value"])
    arrays = {}
    for field in OUTCOMES_SCHEMA:
        value = values.get(field.name)
        if value is None:
            arrays[field.name] = pa.nulls(users, field.type)
        elif isinstance(value, list):
            arrays[field.name] = pa.array(value, field.type)
        else:
            spread = np.broadcast_to(np.asarray(value), users)
            arrays[field.name] = pa.array(spread.tolist() if spread.dtype.kind == "U" else spread).cast(
                field.type
            )
    return pa.table(arrays, schema=OUTCOMES_SCHEMA)


def shares(*groups: tuple[int, int, bool]) -> tuple[np.ndarray, np.ndarray]:
    """``clicks`` 0/1 and ``graph`` of groups of (users, of them with a click, assigned to the graph)."""
    clicks = np.concatenate([np.arange(users) < clicked for users, clicked, _ in groups]).astype(np.int64)
    graph = np.concatenate([np.full(users, of_graph) for users, _, of_graph in groups])
    return clicks, graph


def crossed(looks: list[dict[str, Any]]) -> bool:
    """Whether any look would stop the experiment."""
    return any(look["statistic"] is not None and abs(look["statistic"]) >= look["bound"] for look in looks)


def decide(outcomes: Callable[[datetime.date], pa.Table], declaration: Declaration) -> dict[str, Any]:
    """The readout of the first declared look that decides, or of the last; ``outcomes`` gives those as of a day."""
    readout: dict[str, Any] = {}
    for day in declaration.look_dates():
        table = outcomes(day)
        # To read all of an experiment takes half a second; here a look that decides nothing is seen without it.
        if day < declaration.planned_end and _stays_open(table, declaration, day):
            continue
        readout = read_experiment(declaration, table, as_of=day)
        if readout["decision"]["outcome"] != "keep running":
            break
    return readout


def _stays_open(table: pa.Table, declaration: Declaration, day: datetime.date) -> bool:
    users = read_outcomes(table, declaration)
    if sample_ratio(users.exposed)["mismatch"]:
        return False
    looks = read_looks(users.compared(declaration), declaration, day)
    look = next(look for look in looks if look["date"] == day.isoformat())
    return (
        look["statistic"] is not None
        and not crossed([look])
        and look["relative_interval"] is not None
        and look["relative_interval"][1] >= declaration.minimal_effect
    )


# What the graph does to the click rate of users who come in a week, relative; and the part of its users that is lost.
KINDS: dict[str, tuple[Callable[[np.ndarray], np.ndarray | float], float]] = {
    "better": (lambda week: 1.25, 0.0),
    "equal": (lambda week: 1.0, 0.0),
    "harmful": (lambda week: 0.8, 0.0),
    "fading": (lambda week: 1.0 + 0.5 * np.maximum(0.0, 1.0 - week / 3.0), 0.0),
    "broken": (lambda week: 1.25, 0.08),
}
RATES = {"cold": 0.08, "warm": 0.2, "hot": 0.35}


def simulate(kind: str, seed: int, users: int = 24_000) -> pa.Table:
    """An experiment whose truth is known: eight weeks, a share that grows from 25 to 50 % after two of them.

    A fifth of the users comes in the first week, the others spread over all. Nine in ten are cold; who clicked in the
    window before clicks more often. ``kind`` is one of :data:`KINDS`.
    """
    rng = np.random.default_rng([seed, sorted(KINDS).index(kind)])
    effect, lost = KINDS[kind]
    day = np.where(rng.random(users) < 0.2, rng.integers(0, 7, users), rng.integers(0, 56, users))
    period = (day >= 14).astype(np.int64)
    share = np.where(period == 1, 0.5, 0.25)
    graph = rng.random(users) < share
    tier = rng.choice(np.array(["cold", "warm", "hot"]), users, p=[0.9, 0.07, 0.03])
    before = np.where(tier == "cold", 0, rng.poisson(1.0, users))
    rate = np.vectorize(RATES.get)(tier) * (0.7 + 0.3 * before)
    clicks = (rng.random(users) < np.minimum(0.95, rate * np.where(graph, effect(day // 7), 1.0))).astype(
        np.int64
    )
    orders = clicks * (rng.random(users) < 0.1)
    kept = ~graph | (rng.random(users) >= lost)
    columns = {
        "day": day,
        "period": period,
        "share": share,
        "tier": tier,
        "clicks": clicks,
        "clicks_before": before,
        "orders": orders,
        "order_value": orders * rng.exponential(120.0, users),
        "unsubscribed": rng.random(users) < 0.02,
    }
    return outcome_table(graph[kept], **{name: values[kept] for name, values in columns.items()})
