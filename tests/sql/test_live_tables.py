"""The live pipeline's table as the comparison reads it: of the cutoff's own day, and of none after it."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pytest
from sql.shop import Row, RunAlone

from holley_assets.ranking.recommendations import WIDE_SCHEMA

CUTOFF = datetime.date(2026, 1, 2)  # of the shop


def live(day: str, *skus: str | None, email: str = "a@x.com") -> Row:
    """A row of the last moment of a day; slot i has the score 10 − i."""
    moment = datetime.datetime.fromisoformat(f"{day}T23:59:59").replace(tzinfo=datetime.UTC)
    row: Row = {"email_lower": email, "generated_at": moment}
    for slot, sku in enumerate(skus, start=1):
        row |= {f"rec_part_{slot}": sku, f"rec{slot}_score": None if sku is None else 10.0 - slot}
    return row


def table(*rows: Row) -> dict[str, pa.Table]:
    return {"live_recommendations": pa.Table.from_pylist(list(rows), schema=WIDE_SCHEMA)}


@pytest.mark.parametrize(
    ("days", "chosen"),
    [
        (["2026-01-01", "2026-01-02", "2026-01-03"], "2026-01-02"),
        (["2026-01-01", "2026-01-03"], "2026-01-01"),
        (["2025-12-30", "2026-01-01"], "2026-01-01"),
        (["2026-01-03"], None),
    ],
)
def test_the_newest_day_up_to_the_cutoff_is_read(
    run_alone: RunAlone, days: list[str], chosen: str | None
) -> None:
    """Each day showed another part. The cutoff's own day knows nothing of the test window, the next one does."""
    rows = table(*(live(day, f"P{day[-2:]}") for day in days))
    (found,) = run_alone("live_generation", rows)
    assert [str(found[name]) for name in ("first_day", "last_day", "chosen_day")] == [
        days[0],
        days[-1],
        str(chosen),
    ]
    ranked = run_alone("live_rankings", rows)
    assert [row["base_sku"] for row in ranked] == ([] if chosen is None else [f"P{chosen[-2:]}"])


def test_colours_are_one_part_at_the_better_rank_and_addresses_are_normal(
    run_alone: RunAlone,
) -> None:
    rows = table(
        live("2026-01-02", "8202B", "Z", "8202R", "A", email=" A@X.com"),
        live("2026-01-02", "C", None, "D", email="b@x.com"),
        live("2026-01-02", "E", email="none"),
    )
    found = run_alone("live_rankings", rows)
    assert [(row["email_lower"], row["rank"], row["base_sku"], row["score"]) for row in found] == [
        ("a@x.com", 1, "8202", 9.0),
        ("a@x.com", 2, "Z", 8.0),
        ("a@x.com", 3, "A", 6.0),
        ("b@x.com", 1, "C", 9.0),
        ("b@x.com", 2, "D", 7.0),
    ]


def test_of_two_rows_of_a_day_the_parts_of_a_slot_are_ranked_by_name(run_alone: RunAlone) -> None:
    found = run_alone("live_rankings", table(live("2026-01-02", "B", "C"), live("2026-01-02", "A", "B")))
    assert [(row["rank"], row["base_sku"], row["score"]) for row in found] == [
        (1, "A", 9.0),
        (2, "B", 9.0),
        (3, "C", 8.0),
    ]
