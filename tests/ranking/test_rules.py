"""Known answers of the rules, worked by hand."""

from __future__ import annotations

import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from holley_assets.ranking import (
    PairScorer,
    RandomScorer,
    Ranking,
    RankingError,
    RankingOptions,
    Scorer,
    build_candidates,
    rank_users,
)

VIEW_END = datetime.date(2026, 2, 1)
OPTIONS = RankingOptions(depth=4, maximum_per_part_type=2, purchase_exclusion_days=365)


def fitment(*rows: tuple[int, str, str | None], make: str = "CHEVROLET", model: str = "CAMARO") -> pa.Table:
    """Rows of (year, base SKU, variant), the same variant in both views."""
    years, base_skus, skus = zip(*rows, strict=True)
    return pa.table(
        {
            "year": pa.array(years, pa.int64()),
            "make": [make] * len(rows),
            "model": [model] * len(rows),
            "base_sku": pa.array(base_skus, pa.string()),
            "sku": pa.array(skus, pa.string()),
            "serving_sku": pa.array(skus, pa.string()),
        }
    )


def parts(**types: str | None) -> pa.Table:
    return pa.table({"sku": list(types), "part_type": pa.array(list(types.values()), pa.string())})


def user(email: str, year: int | None, make: str = "CHEVROLET", model: str = "CAMARO") -> dict[str, Any]:
    return {"email_lower": email, "year": year, "make": make, "model": model, "profile": 0}


def scores(**by_part: float) -> PairScorer:
    rows = [
        {"make": "CHEVROLET", "model": "CAMARO", "base_sku": base_sku, "score": score}
        for base_sku, score in by_part.items()
    ]
    return PairScorer(pa.Table.from_pylist(rows))


def rank(
    users: list[dict[str, Any]],
    fits: pa.Table,
    variants: pa.Table,
    scorer: Scorer,
    *purchases: tuple[str, str, datetime.date],
    apply_rules: bool = True,
    options: RankingOptions = OPTIONS,
) -> Ranking:
    emails, base_skus, days = zip(*purchases, strict=True) if purchases else ((), (), ())
    return rank_users(
        pa.Table.from_pylist(users),
        build_candidates(fits, variants, view="training", apply_rules=apply_rules),
        scorer,
        purchases=pa.table(
            {
                "email_lower": pa.array(emails, pa.string()),
                "base_sku": pa.array(base_skus, pa.string()),
                "order_date": pa.array(days, pa.date32()),
            }
        ),
        view_end=VIEW_END,
        options=options,
    )


def shown(ranking: Ranking, column: str = "base_sku") -> dict[str, list[Any]]:
    result: dict[str, list[Any]] = {}
    for row in ranking.to_table("test").to_pylist():
        result.setdefault(row["email_lower"], []).append(row[column])
    return result


def test_a_part_goes_only_to_the_years_it_fits() -> None:
    ranking = rank(
        [user("new", 2018), user("old", 1967)],
        fitment((1967, "A", "A"), (2018, "B", "B"), (1967, "C", "C"), (2018, "C", "C")),
        parts(A="1", B="2", C="3"),
        scores(A=3.0, B=2.0, C=1.0),
    )
    assert shown(ranking) == {"new": ["B", "C"], "old": ["A", "C"]}


def test_best_score_first_and_ties_by_base_sku_not_by_variant() -> None:
    ranking = rank(
        [user("a", 1967)],
        fitment((1967, "B", "A"), (1967, "A", "Z"), (1967, "C", "C")),
        parts(A="1", C="2", Z="3"),
        scores(A=1.0, B=1.0, C=2.0),
    )
    assert shown(ranking) == {"a": ["C", "A", "B"]}
    assert shown(ranking, "sku") == {"a": ["C", "Z", "A"]}
    assert shown(ranking, "rank") == {"a": [1, 2, 3]}
    assert shown(ranking, "score") == {"a": [2.0, 1.0, 1.0]}


def test_a_part_type_appears_twice_at_most_and_no_type_counts_as_one() -> None:
    ranking = rank(
        [user("a", 1967)],
        fitment(*((1967, name, name) for name in "ABCDEFG")),
        parts(A="HOOD", B="HOOD", C="HOOD", D=None, E=None, F=None, G="UNKNOWN"),
        scores(A=7.0, B=6.0, C=5.0, D=4.0, E=3.0, F=2.0, G=1.0),
        options=RankingOptions(depth=7, maximum_per_part_type=2, purchase_exclusion_days=365),
    )
    assert shown(ranking) == {"a": ["A", "B", "D", "E", "G"]}


def test_the_type_is_that_of_the_variant_shown_for_the_vehicle() -> None:
    """B is a hood in 1967 and a wheel in 2018."""
    ranking = rank(
        [user("new", 2018), user("old", 1967)],
        fitment(
            *((year, name, name) for name in "AC" for year in (1967, 2018)),
            (1967, "B", "B1"),
            (2018, "B", "B2"),
        ),
        parts(A="HOOD", B1="HOOD", B2="WHEEL", C="HOOD"),
        scores(A=3.0, B=2.0, C=1.0),
    )
    assert shown(ranking) == {"new": ["A", "B", "C"], "old": ["A", "B"]}


@pytest.mark.parametrize(
    ("day", "excluded"),
    [
        (VIEW_END, False),
        (VIEW_END - datetime.timedelta(days=1), True),
        (VIEW_END - datetime.timedelta(days=365), True),
        (VIEW_END - datetime.timedelta(days=366), False),
    ],
)
def test_orders_of_the_last_365_days_before_the_end_are_excluded(day: datetime.date, excluded: bool) -> None:
    ranking = rank(
        [user("buyer", 1967), user("neighbour", 1967)],
        fitment((1967, "A", "A"), (1967, "B", "B")),
        parts(A="1", B="2"),
        scores(A=2.0, B=1.0),
        ("buyer", "A", day),
        ("stranger", "B", day),
    )
    assert shown(ranking) == {"buyer": ["B"] if excluded else ["A", "B"], "neighbour": ["A", "B"]}


def test_an_excluded_part_makes_room_within_its_type_and_behind_the_last_place() -> None:
    ranking = rank(
        [user("buyer", 1967), user("neighbour", 1967)],
        fitment(*((1967, name, name) for name in "ABCDEF")),
        parts(A="HOOD", B="HOOD", C="HOOD", D="1", E="2", F="3"),
        scores(A=6.0, B=5.0, C=4.0, D=3.0, E=2.0, F=1.0),
        ("buyer", "A", datetime.date(2026, 1, 1)),
    )
    assert shown(ranking) == {"buyer": ["B", "C", "D", "E"], "neighbour": ["A", "B", "D", "E"]}


def test_who_ordered_everything_gets_nothing() -> None:
    ranking = rank(
        [user("buyer", 1967), user("neighbour", 1967)],
        fitment((1967, "A", "A")),
        parts(A="1"),
        scores(A=1.0),
        ("buyer", "A", datetime.date(2026, 1, 1)),
    )
    assert shown(ranking) == {"neighbour": ["A"]}
    assert ranking.counts().tolist() == [0, 1]


def test_users_whose_vehicle_is_unknown_or_has_no_eligible_part_get_nothing() -> None:
    ranking = rank(
        [user("none", None), user("thin", 1968), user("unknown", 1999), user("other", 1967, make="FORD")],
        fitment((1967, "A", "A"), (1968, "A", None)),
        parts(A="1"),
        scores(A=1.0),
    )
    assert shown(ranking) == {}
    assert ranking.to_table("test").num_rows == 0


def test_before_rules_every_part_that_fits_is_ranked() -> None:
    ranking = rank(
        [user("a", 1967)],
        fitment(*((1967, name, name) for name in "ABC"), (1967, "D", None)),
        parts(A="HOOD", B="HOOD", C="HOOD"),
        scores(A=4.0, B=3.0, C=2.0, D=1.0),
        ("a", "A", datetime.date(2026, 1, 1)),
        apply_rules=False,
    )
    assert shown(ranking) == {"a": ["A", "B", "C", "D"]}
    assert shown(ranking, "sku") == {"a": ["A", "B", "C", None]}


def test_users_with_one_vehicle_and_profile_are_ranked_once() -> None:
    users = [user(f"{number:03}", 1967) for number in range(200)]
    ranking = rank(
        users,
        fitment((1967, "A", "A"), (1967, "B", "B"), (2018, "B", "B")),
        parts(A="1", B="2"),
        scores(A=1.0, B=2.0),
        # Of these purchases only the first concerns a part that would be shown.
        ("007", "A", datetime.date(2026, 1, 1)),
        ("008", "ELSEWHERE", datetime.date(2026, 1, 1)),
    )
    assert ranking.request_count == 2
    assert ranking.to_table("test").num_rows == 399


def test_a_random_ranking_depends_on_user_and_part_alone() -> None:
    users = [user("a", 1967), user("b", 1967), user("c", 1967)]
    names = [f"P{number}" for number in range(30)]
    fits, variants = fitment(*((1967, name, name) for name in names)), parts(**dict.fromkeys(names))
    options = RankingOptions(depth=30, maximum_per_part_type=30, purchase_exclusion_days=365)
    everything = shown(rank(users, fits, variants, RandomScorer(seed=1), options=options))
    assert len({tuple(order) for order in everything.values()}) == 3
    fewer = shown(rank(users[1:2], fits.slice(10), variants, RandomScorer(seed=1), options=options))
    assert fewer["b"] == [name for name in everything["b"] if name in names[10:]]
    assert shown(rank(users, fits, variants, RandomScorer(seed=2), options=options)) != everything


@pytest.mark.parametrize(
    ("users", "problem"),
    [
        ([user("a", 1967), user("a", 1967)], "an e-mail occurs twice"),
        ([{**user("a", 1967), "email_lower": None}, user("a", 1967)], "1 e-mails are null"),
    ],
)
def test_users_must_be_distinct(users: list[dict[str, Any]], problem: str) -> None:
    with pytest.raises(RankingError, match=problem):
        rank(users, fitment((1967, "A", "A")), parts(A="1"), scores(A=1.0))


def test_options_below_one_are_refused() -> None:
    with pytest.raises(RankingError, match="depth is 0"):
        RankingOptions(depth=0, maximum_per_part_type=2, purchase_exclusion_days=365)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_is_an_error_that_names_the_part(value: float) -> None:
    with pytest.raises(
        RankingError, match=f"pairs: 1 scores for CHEVROLET CAMARO are not finite.* {value} for part B"
    ):
        rank(
            [user("a", 1967)],
            fitment((1967, "A", "A"), (1967, "B", "B"), (1967, "C", "C")),
            parts(A="1", B="2", C="3"),
            scores(A=1.0, B=value, C=2.0),
        )
