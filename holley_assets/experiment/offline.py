"""Offline lifts beside online ones: what a lift of the weekly report is worth with customers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def lift_rows(
    readouts: Sequence[Mapping[str, Any]], offline: Mapping[str, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """One row for each model version that a readout compares, oldest readout first.

    Args:
        readouts: from :func:`.readout.read_experiment`.
        offline: by model version ``lift``, the difference in Hit Rate@4 over all users (absolute), and its
            ``interval``; a version without an evaluation may be left out.

    Returns:
        ``model_version``, ``experiment``, ``metric`` (label), ``offline`` and ``offline_interval``, ``online`` and
        ``online_interval`` (relative), and ``agree``: whether both point the same way, None where either is missing or
        zero. Versions without an online figure are left out.
    """
    rows = []
    for readout in readouts:
        for version in readout["versions"] or []:
            estimate = version["estimate"]
            if estimate is None or estimate["relative"] is None:
                continue
            known = offline.get(version["model_version"], {})
            lift, online = known.get("lift"), estimate["relative"]
            rows.append(
                {
                    "model_version": version["model_version"],
                    "experiment": readout["experiment"]["name"],
                    "metric": version["label"],
                    "offline": lift,
                    "offline_interval": known.get("interval"),
                    "online": online,
                    "online_interval": estimate["relative_interval"],
                    "agree": (lift > 0) == (online > 0) if lift and online else None,
                }
            )
    return rows


def agreement(rows: Sequence[Mapping[str, Any]]) -> str:
    """How far offline and online agree, in one sentence."""
    compared = [row for row in rows if row["agree"] is not None]
    if not compared:
        return "No model version has both figures yet."
    agreeing = sum(row["agree"] for row in compared)
    if len(compared) == 1:
        ways = "the same way" if agreeing else "different ways"
        return f"The one model version with both figures points {ways} offline and online."
    verb = "points" if agreeing == 1 else "point"
    return f"Of {len(compared)} model versions with both figures, {agreeing} {verb} the same way offline and online."
