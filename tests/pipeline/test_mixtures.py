"""What mixtures are chosen by and made of, from the tables of a run: answers worked out by hand."""

from __future__ import annotations

import datetime
import math

import numpy as np
import pyarrow as pa
import pytest

from holley_assets.pipeline.mixtures import (
    MixtureTables,
    delivered_scorer,
    mixed_scorers,
    mixtures_section,
    read_held_out_choices,
)
from holley_assets.ranking import EmbeddingScorer, Scorer, build_candidates
from holley_assets.ranking.leave_out import TierMinimums
from holley_assets.ranking.mixtures import MIXTURE_SCHEMA

SKUS = ["A", "B", "C"]
CAR = {"make": "FORD", "model": "GT"}
CUTOFF = datetime.date(2026, 1, 2)
FITMENT = pa.table(
    {
        "year": [1967] * 3,
        **{name: [value] * 3 for name, value in CAR.items()},
        **dict.fromkeys(("base_sku", "sku", "serving_sku"), SKUS),
    }
)
PARTS = pa.table({"sku": SKUS, "part_type": SKUS})
POPULARITY = pa.table(
    {
        **{name: [value] * 3 for name, value in CAR.items()},
        "base_sku": SKUS,
        "segment_orders": [7, 3, 0],
        "make_orders": [7, 3, 0],
        "orders": [7, 3, 1],
        "sql_score": [1.0, 2.0, 3.0],
        "serving_sql_score": [6.0, 5.0, 4.0],
    }
)
# Of the cold, warm and hot user; each has a profile of its own, in another order.
USERS = pa.table({"tier": ["hot", "cold", "warm"], "profile": pa.array([2, 0, 1], pa.int32())})


def embeddings(key: str, keys: list[object], rows: list[list[float]]) -> pa.Table:
    """As of the cutoff; as of today every vector is another."""
    return pa.table(
        {
            "view": ["training"] * len(keys) + ["serving"] * len(keys),
            key: keys * 2,
            "embedding": pa.array(rows + [[9.0] * 3] * len(keys), pa.list_(pa.float32(), 3)),
        }
    )


def weights(alpha: dict[str, float], beta: float = 0.0, sql_temperature: float = 0.5) -> pa.Table:
    rows: list[tuple[str, str | None, str, float]] = [
        ("hybrid", tier, "alpha", value) for tier, value in alpha.items()
    ]
    rows += [("hybrid", None, "sql_temperature", sql_temperature), ("sql_similar", None, "beta", beta)]
    return pa.Table.from_pylist(
        [
            {"system": system, "tier": tier, "parameter": name, "value": value, "chosen": True}
            for system, tier, name, value in rows
        ],
        schema=MIXTURE_SCHEMA,
    )


def scores(scorer: Scorer, *profiles: int) -> np.ndarray:
    candidates = build_candidates(FITMENT, PARTS, view="training", apply_rules=True)
    return scorer.bind(candidates)(np.array(profiles), slice(0, 3))


GNN = EmbeddingScorer(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32), SKUS)
ALPHAS = {"cold": 0.25, "warm": 0.5, "hot": 1.0}


@pytest.fixture
def tables() -> MixtureTables:
    """A visit of Anna, whose own vector knows of it. She ordered A on its day, which counts once.

    Of three more lines one is of the cutoff, one is no order of its own and one is in the shop's own table already.
    """
    day = datetime.date(2025, 12, 20)
    orders = [
        ("anna", "A", day, True, True),
        ("anna", "A", CUTOFF, True, True),
        ("anna", "A", day, False, True),
        ("anna", "A", day, True, False),
    ]
    emails, base_skus, dates, counts, popular = zip(*orders, strict=True)
    return MixtureTables(
        held_out_visits=pa.table(
            {
                "visit": [4],
                "email_lower": ["anna"],
                "visit_date": [day],
                "year": [1967],
                **{name: [value] for name, value in CAR.items()},
                "profile": [1],
                "cold_profile": [0],
                "tier": ["warm"],
                "base_sku": ["B"],
                "weight": [1.0],
            }
        ),
        held_out_scores=pa.table({"profile": [1], "base_sku": ["B"], "score": [0.125], "similarity": [0.75]}),
        user_embeddings=embeddings("profile", [1, 0], [[0.0, 1.0, 0.0], [0.5, 0.25, 0.0]]),
        product_embeddings=embeddings("base_sku", [*SKUS], np.eye(3).tolist()),
        popularity=POPULARITY,
        fitment=FITMENT,
        parts=PARTS,
        order_lines=pa.table(
            {
                "email_lower": emails,
                "base_sku": base_skus,
                "order_date": dates,
                "counts_as_order": counts,
                "counts_in_popularity": popular,
            }
        ),
        user_nodes=pa.table({"email_lower": ["anna"], **{name: [value] for name, value in CAR.items()}}),
    )


def test_a_visitor_is_judged_by_what_was_known_before_the_visit(tables: MixtureTables) -> None:
    """By the vector of a visitor without history, and by the pipeline without what the visitor ordered."""
    found = read_held_out_choices(tables, TierMinimums(segment=0, make=99, pair=2), cutoff=CUTOFF)
    assert found.scores["gnn"].tolist() == [0.5, 0.25 + 0.125, 0.0]
    assert found.scores["similarity"].tolist() == [0.0, 0.75, 0.0]
    # One order of A is left out: six of seven.
    assert found.scores["sql"] == pytest.approx([10 * math.log(7), 10 * math.log(4), 2 * math.log(2)])
    assert (found.chosen.tolist(), found.tier.tolist()) == ([1], [1])


def test_orders_of_a_car_are_those_that_popularity_counts(tables: MixtureTables) -> None:
    """Anna's one order that counts is left out, so that nobody with the car has ordered anything."""
    for least, tier in ((0, 10), (1, 2)):
        found = read_held_out_choices(tables, TierMinimums(segment=least, make=99, pair=2), cutoff=CUTOFF)
        assert found.scores["sql"][0] == pytest.approx(tier * math.log(7))


def test_a_model_is_delivered_as_itself_or_mixed_with_today_s_pipeline() -> None:
    options = {"popularity": POPULARITY, "users": USERS, "temperature": 2.0}
    assert delivered_scorer("gnn", GNN, weights(ALPHAS), **options) is GNN
    hybrid = delivered_scorer("hybrid", GNN, weights(ALPHAS), **options)
    # Profile 0 is cold, 1 warm and 2 hot; half of a pipeline's score is a logit.
    assert scores(hybrid, 0, 1, 2) == pytest.approx(
        np.array(
            [
                [0.25 * 3.0 + 0.75 * 2.0, 0.25 * 2.5, 0.25 * 2.0],
                [0.5 * 3.0, 0.5 * 2.5 + 0.5 * 2.0, 0.5 * 2.0],
                [3.0, 2.5, 2.0],
            ]
        )
    )


def test_mixtures_are_compared_as_of_the_cutoff() -> None:
    """Of similar parts, those of users with a history as of the cutoff count; profile 0 is cold."""
    history = pa.table(
        {
            "view": ["training", "training", "serving"],
            "profile": pa.array([0, 1, 2], pa.int32()),
            "base_sku": ["A", "B", "C"],
            "similarity": [1.0, 0.5, 1.0],
        }
    )
    found = mixed_scorers(
        GNN,
        weights(ALPHAS, beta=3.0),
        popularity=POPULARITY,
        history_scores=history,
        users=USERS,
        temperature=2.0,
    )
    assert list(found) == ["hybrid", "sql_similar"]
    assert scores(found["hybrid"], 0)[0] == pytest.approx([0.25 * 0.5 + 0.75 * 2.0, 0.25, 0.25 * 1.5])
    assert scores(found["sql_similar"], 0, 1, 2).tolist() == [[1, 2, 3], [1, 2 * 2.5, 3], [1, 2, 3]]


def rankings(**systems: str) -> pa.Table:
    """Two parts for Anna and Bert by each system, in no order."""
    rows = [
        {"email_lower": email, "system": system, "rank": rank, "base_sku": base_sku}
        for system, order in systems.items()
        for email, of_user in zip(("bert", "anna"), order.split(), strict=True)
        for rank, base_sku in ((2, of_user[1]), (1, of_user[0]))
    ]
    return pa.Table.from_pylist(rows)


@pytest.mark.parametrize(
    ("sql", "similar", "equal"),
    [
        # Bert's, then Anna's; Bert has a history.
        ("AB BC", "BA BC", True),
        ("AB BC", "AB CB", False),
        ("AB BC", "AB BA", False),
    ],
)
def test_the_report_says_whether_cold_users_keep_the_pipeline_s_parts(
    sql: str, similar: str, equal: bool
) -> None:
    users = pa.table({"email_lower": ["anna", "bert"], "engagement_tier": ["cold", "warm"]})
    table = rankings(sql=sql, sql_similar=similar, gnn="CA CA")
    section = mixtures_section(weights(ALPHAS, beta=3.0), table, users)
    assert section["sql_similar_equals_sql_for_cold_users"] is equal
    assert (section["alpha"], section["beta"], section["sql_temperature"]) == (ALPHAS, 3.0, 0.5)
    curves = section["curves"]
    assert isinstance(curves, list)
    assert [(row["parameter"], row["tier"], row["value"]) for row in curves] == [
        *(("alpha", tier, value) for tier, value in ALPHAS.items()),
        ("beta", None, 3.0),
    ]
