"""Click bias: which clicks the live system had a hand in."""

from __future__ import annotations

import pyarrow as pa

from holley_assets.evaluation.bias import click_bias, shown_by

RANKINGS = pa.table(
    {
        "email_lower": ["ann"] * 5 + ["bob"] + ["ann"],
        "system": ["sql"] * 6 + ["gnn"],
        "rank": [1, 2, 3, 4, 5, 1, 1],
        "base_sku": ["a", "b", "c", "d", "e", "a", "f"],
    }
)


def test_only_the_first_four_of_that_system_and_user_count() -> None:
    """Rank 4 is shown, rank 5 is not; another user's or system's parts are not."""
    clicks = pa.table(
        {
            "email_lower": ["ann", "ann", "ann", "bob", "bob", "ann", "ann"],
            "base_sku": ["d", "e", "f", "a", "b", "z", "d"],
        }
    )
    assert shown_by(RANKINGS, clicks).tolist() == [True, False, False, True, False, False, True]


def test_share_counts_clicks_not_pairs() -> None:
    """Two clicks on one shown part are two clicks."""
    clicks = pa.table({"email_lower": ["ann", "ann", "ann"], "base_sku": ["a", "a", "z"]})
    bias = click_bias(shown_by(RANKINGS, clicks))
    assert bias == {"system": "sql", "top": 4, "clicks": 3, "clicks_on_shown_parts": 2, "share": 2 / 3}


def test_without_clicks_there_is_no_share() -> None:
    """A share of nothing does not exist."""
    clicks = pa.table({"email_lower": pa.array([], pa.string()), "base_sku": pa.array([], pa.string())})
    assert click_bias(shown_by(RANKINGS, clicks))["share"] is None
