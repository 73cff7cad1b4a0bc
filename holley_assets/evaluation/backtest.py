"""The evaluation at several past cutoffs: does the lift last?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from holley_assets.evaluation.gates import DECIDING_METRIC, DECIDING_TIER, finite
from holley_assets.evaluation.systems import TREATMENT


def summarise_backtest(reports: Sequence[Mapping[str, Any]], *, tier: str = DECIDING_TIER) -> dict[str, Any]:
    """The Hit Rate@4 lift over time, with its spread.

    Args:
        reports: evaluation reports of different cutoffs, in any order.
        tier: scope of the comparison.

    Returns:
        ``tier``; ``rows`` by cutoff (``cutoff``, ``users``, ``lift``, ``ci95``, ``outcome``); ``mean`` and
        ``standard_deviation`` (between cutoffs, one degree of freedom off) of the lifts that exist, and
        ``positive`` and ``measured``, how many of them are above 0 and how many there are.
    """
    rows = [
        {
            "cutoff": str(report["cutoff"]),
            "users": report["metrics"][TREATMENT][tier]["users"],
            "lift": finite(report["comparison"][tier][DECIDING_METRIC]),
            "ci95": report["comparison"][tier]["ci95"],
            "outcome": report["decision"]["outcome"],
        }
        for report in sorted(reports, key=lambda report: str(report["cutoff"]))
    ]
    lifts = np.array([row["lift"] for row in rows if row["lift"] is not None])
    return {
        "tier": tier,
        "rows": rows,
        "mean": float(lifts.mean()) if len(lifts) else None,
        "standard_deviation": float(lifts.std(ddof=1)) if len(lifts) > 1 else None,
        "positive": int((lifts > 0).sum()),
        "measured": len(lifts),
    }
