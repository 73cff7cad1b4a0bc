"""The gates of the three planning documents.

The documents name different gates. All are computed and shown side by side; Hit Rate@4 on cold users alone
decides, because four slots are what an e-mail shows and 98 % of the users are cold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DECIDING_TIER = "cold"
DECIDING_METRIC = "hit_rate@4_delta"

# 0.12 against 0.10 is a lift of 20 %, but in floating point 0.12 / 0.10 − 1 is a little less.
TOLERANCE = 1e-12


@dataclass(frozen=True)
class DecisionRule:
    """What separates the outcomes.

    Attributes:
        clear_win: absolute lift from which the outcome is a clear win.
        marginal: absolute lift from which it is marginal; from minus this up it is neutral, below it worse.
        minimum_clicks: test clicks below which nothing is decided.
        confidence: level of the interval that the decision respects.
    """

    clear_win: float = 0.03
    marginal: float = 0.01
    minimum_clicks: int = 2000
    confidence: float = 0.95

    @classmethod
    def of_report(cls, report: Mapping[str, Any]) -> DecisionRule:
        """The rule that a report was decided by."""
        options = report["options"]
        return cls(
            options["clear_win"], options["marginal"], options["minimum_clicks"], options["confidence"]
        )

    def __post_init__(self) -> None:
        if not 0.0 < self.marginal <= self.clear_win:
            raise ValueError(
                f"marginal ({self.marginal:g}) must be above 0 and at most clear_win ({self.clear_win:g})"
            )


@dataclass(frozen=True)
class Gate:
    """One document's condition for going on.

    Attributes:
        name: stable name, a key for tables and alerts.
        tier: scope of the comparison.
        metric: key of the comparison.
        threshold: the value from which the gate passes.
        decides: whether the decision rests on it.
        meaning: what passing says, in words.
        source: the document that asks for it.
    """

    name: str
    tier: str
    metric: str
    threshold: float
    decides: bool
    meaning: str
    source: str


def gates(rule: DecisionRule) -> tuple[Gate, ...]:
    """The gates of the three documents; the deciding one takes its threshold from ``rule``."""
    return (
        Gate(
            "hit_rate_at_4_cold",
            DECIDING_TIER,
            DECIDING_METRIC,
            rule.clear_win,
            True,
            "More cold users find a part they clicked among the four of their e-mail, as a difference in "
            "percentage points. This gate decides.",
            "technical specification",
        ),
        Gate(
            "mrr_cold",
            "cold",
            "mrr_relative",
            0.20,
            False,
            "The first clicked part of cold users ranks higher, relative to the SQL pipeline.",
            "implementation plan",
        ),
        Gate(
            "mrr_overall",
            "overall",
            "mrr_relative",
            0.10,
            False,
            "The first clicked part of all users ranks higher, relative to the SQL pipeline.",
            "implementation plan",
        ),
        Gate(
            "recall_at_10_overall",
            "overall",
            "recall@10_relative",
            0.05,
            False,
            "More of the clicked parts of all users are among the first ten, relative to the SQL pipeline.",
            "roadmap proposal",
        ),
    )


def reaches(value: float, threshold: float) -> bool:
    """Whether ``value`` is at least ``threshold``; exactly at the threshold counts as reaching it."""
    return value >= threshold - TOLERANCE


def finite(value: Any) -> float | None:
    """``value`` as a float, or None where it is missing, NaN or infinite."""
    return float(value) if value is not None and math.isfinite(value) else None


def evaluate_gates(
    comparison: Mapping[str, Mapping[str, Any]], rule: DecisionRule | None = None
) -> list[dict[str, Any]]:
    """Every gate with its value.

    Args:
        comparison: scope → metrics, as :func:`.significance.compare` returns it.
        rule: thresholds of the deciding gate.

    Returns:
        ``name``, ``tier``, ``metric``, ``threshold``, ``value``, ``passed`` of each gate. A value that does
        not exist or is not finite is None, and its gate is not passed.
    """
    rows = []
    for gate in gates(rule or DecisionRule()):
        value = finite(comparison[gate.tier][gate.metric])
        rows.append(
            {
                "name": gate.name,
                "tier": gate.tier,
                "metric": gate.metric,
                "threshold": gate.threshold,
                "value": value,
                "passed": value is not None and reaches(value, gate.threshold),
            }
        )
    return rows
