"""Ranking metrics: known answers, properties, agreement with a slow reference, malformed input."""

from __future__ import annotations

import math
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holley_assets.evaluation.metrics import (
    METRICS,
    SCOPES,
    EvaluationError,
    compute_metrics,
    held_out_clicks,
    hit_matrix,
    hit_rate_at,
    ndcg_at,
    recall_at,
    reciprocal_rank,
    score_systems,
)

Rows = dict[str, list[str]]


def rankings_table(by_system: dict[str, Rows]) -> pa.Table:
    """Rankings from lists of parts, best first, by system and user."""
    rows = [
        {"email_lower": user, "system": system, "rank": rank, "base_sku": part, "score": -float(rank)}
        for system, rows in by_system.items()
        for user, parts in rows.items()
        for rank, part in enumerate(parts, start=1)
    ]
    schema = pa.schema(
        [
            ("email_lower", pa.string()),
            ("system", pa.string()),
            ("rank", pa.int64()),
            ("base_sku", pa.string()),
            ("score", pa.float64()),
        ]
    )
    return pa.Table.from_pylist(rows, schema=schema)


def clicks_table(clicks: Rows) -> pa.Table:
    """Clicks from lists of parts by user."""
    pairs = [(user, part) for user, parts in clicks.items() for part in parts]
    return pa.table(
        {
            "email_lower": pa.array([user for user, _ in pairs], pa.string()),
            "base_sku": pa.array([part for _, part in pairs], pa.string()),
        }
    )


def users_table(tiers: dict[str, str]) -> pa.Table:
    """Users with their tier."""
    return pa.table(
        {
            "email_lower": pa.array(list(tiers), pa.string()),
            "engagement_tier": pa.array(list(tiers.values()), pa.string()),
        }
    )


def test_metrics_by_hand() -> None:
    """Ann: hits at 2 and 6 of three clicked parts; Bob: no ranking; Cid: one clicked part, at rank 1."""
    rankings = rankings_table({"gnn": {"ann": ["x1", "a", "x2", "x3", "x4", "b"], "cid": ["c", "x1"]}})
    clicks = clicks_table({"ann": ["a", "b", "z"], "bob": ["b"], "cid": ["c", "c"]})
    users = users_table({"ann": "cold", "bob": "cold", "cid": "hot", "dan": "warm"})

    table = compute_metrics(rankings, clicks, users, ["gnn"])["gnn"]

    assert table["overall"]["users"] == 3
    assert table["overall"]["hit_rate@4"] == pytest.approx(2 / 3)
    assert table["overall"]["mrr"] == pytest.approx((1 / 2 + 0 + 1) / 3)
    cold = table["cold"]
    assert cold["users"] == 2
    assert cold["hit_rate@4"] == pytest.approx(1 / 2)
    assert cold["recall@1"] == 0.0
    assert cold["recall@5"] == pytest.approx((1 / 3) / 2)
    assert cold["recall@10"] == pytest.approx((2 / 3) / 2)
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert cold["ndcg@10"] == pytest.approx((1 / math.log2(3) + 1 / math.log2(7)) / ideal / 2)
    assert table["hot"] == {"users": 1, **dict.fromkeys(METRICS, 1.0)}


def test_an_empty_tier_has_no_metrics() -> None:
    """A mean over nobody does not exist; 0 would read as a failure."""
    rankings = rankings_table({"gnn": {"ann": ["a"]}})
    table = compute_metrics(rankings, clicks_table({"ann": ["a"]}), users_table({"ann": "cold"}), ["gnn"])
    assert table["gnn"]["warm"] == {"users": 0, **dict.fromkeys(METRICS)}


def test_no_clicks_at_all() -> None:
    """Every scope of every system is empty."""
    table = compute_metrics(
        rankings_table({}), clicks_table({}), users_table({"ann": "cold"}), ["gnn", "sql"]
    )
    assert all(table[system][scope]["users"] == 0 for system in ("gnn", "sql") for scope in SCOPES)
    assert all(table["sql"]["overall"][name] is None for name in METRICS)


def test_all_systems_are_measured_on_the_same_users() -> None:
    """A system that ranks for one of two users gets no credit for its silence."""
    rankings = rankings_table({"gnn": {"ann": ["a"]}, "sql": {"ann": ["a"], "bob": ["x"]}})
    clicks, users = clicks_table({"ann": ["a"], "bob": ["b"]}), users_table({"ann": "cold", "bob": "cold"})
    table = compute_metrics(rankings, clicks, users, ["gnn", "sql"])
    assert table["gnn"]["overall"] == table["sql"]["overall"]
    assert table["gnn"]["overall"]["hit_rate@4"] == 0.5


def test_hits_beyond_rank_20_do_not_count() -> None:
    """The depth of the evaluation is 20, however long a ranking is."""
    parts = [f"x{number}" for number in range(20)] + ["a"]
    rankings, clicks = rankings_table({"gnn": {"ann": parts}}), clicks_table({"ann": ["a"]})
    table = compute_metrics(rankings, clicks, users_table({"ann": "cold"}), ["gnn"])
    assert table["gnn"]["overall"]["mrr"] == 0.0


def test_dictionary_encoded_columns_are_read_alike() -> None:
    """Low-cardinality columns come dictionary-encoded from Parquet."""
    rankings = rankings_table({"gnn": {"ann": ["x", "a"]}})
    clicks, users = clicks_table({"ann": ["a"]}), users_table({"ann": "warm"})
    encoded = rankings
    for index, name in enumerate(rankings.column_names):
        if pa.types.is_string(rankings.schema.field(name).type):
            encoded = encoded.set_column(index, name, rankings.column(name).dictionary_encode())
    assert compute_metrics(encoded, clicks, users, ["gnn"]) == compute_metrics(
        rankings, clicks, users, ["gnn"]
    )


@pytest.mark.parametrize(
    ("ranks", "parts", "words"),
    [
        ([1, 3], ["a", "b"], "ranks that are not"),
        ([1, 1], ["a", "b"], "ranks that are not"),
        ([0, 1], ["a", "b"], "ranks that are not"),
        ([2, 3], ["a", "b"], "ranks that are not"),
        ([1, 2], ["a", "a"], "twice"),
        ([1, None], ["a", "b"], "have no rank"),
        ([1, 2], ["a", None], "have no base_sku"),
    ],
)
def test_malformed_rankings_are_refused(ranks: list[int | None], parts: list[str | None], words: str) -> None:
    """A ranking with a defect has no meaningful metric."""
    rankings = pa.table(
        {
            "email_lower": ["ann", "ann"],
            "system": ["gnn", "gnn"],
            "rank": pa.array(ranks, pa.int64()),
            "base_sku": pa.array(parts, pa.string()),
        }
    )
    with pytest.raises(EvaluationError, match=words):
        compute_metrics(rankings, clicks_table({"ann": ["a"]}), users_table({"ann": "cold"}), ["gnn"])


def test_a_misspelled_system_is_refused() -> None:
    """It would otherwise look like a system that always misses."""
    rankings = rankings_table({"gnn": {"ann": ["a"]}})
    truth = held_out_clicks(clicks_table({"ann": ["a"]}), users_table({"ann": "cold"}))
    with pytest.raises(EvaluationError, match=r"no row of system gmm; they hold gnn"):
        score_systems(rankings, truth, ["gmm"])


@pytest.mark.parametrize(
    ("users", "words"),
    [
        (users_table({"bob": "cold"}), "1 users with test clicks have no row"),
        (pa.concat_tables([users_table({"ann": "cold"}), users_table({"ann": "hot"})]), "more than one row"),
        (users_table({"ann": "lukewarm"}), "none of cold, warm, hot"),
        (pa.table({"email_lower": ["ann"]}), "no column engagement_tier"),
    ],
)
def test_unusable_users_are_refused(users: pa.Table, words: str) -> None:
    """A test user has exactly one known tier; the message names no address."""
    with pytest.raises(EvaluationError, match=words) as caught:
        held_out_clicks(clicks_table({"ann": ["a"]}), users)
    assert "ann" not in str(caught.value).replace("rankings", "")


PARTS = [f"p{number}" for number in range(12)]
USERS = ["ann", "bob", "cid", "dan"]
rankings_strategy = st.dictionaries(
    st.sampled_from(USERS), st.lists(st.sampled_from(PARTS), unique=True, max_size=12), min_size=1
)
clicks_strategy = st.dictionaries(
    st.sampled_from(USERS), st.lists(st.sampled_from(PARTS), min_size=1, max_size=6), min_size=1
)


def slow_metrics(ranking: list[str], clicked: set[str]) -> dict[str, float]:
    """The definitions, one user at a time."""
    ranks = [rank for rank, part in enumerate(ranking, start=1) if part in clicked]
    result = {"hit_rate@4": float(any(rank <= 4 for rank in ranks)), "mrr": 1 / min(ranks) if ranks else 0.0}
    for k in (1, 5, 10, 20):
        result[f"recall@{k}"] = sum(rank <= k for rank in ranks) / len(clicked)
    gain = sum(1 / math.log2(rank + 1) for rank in ranks if rank <= 10)
    result["ndcg@10"] = gain / sum(1 / math.log2(rank + 1) for rank in range(1, min(len(clicked), 10) + 1))
    return result


@given(rankings=rankings_strategy, clicks=clicks_strategy, order=st.randoms(use_true_random=False))
@settings(max_examples=60)
def test_agrees_with_a_slow_reference_in_any_row_order(
    rankings: Rows, clicks: Rows, order: random.Random
) -> None:
    """The hit matrix gives what the definitions give, whatever order the rows come in."""
    table = rankings_table({"gnn": rankings})
    if table.num_rows == 0:
        return
    rows = list(range(table.num_rows))
    order.shuffle(rows)
    tiers = dict.fromkeys(USERS, "cold")
    measured = compute_metrics(table.take(rows), clicks_table(clicks), users_table(tiers), ["gnn"])["gnn"]
    expected = [slow_metrics(rankings.get(user, []), set(parts)) for user, parts in clicks.items()]
    for name in METRICS:
        assert measured["overall"][name] == pytest.approx(np.mean([row[name] for row in expected]))
        assert measured["cold"] == measured["overall"]


@given(
    hits=st.lists(st.lists(st.booleans(), min_size=20, max_size=20), min_size=1, max_size=8),
    extra=st.integers(0, 5),
)
@settings(max_examples=60)
def test_metrics_are_bounded_and_grow_with_k(hits: list[list[bool]], extra: int) -> None:
    """Each lies in [0, 1]; a deeper cut-off never lowers hit rate or recall."""
    matrix = np.array(hits)
    relevant = np.maximum(matrix.sum(axis=1) + extra, 1)
    for k in range(1, 21):
        assert (hit_rate_at(matrix, k) >= hit_rate_at(matrix, max(k - 1, 1))).all()
        assert (recall_at(matrix, relevant, k) >= recall_at(matrix, relevant, max(k - 1, 1))).all()
    for values in (recall_at(matrix, relevant, 20), reciprocal_rank(matrix), ndcg_at(matrix, relevant, 10)):
        assert ((values >= 0.0) & (values <= 1.0 + 1e-12)).all()
    assert ((hit_rate_at(matrix, 20) > 0) == (reciprocal_rank(matrix) > 0)).all()


@given(relevant=st.integers(1, 20))
def test_a_perfect_ranking_scores_one(relevant: int) -> None:
    """All clicked parts on top: everything that can be 1 is 1."""
    hits = (np.arange(20) < relevant)[None, :]
    counts = np.array([relevant])
    assert hit_rate_at(hits, 4) == 1.0
    assert reciprocal_rank(hits) == 1.0
    assert recall_at(hits, counts, 20) == 1.0
    assert ndcg_at(hits, counts, 10) == pytest.approx(1.0)


def test_hit_matrix_ignores_other_systems_and_other_users() -> None:
    """Only the named system's rows of test users are hits."""
    rankings = rankings_table({"gnn": {"ann": ["x", "a"], "zoe": ["a"]}, "sql": {"ann": ["a"]}})
    truth = held_out_clicks(clicks_table({"ann": ["a"]}), users_table({"ann": "cold", "zoe": "cold"}))
    assert hit_matrix(rankings, "gnn", truth, depth=3).tolist() == [[False, True, False]]
