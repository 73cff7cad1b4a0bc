from __future__ import annotations

import datetime
from typing import Any

import pyarrow as pa
import pytest

from holley_assets.ranking import (
    PairScorer,
    Ranking,
    RankingError,
    RankingOptions,
    build_candidates,
    rank_users,
)
from holley_assets.ranking.recommendations import wide_table

NOW = datetime.datetime(2026, 2, 1, 12, 30, tzinfo=datetime.UTC)
BASE_SKUS = ["A", "B", "C", "D", "E"]
PARTS = pa.table(
    {
        "sku": ["AG", "B", "C", "D", "E"],
        "part_type": ["1", "2", "3", "4", "5"],
        "price": [1.0, 1.0, 1.0, 1.0, 1.0],
        "serving_price": [50.0, 60.0, 70.0, 80.0, 90.0],
        "image": ["old"] * 5,
        "serving_image": [f"https://images.example.com/{name}.jpg" for name in BASE_SKUS],
    }
)
USERS = pa.table(
    {
        "email_lower": ["four@x", "buyer@x", "three@x", "thin@x", "unknown@x"],
        "year": [1967, 1968, 1968, 1969, 1999],
        "make": ["FORD"] * 5,
        "model": ["GT"] * 5,
    }
)


def ranking(view: Any = "serving", *, depth: int = 5, apply_rules: bool = True) -> Ranking:
    """1967 has five parts, 1968 three, 1969 two."""
    fits = (
        [(1967, name) for name in BASE_SKUS] + [(1968, name) for name in "ABC"] + [(1969, "A"), (1969, "B")]
    )
    variants = ["AG" if name == "A" else name for _, name in fits]
    fitment = pa.table(
        {
            "year": [year for year, _ in fits],
            "make": ["FORD"] * len(fits),
            "model": ["GT"] * len(fits),
            "base_sku": [name for _, name in fits],
            "sku": variants,
            "serving_sku": variants,
        }
    )
    scores = pa.table(
        {"make": ["FORD"] * 5, "model": ["GT"] * 5, "base_sku": BASE_SKUS, "score": [5.0, 4.0, 3.0, 2.0, 1.0]}
    )
    return rank_users(
        USERS,
        build_candidates(fitment, PARTS, view=view, apply_rules=apply_rules),
        PairScorer(scores),
        purchases=pa.table(
            {"email_lower": ["buyer@x"], "base_sku": ["B"], "order_date": [datetime.date(2026, 1, 1)]}
        ),
        view_end=datetime.date(2026, 2, 1),
        options=RankingOptions(depth=depth, maximum_per_part_type=2, purchase_exclusion_days=365),
    )


def wide(
    ranked: Ranking, users: pa.Table = USERS, view: Any = "serving", **options: Any
) -> tuple[pa.Table, dict[str, int]]:
    settings = {"minimum_parts": 3, "maximum_parts": 4, "generated_at": NOW, "model_version": "v1"}
    return wide_table(ranked, users, PARTS, view, **{**settings, **options})


def test_the_schema_is_the_contract() -> None:
    table, _ = wide(ranking())
    slots = [
        name
        for slot in (1, 2, 3, 4)
        for name in (f"rec_part_{slot}", f"rec{slot}_price", f"rec{slot}_score", f"rec{slot}_image")
    ]
    assert table.column_names == [
        *("email_lower", "year", "make", "model"),
        *slots,
        *("generated_at", "model_version"),
    ]
    for field in table.schema:
        if field.name == "generated_at":
            assert field.type == pa.timestamp("us", tz="UTC")
        else:
            assert field.type == (pa.float64() if field.name.endswith(("_price", "_score")) else pa.string())


def test_rows_are_sorted_and_complete_and_who_has_too_few_parts_is_counted() -> None:
    table, dropped = wide(ranking())
    assert table["email_lower"].to_pylist() == ["four@x", "three@x"]
    four, three = table.to_pylist()
    assert four == {
        "email_lower": "four@x",
        "year": "1967",
        "make": "FORD",
        "model": "GT",
        **{f"rec_part_{slot}": sku for slot, sku in enumerate(["AG", "B", "C", "D"], 1)},
        **{f"rec{slot}_price": price for slot, price in enumerate([50.0, 60.0, 70.0, 80.0], 1)},
        **{f"rec{slot}_score": score for slot, score in enumerate([5.0, 4.0, 3.0, 2.0], 1)},
        **{
            f"rec{slot}_image": f"https://images.example.com/{name}.jpg"
            for slot, name in enumerate("ABCD", 1)
        },
        "generated_at": NOW,
        "model_version": "v1",
    }
    assert three["rec_part_3"] == "C"
    assert [three[name] for name in ("rec_part_4", "rec4_price", "rec4_score", "rec4_image")] == [None] * 4
    assert dropped == {
        "vehicle without parts": 1,
        "fewer than 3 eligible parts": 1,
        "fewer than 3 parts after the user's rules": 1,
    }


def test_fewer_slots_and_a_lower_minimum_are_settings() -> None:
    table, dropped = wide(ranking(), minimum_parts=1, maximum_parts=2)
    assert table["email_lower"].to_pylist() == ["buyer@x", "four@x", "thin@x", "three@x"]
    assert table["rec_part_2"].to_pylist() == ["C", "B", "B", "B"]
    assert table["rec_part_3"].null_count == 4
    assert sum(dropped.values()) == 1


def test_nobody_with_enough_parts_is_an_empty_table() -> None:
    users = USERS.slice(4)
    ranked = rank_users(
        users,
        ranking().candidates,
        PairScorer(pa.table({"make": [], "model": [], "base_sku": [], "score": []}), missing=0.0),
        purchases=None,
        view_end=datetime.date(2026, 2, 1),
        options=RankingOptions(4, 2, 365),
    )
    table, dropped = wide(ranked, users)
    assert table.num_rows == 0
    assert dropped["vehicle without parts"] == 1


@pytest.mark.parametrize(
    ("ranked", "options", "problem"),
    [
        ({"depth": 3}, {}, "holds 3 parts a user; 4 are wanted"),
        ({"view": "training"}, {}, "only a ranking of view serving with the rules applied"),
        ({"apply_rules": False}, {}, "only a ranking of view serving with the rules applied"),
        ({}, {"users": USERS.slice(1)}, "the ranking is of other users"),
        ({}, {"maximum_parts": 5}, "must be from 1 to 4"),
        ({}, {"generated_at": NOW.replace(tzinfo=None)}, "needs a time zone"),
    ],
)
def test_what_must_not_be_delivered_is_refused(
    ranked: dict[str, Any], options: dict[str, Any], problem: str
) -> None:
    with pytest.raises(RankingError, match=problem):
        wide(ranking(**ranked), **options)
