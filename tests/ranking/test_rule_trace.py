"""Rules followed part by part, with answers worked out by hand."""

from __future__ import annotations

import datetime

from holley_assets.ranking import RankingOptions
from holley_assets.ranking.rule_trace import Candidate, trace_rules

TODAY = datetime.date(2026, 2, 1)
OPTIONS = RankingOptions(depth=4, maximum_per_part_type=2, purchase_exclusion_days=365)


def traced(
    *parts: Candidate, orders: dict[str, datetime.date] | None = None
) -> list[tuple[str, int, int | None, str | None]]:
    verdicts = trace_rules(parts, orders or {}, view_end=TODAY, options=OPTIONS)
    return [(verdict.candidate.base_sku, verdict.rank, verdict.slot, verdict.rule) for verdict in verdicts]


def part(name: str, score: float, kind: str | None = None, *, shown: bool = True) -> Candidate:
    return Candidate(name, kind or name, name if shown else None, score, None if shown else "no image")


def test_best_first_ties_by_sku_and_no_more_than_four() -> None:
    parts = [
        part(name, score) for name, score in (("E", 1.0), ("D", 2.0), ("B", 3.0), ("A", 2.0), ("C", 5.0))
    ]
    assert traced(*parts) == [
        ("C", 1, 1, None),
        ("B", 2, 2, None),
        ("A", 3, 3, None),
        ("D", 4, 4, None),
        ("E", 5, None, None),
    ]


def test_the_third_part_of_a_type_and_what_is_not_eligible_are_taken_out() -> None:
    gauges = [part(name, score, "Gauge") for name, score in (("A", 5.0), ("B", 4.0), ("C", 3.0))]
    assert traced(*gauges, part("X", 6.0, "Gauge", shown=False), part("D", 1.0)) == [
        ("X", 1, None, "not eligible: no image"),
        ("A", 2, 1, None),
        ("B", 3, 2, None),
        ("C", 4, None, "at most 2 of a part type: Gauge"),
        ("D", 5, 3, None),
    ]


def test_parts_without_a_type_count_as_one_type() -> None:
    unknown = [Candidate(name, None, name, score) for name, score in (("A", 3.0), ("B", 2.0), ("C", 1.0))]
    assert traced(*unknown)[2] == ("C", 3, None, "at most 2 of a part type: no type")


def test_an_order_counts_from_365_days_ago_until_yesterday() -> None:
    days = {"A": 366, "B": 365, "C": 1, "D": 0}
    orders = {name: TODAY - datetime.timedelta(days=age) for name, age in days.items()}
    found = traced(*(part(name, 1.0) for name in days), orders=orders)
    assert found == [
        ("A", 1, 1, None),
        ("B", 2, None, "ordered on 2025-02-01, within 365 days"),
        ("C", 3, None, "ordered on 2026-01-31, within 365 days"),
        ("D", 4, 2, None),
    ]
