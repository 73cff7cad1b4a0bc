"""Shards of users, ranked apart and put together, are what all users are when they are ranked at once."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holley_assets.ranking import (
    EmbeddingScorer,
    RankingError,
    RankingOptions,
    build_candidates,
    rank_users,
)
from holley_assets.ranking.sharding import merge_shards, take_shard

PARTS = [f"P{number}" for number in range(12)]
MODELS = ("GT", "MUSTANG", "BRONCO")
TODAY = datetime.date(2026, 2, 1)


def users_of(profiles: list[int]) -> pa.Table:
    return pa.table(
        {
            "email_lower": [f"user{number:02}@x.com" for number in range(len(profiles))],
            "year": [1967] * len(profiles),
            "make": ["FORD"] * len(profiles),
            # A profile is of one car; a car nobody has parts for is there too.
            "model": [(*MODELS, "UNKNOWN")[profile % 4] for profile in profiles],
            "profile": pa.array(profiles, pa.int32()),
        }
    )


@given(
    profiles=st.lists(st.integers(0, 9), max_size=25),
    shards=st.integers(1, 6),
    seed=st.integers(0, 1000),
)
@settings(max_examples=25)
def test_shards_put_together_are_the_whole(profiles: list[int], shards: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    users = users_of(profiles)
    fits = [(model, part) for model in MODELS for part in PARTS if random.random() < 0.8]
    fitment = pa.table(
        {
            "year": [1967] * len(fits),
            "make": ["FORD"] * len(fits),
            "model": [model for model, _ in fits],
            **{name: [part for _, part in fits] for name in ("base_sku", "sku", "serving_sku")},
        }
    )
    catalogue = pa.table({"sku": PARTS, "part_type": [f"type {number % 4}" for number in range(len(PARTS))]})
    buyers = [email for email in users["email_lower"].to_pylist() if random.random() < 0.5]
    purchases = pa.table(
        {
            "email_lower": pa.array(buyers, pa.string()),
            "base_sku": pa.array([PARTS[random.integers(len(PARTS))] for _ in buyers], pa.string()),
            "order_date": pa.array([TODAY - datetime.timedelta(days=9)] * len(buyers), pa.date32()),
        }
    )
    scorer = EmbeddingScorer(
        random.standard_normal((10, 4)).astype(np.float32),
        random.standard_normal((len(PARTS), 4)).astype(np.float32),
        PARTS,
    )
    candidates = build_candidates(fitment, catalogue, view="training", apply_rules=True)

    def rank(some: pa.Table) -> pa.Table:
        options = RankingOptions(depth=4, maximum_per_part_type=2, purchase_exclusion_days=365)
        ranking = rank_users(some, candidates, scorer, purchases=purchases, view_end=TODAY, options=options)
        return ranking.to_table("gnn")

    parts = [take_shard(users, number, shards) for number in range(shards)]
    assert sum(part.num_rows for part in parts) == users.num_rows
    assert merge_shards(map(rank, parts)).equals(rank(users).combine_chunks())


def test_users_of_one_profile_are_in_one_shard() -> None:
    shards = [take_shard(users_of([0, 1, 2, 3, 2, 0]), number, 2)["profile"].to_pylist() for number in (0, 1)]
    assert shards == [[0, 2, 2, 0], [1, 3]]


@pytest.mark.parametrize(("number", "shards"), [(-1, 2), (2, 2), (0, 0)])
def test_a_shard_that_is_not_there_is_refused(number: int, shards: int) -> None:
    with pytest.raises(RankingError, match=rf"shard {number} of {shards}"):
        take_shard(users_of([0]), number, shards)


def test_a_user_without_a_profile_is_refused() -> None:
    users = users_of([0, 1])
    users = users.set_column(4, "profile", pa.array([0, None], pa.int32()))
    with pytest.raises(RankingError, match="1 have no profile"):
        take_shard(users, 0, 1)
