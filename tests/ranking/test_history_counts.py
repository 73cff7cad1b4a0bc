"""What was last seen and what goes with it: by hand."""

from __future__ import annotations

import datetime

import pyarrow as pa
import pytest

from holley_assets.ranking import RankingOptions, build_candidates, rank_users
from holley_assets.ranking.history_counts import history_scorers, item_to_item, last_seen

END = datetime.date(2026, 1, 2)
EMAILS = pa.array(["ann@example.com", "bob@example.com", "cid@example.com"])


def visits(*rows: tuple[str, int, str, str]) -> pa.Table:
    """Who, how many days before the end, which part and how."""
    return pa.table(
        {
            "email_lower": pa.array([f"{who}@example.com" for who, *_ in rows]).dictionary_encode(),
            "visit_date": pa.array(
                [END - datetime.timedelta(days=days) for _, days, *_ in rows], pa.date32()
            ),
            "base_sku": pa.array([part for *_, part, _ in rows], pa.string()),
            "interaction": pa.array([kind for *_, kind in rows], pa.string()),
        }
    )


VISITS = visits(
    ("ann", 9, "A", "view"),
    ("ann", 3, "A", "view"),
    ("ann", 3, "B", "cart"),
    ("ann", 1, "C", "order"),
    # Not before the end, and of nobody who is asked for.
    ("ann", 0, "D", "view"),
    ("dan", 1, "D", "view"),
    ("bob", 1, "D", "view"),
)
CO_VIEWED = pa.table(
    {
        "base_sku": ["A", "A", "B", "C"],
        "other_base_sku": ["B", "D", "D", "D"],
        "visitors": pa.array([6, 2, 3, None], pa.int64()),
    }
)
VISITORS = pa.table({"base_sku": ["A", "B", "C", "D"], "visitors": [16.0, 9.0, 5.0, 4.0]})


def scores(table: pa.Table) -> dict[tuple[int, str], float]:
    return {(row["profile"], row["base_sku"]): row["score"] for row in table.to_pylist()}


def test_the_newest_comes_first_and_a_cart_before_a_view_of_its_day() -> None:
    found = scores(last_seen(VISITS, EMAILS, END))
    assert found == pytest.approx({(0, "A"): 1 / 4, (0, "B"): 1 / 3.5, (1, "D"): 1 / 2})


def test_cosines_are_summed_over_what_was_met() -> None:
    """A–B 6 / sqrt(16 · 9) = 0.5, A–D 2 / 8 = 0.25, B–D 3 / 6 = 0.5; C–D is a pair of another view."""
    found = scores(item_to_item(VISITS, EMAILS, END, CO_VIEWED, VISITORS))
    assert found == pytest.approx(
        {
            (0, "A"): 0.5,
            (0, "B"): 0.5,
            (0, "D"): 0.25 + 0.5,
            (1, "A"): 0.25,
            (1, "B"): 0.5,
        }
    )


def test_the_rest_is_ranked_by_popularity() -> None:
    fitment = pa.table(
        {
            "year": [1967] * 5,
            "make": ["FORD"] * 5,
            "model": ["GT"] * 5,
            **{name: list("ABCDE") for name in ("base_sku", "sku", "serving_sku")},
        }
    )
    parts = pa.table({"sku": ["A", "B", "C", "D", "E"], "part_type": ["1", "2", "3", "4", "5"]})
    popularity = pa.table({"base_sku": ["A", "B", "C", "D", "E"], "score": [0.1, 0.2, 0.3, 0.4, 9.0]})
    scorers = history_scorers(VISITS, EMAILS, END, CO_VIEWED, VISITORS, popularity)
    users = pa.table(
        {
            "email_lower": EMAILS,
            "year": [1967] * 3,
            "make": ["FORD"] * 3,
            "model": ["GT"] * 3,
            "profile": [0, 1, 2],
        }
    )
    shown: dict[tuple[str, str], list[str]] = {}
    for name, scorer in scorers.items():
        ranking = rank_users(
            users,
            build_candidates(fitment, parts, view="training", apply_rules=True),
            scorer,
            purchases=None,
            view_end=END,
            options=RankingOptions(5, 2, 365),
        ).to_table(name)
        for row in ranking.to_pylist():
            shown.setdefault((name, row["email_lower"][:3]), []).append(row["base_sku"])
    assert {key: "".join(parts) for key, parts in shown.items()} == {
        ("last_seen", "ann"): "BAEDC",
        ("last_seen", "bob"): "DECBA",
        ("last_seen", "cid"): "EDCBA",
        ("item_to_item", "ann"): "DBAEC",
        ("item_to_item", "bob"): "BAEDC",
        ("item_to_item", "cid"): "EDCBA",
    }


def test_without_anything_met_or_co_viewed_there_are_no_scores() -> None:
    assert last_seen(VISITS.slice(0, 0), EMAILS, END).num_rows == 0
    assert item_to_item(VISITS, EMAILS, END, CO_VIEWED.slice(0, 0), VISITORS).num_rows == 0
    assert item_to_item(VISITS, EMAILS.slice(2), END, CO_VIEWED, VISITORS).num_rows == 0
