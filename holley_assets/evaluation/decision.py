"""The one decision of an evaluation, which respects its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holley_assets.evaluation.formatting import points, signed
from holley_assets.evaluation.gates import DECIDING_METRIC, DECIDING_TIER, DecisionRule, finite, reaches
from holley_assets.evaluation.significance import ALPHA

Scopes = Mapping[str, Mapping[str, Any]]

OUTCOMES = ("clear_win", "marginal", "neutral", "worse", "inconclusive")


def outcome_of(lift: float, rule: DecisionRule) -> str:
    """The band that a lift lies in, with no regard to its uncertainty."""
    if reaches(lift, rule.clear_win):
        return "clear_win"
    if reaches(lift, rule.marginal):
        return "marginal"
    return "neutral" if reaches(lift, -rule.marginal) else "worse"


def smallest_conclusive_users(rule: DecisionRule) -> int:
    """Users below which not even a test set without one discordant user rules out a marginal lift.

    With none of n users discordant, a discordant share of up to ``1 − (1 − confidence)^(1/n)`` remains
    plausible ("rule of three", about 3 / n at 95 %), and no lift exceeds that share. A bootstrap interval
    is then a point, whatever n is: it alone must not pass for certainty.
    """
    return math.ceil(math.log(1.0 - rule.confidence) / math.log(1.0 - rule.marginal))


def crossed_threshold(outcome: str, low: float, high: float, rule: DecisionRule) -> float | None:
    """The threshold that matters for ``outcome`` if the interval [low, high] covers both its sides."""
    if outcome == "clear_win":
        return None if reaches(low, rule.clear_win) else rule.clear_win
    if outcome == "marginal":
        return None if reaches(low, rule.marginal) else rule.marginal
    if outcome == "worse":
        return -rule.marginal if reaches(high, -rule.marginal) else None
    if not reaches(low, -rule.marginal):
        return -rule.marginal
    return rule.marginal if reaches(high, rule.marginal) else None


def still_possible(low: float, high: float, rule: DecisionRule) -> str:
    """The outcomes whose bands the interval touches, least favourable first, in words."""
    names = ["worse", "neutral", "marginal", "clear_win"]
    first, last = names.index(outcome_of(low, rule)), names.index(outcome_of(high, rule))
    words = [name.replace("_", " ") for name in names[first : last + 1]]
    return words[0] if len(words) == 1 else " or ".join([", ".join(words[:-1]), words[-1]])


NEXT_STEP = {
    "clear_win": "Proceed to an A/B test.",
    "marginal": "A real but small gain: enrich the part embeddings and evaluate again before an A/B test.",
    "neutral": "The graph neither helps nor hurts: here it adds nothing beyond fitment and popularity.",
    "worse": "Do not promote. Find out why; overfitting to the few active users is the usual cause.",
}


@dataclass(frozen=True)
class _Verdict:
    """An outcome and the sentences of its reason: what was measured, why that is the outcome, what to do."""

    outcome: str
    measured: str
    grounds: tuple[str, ...]
    advice: str = ""

    def to_dict(self) -> dict[str, str]:
        return _decision(self.outcome, self.measured, *self.grounds, self.advice)


def decide(
    comparison: Scopes,
    power: Scopes,
    *,
    clicks: int,
    rule: DecisionRule | None = None,
    unit: str = "clicks",
) -> dict[str, str]:
    """One outcome, from the Hit Rate@4 lift on cold users, that respects its interval.

    The *claimed* outcome is the band in which the lift lies: from +3 % ``clear_win``, from +1 % ``marginal``,
    from −1 % ``neutral``, below ``worse`` (a lift exactly at a threshold reaches it). It is granted only if
    the whole interval lies on the claimed side of **the threshold that matters**: the one that the claim
    rests on.

    ============  ====================================================  ==================================
    claim         threshold that matters                                granted if
    ============  ====================================================  ==================================
    clear_win     +3 %: below it lies the less favourable outcome        low end ≥ +3 %
    marginal      +1 %: below it lies the less favourable outcome        low end ≥ +1 %
    neutral       −1 % and +1 %: it claims that there is no difference   low end ≥ −1 % and high end < +1 %
    worse         −1 %: above it lies the more favourable outcome        high end < −1 %
    ============  ====================================================  ==================================

    The upper edge of ``marginal`` does not matter: a sure gain of at least 1 % that may be a clear win is
    marginal until shown otherwise. Otherwise the outcome is ``inconclusive``, as it is when

    - the test set has fewer than ``rule.minimum_clicks`` clicks,
    - there is no cold test user, or no interval,
    - a difference is claimed (clear_win, marginal, worse) that McNemar's exact test does not see at 5 %,
      which guards against the optimism of a bootstrap over few discordant users, or
    - ``neutral`` is claimed with too few cold users to rule anything out (:func:`smallest_conclusive_users`).

    Args:
        comparison: scope → metrics, as :func:`.significance.compare` returns it.
        power: scope → power, from the same call.
        clicks: clicks in the test set, repeated ones included.
        rule: thresholds.
        unit: what the test set counts, in words.

    Returns:
        ``outcome``, one of :data:`OUTCOMES`, and ``reason``, a few sentences. The reasons of ``inconclusive``
        and ``neutral`` name the smallest lift that this test set could have shown.
    """
    return _judge(comparison, power, clicks, rule or DecisionRule(), unit, "the SQL pipeline").to_dict()


def decide_beyond_popularity(
    comparison: Scopes,
    power: Scopes,
    control_comparison: Scopes,
    control_power: Scopes,
    *,
    clicks: int,
    rule: DecisionRule | None = None,
    unit: str = "clicks",
) -> dict[str, str]:
    """The outcome of :func:`decide`, where a gain must also hold against popularity counted on the same data.

    The model reads more than the SQL pipeline does: every visitor's choices, and which cars a part could have
    been chosen for. Where that alone wins, the graph has shown nothing, and a better count in the SQL pipeline
    would do as well. So a claimed gain is granted only as far as the same rule grants it against that count:
    the less favourable of the two outcomes stands, and it is ``neutral`` where the count does better than the
    model, which is still no worse than the SQL pipeline. Without a gain there is nothing to hold against.

    Args:
        comparison: the model against the SQL pipeline.
        power: from the same call.
        control_comparison: the model against the better count of :data:`.systems.COUNTS`.
        control_power: from the same call.
        clicks: clicks in the test set, repeated ones included.
        rule: thresholds.
        unit: what the test set counts, in words.

    Returns:
        ``outcome`` and ``reason``, as :func:`decide` does.
    """
    rule = rule or DecisionRule()
    gain = _judge(comparison, power, clicks, rule, unit, "the SQL pipeline")
    if gain.outcome not in {"clear_win", "marginal"}:
        return gain.to_dict()
    own = _judge(control_comparison, control_power, clicks, rule, unit, "popularity counted on the same data")
    if own.outcome in {"clear_win", gain.outcome}:
        holds = "So popularity does not explain the gain."
        return _decision(gain.outcome, gain.measured, *gain.grounds, own.measured, holds, gain.advice)
    if own.outcome == "worse":
        enough = "Better counting alone does more: the graph adds nothing to it."
        return _decision("neutral", gain.measured, own.measured, *own.grounds, enough)
    required = "A gain counts only as far as popularity does not explain it."
    return _decision(own.outcome, gain.measured, required, own.measured, *own.grounds, own.advice)


def network_share(comparison: Scopes) -> str:
    """What the network adds to the count by car that it learns from, in one sentence; empty without an interval.

    Args:
        comparison: the model against :data:`.systems.COUNT_BY_CAR`.
    """
    cold = comparison[DECIDING_TIER]
    lift, (low, high) = finite(cold[DECIDING_METRIC]), cold["ci95"] or (None, None)
    if lift is None or low is None or high is None:
        return ""
    return (
        f"Against what visitors wanted for the very car, counted without a network, it is {signed(lift)} points "
        f"({signed(low)} to {signed(high)}), which decides nothing."
    )


def _judge(
    comparison: Scopes, power: Scopes, clicks: int, rule: DecisionRule, unit: str, baseline: str
) -> _Verdict:
    """The verdict of :func:`decide` on a lift against ``baseline``, named in words."""
    cold = comparison[DECIDING_TIER]
    lift, users = finite(cold[DECIDING_METRIC]), int(power[DECIDING_TIER]["users"])
    bounds = [finite(bound) for bound in cold["ci95"] or (None, None)]
    detectable = finite(power[DECIDING_TIER]["minimal_detectable_lift"])
    sensitivity = (
        f"With {users:,} cold test users, the smallest lift that this test tells from none with "
        f"80 % power is {points(detectable)}."
        if detectable is not None
        else f"With {users:,} cold test users, no lift of any size could have been shown."
    )
    few_clicks = (
        f"The test set has {clicks:,} {unit}; below {rule.minimum_clicks:,} nothing is decided."
        if clicks < rule.minimum_clicks
        else ""
    )
    low, high = bounds
    if lift is None or low is None or high is None:
        nothing = (
            "The lift or its interval does not exist." if users else "No cold user is among the test users."
        )
        return _Verdict("inconclusive", "", (few_clicks, nothing, sensitivity if users else ""))

    claim = outcome_of(lift, rule)
    measured = (
        f"Hit Rate@4 on {users:,} cold users is {signed(lift)} points against {baseline} "
        f"({100 * rule.confidence:g} % interval {signed(low)} to {signed(high)})."
    )
    if few_clicks:
        return _Verdict("inconclusive", "", (few_clicks, measured, sensitivity))
    threshold = crossed_threshold(claim, low, high, rule)
    if threshold is not None:
        undecided = (
            f"The interval covers both sides of the threshold of {signed(threshold)} points, so the "
            f"outcome may be {still_possible(low, high, rule)}."
        )
        return _Verdict("inconclusive", measured, (undecided, sensitivity))
    p_value = finite(cold["mcnemar_p"])
    if claim != "neutral" and (p_value is None or p_value >= ALPHA):
        unseen = (
            "McNemar's exact test does not tell the two systems apart: too few users get a hit from one "
            f"system alone (p = {'unknown' if p_value is None else f'{p_value:.3f}'})."
        )
        return _Verdict("inconclusive", measured, (unseen, sensitivity))
    if claim == "neutral" and users < smallest_conclusive_users(rule):
        unsure = (
            f"Fewer than {smallest_conclusive_users(rule):,} cold users cannot rule out a lift of "
            f"{points(rule.marginal)}, however equal the systems look."
        )
        return _Verdict("inconclusive", measured, (unsure, sensitivity))
    granted = {
        "clear_win": f"The whole interval reaches the {signed(rule.clear_win)} points of a clear win.",
        "marginal": f"The whole interval reaches {signed(rule.marginal)} points, but the lift is below the "
        f"{signed(rule.clear_win)} points of a clear win.",
        "neutral": f"The whole interval lies within ±{points(rule.marginal)}.",
        "worse": f"The whole interval lies below {signed(-rule.marginal)} points.",
    }[claim]
    grounds = (granted, sensitivity) if claim == "neutral" else (granted,)
    return _Verdict(claim, measured, grounds, NEXT_STEP[claim])


def _decision(outcome: str, *sentences: str) -> dict[str, str]:
    return {"outcome": outcome, "reason": " ".join(sentence for sentence in sentences if sentence)}
