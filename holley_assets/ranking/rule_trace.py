"""Which parts a rule took out of one ranking: the rules one after the other, on the parts of one car.

The ranker decides what is delivered. This follows the same rules part by part and says which one took a part out, so
that a person can read it; a test holds both against each other.
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from holley_assets.ranking.ranker import RankingOptions


class Candidate(NamedTuple):
    """A part that fits the car.

    Attributes:
        base_sku, part_type: of the part.
        sku: variant that would be shown; None where none is eligible.
        score: of the part for this user.
        ineligible: why no variant is eligible; None where one is.
    """

    base_sku: str
    part_type: str | None
    sku: str | None
    score: float
    ineligible: str | None = None


class Verdict(NamedTuple):
    """What became of a part.

    Attributes:
        candidate: the part.
        rank: its place before the rules, from 1.
        slot: its place in what is shown, from 1; None where it is not shown.
        rule: the rule that took it out; None where it is shown or stands behind the last one shown.
    """

    candidate: Candidate
    rank: int
    slot: int | None
    rule: str | None


def trace_rules(
    candidates: Sequence[Candidate],
    last_order: Mapping[str, datetime.date],
    *,
    view_end: datetime.date,
    options: RankingOptions,
) -> list[Verdict]:
    """What became of every part, best first, ties by base SKU.

    Args:
        candidates: all parts that fit the car, each base SKU once.
        last_order: newest day on which this user ordered a base SKU, before ``view_end``.
        view_end: first day that the ranking does not see.
        options: numbers in the rules.
    """
    first_day = view_end - datetime.timedelta(days=options.purchase_exclusion_days)
    of_type: Counter[str | None] = Counter()
    verdicts, shown = [], 0
    for rank, part in enumerate(sorted(candidates, key=lambda one: (-one.score, one.base_sku)), start=1):
        ordered = last_order.get(part.base_sku)
        rule, slot = None, None
        if part.sku is None:
            rule = f"not eligible: {part.ineligible or 'no variant may be shown'}"
        elif ordered is not None and first_day <= ordered < view_end:
            rule = f"ordered on {ordered}, within {options.purchase_exclusion_days} days"
        elif of_type[part.part_type] >= options.maximum_per_part_type:
            rule = f"at most {options.maximum_per_part_type} of a part type: {part.part_type or 'no type'}"
        elif shown < options.depth:
            shown += 1
            slot = shown
            of_type[part.part_type] += 1
        verdicts.append(Verdict(part, rank, slot, rule))
    return verdicts
