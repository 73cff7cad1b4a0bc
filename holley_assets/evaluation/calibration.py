"""Does a score mean the same for every vehicle? The chance of a click that the scores promise, and what came."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Shaped

from holley_assets.evaluation.exposure import top_slots
from holley_assets.evaluation.systems import TREATMENT

BINS = 10
# Vehicles by how many owners they have; each holds about a third of the clicks.
GROUPS = ("few owners", "more owners", "most owners")


def promised_clicks(
    rankings: pa.Table, log_totals: pa.Table, clicks: pa.Table, *, temperature: float
) -> pa.Table:
    """One row a distinct click: what was promised of it, and whether it came.

    Args:
        rankings: email_lower, system, rank, base_sku, score; of system ``gnn`` the first four ranks count.
        log_totals: email_lower, log_total, of :func:`holley_assets.ranking.choices.log_totals`.
        clicks: email_lower, base_sku, owners (of the user's vehicle): on parts that their users could be shown.
        temperature: the one behind ``log_totals``.

    Returns:
        ``promised`` (probability that the part that a user chooses is among its four), ``hit`` and ``owners``.
    """
    shown = top_slots(rankings, TREATMENT).select(["email_lower", "base_sku", "score"])
    shown = shown.join(log_totals, "email_lower", join_type="inner")
    logits = temperature * shown["score"].to_numpy() - shown["log_total"].to_numpy()
    shown = shown.append_column("promised", pa.array(np.exp(logits)))
    promised = shown.group_by("email_lower").aggregate([("promised", "sum")])
    keys = ["email_lower", "base_sku"]
    clicked = clicks.group_by(keys).aggregate([("owners", "min")])
    hits = shown.select(keys).append_column("hit", pa.repeat(True, shown.num_rows))
    found = clicked.join(hits, keys, join_type="left outer").join(promised, "email_lower", join_type="inner")
    found = found.sort_by([(key, "ascending") for key in keys])
    return pa.table(
        {
            # Four parts that are all there is may sum to a hair above one.
            "promised": pc.min_element_wise(found["promised_sum"], 1.0),
            "hit": pc.fill_null(found["hit"], False),
            "owners": found["owners_min"],
        }
    )


def calibration(clicks: pa.Table) -> dict[str, Any]:
    """How far what was promised is from what came, over all clicks and for vehicles of few and of many owners.

    Args:
        clicks: promised, hit, owners, of :func:`promised_clicks`.

    Returns:
        ``clicks``; ``expected_calibration_error``, the mean distance between both in ten bins of equal size by what
        was promised (Naeini et al. 2015; Guo et al. 2017), and ``by_chance``, what it would be on average were every
        promise true; ``deciles``: those bins, lowest promises first; ``groups``: one for each of :data:`GROUPS`. Both
        are mappings with ``name``, ``clicks``, ``promised``, ``realised`` and ``standard_error`` of their difference,
        were every promise true. Groups with the same difference are promised the same by the same score. Errors are
        None without a click.
    """
    promised, hit, owners = (clicks[name].to_numpy() for name in ("promised", "hit", "owners"))
    order = np.argsort(promised, kind="stable")
    bins = [rows for rows in np.array_split(order, BINS) if len(rows)]
    count = len(promised)
    distances = [len(rows) * abs(hit[rows].mean() - promised[rows].mean()) for rows in bins]
    # Mean of the absolute value of a normal deviate: sqrt(2 / π) standard deviations.
    chances = [
        math.sqrt(2.0 / math.pi) * math.sqrt((promised[rows] * (1.0 - promised[rows])).sum()) for rows in bins
    ]
    edges = np.quantile(owners, [1 / 3, 2 / 3]) if count else np.zeros(2)
    group = np.searchsorted(edges, owners, side="left")
    return {
        "clicks": count,
        "expected_calibration_error": float(sum(distances) / count) if count else None,
        "by_chance": float(sum(chances) / count) if count else None,
        "deciles": [_group(f"{number + 1}", promised[rows], hit[rows]) for number, rows in enumerate(bins)],
        "groups": [
            _group(name, promised[group == row], hit[group == row]) for row, name in enumerate(GROUPS)
        ],
    }


def _group(
    name: str, promised: Float[np.ndarray, "clicks"], hit: Shaped[np.ndarray, "clicks"]
) -> dict[str, Any]:
    if len(promised) == 0:
        return {"name": name, "clicks": 0, "promised": None, "realised": None, "standard_error": None}
    return {
        "name": name,
        "clicks": len(promised),
        "promised": float(promised.mean()),
        "realised": float(hit.mean()),
        "standard_error": float(math.sqrt((promised * (1.0 - promised)).sum()) / len(promised)),
    }
