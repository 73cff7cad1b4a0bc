from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holley_assets.ranking import (
    Candidates,
    EmbeddingScorer,
    HistoryScorer,
    PairScorer,
    ProfileScorer,
    RandomScorer,
    RankingError,
    build_candidates,
)


def candidates_of(base_skus: list[str]) -> Candidates:
    count = len(base_skus)
    fitment = pa.table(
        {
            "year": [1967] * count,
            "make": ["FORD"] * count,
            "model": ["GT"] * count,
            "base_sku": base_skus,
            "sku": base_skus,
            "serving_sku": base_skus,
        }
    )
    parts = pa.table({"sku": base_skus, "part_type": base_skus})
    return build_candidates(fitment, parts, view="training", apply_rules=True)


def unit_rows(random: np.random.Generator, rows: int, dim: int) -> np.ndarray:
    vectors = random.standard_normal((rows, dim)).astype(np.float32)
    of_length_one: np.ndarray = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return of_length_one


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 130), st.floats(1e-3, 1e6))
def test_a_score_does_not_depend_on_what_else_is_in_the_block(seed: int, dim: int, length: float) -> None:
    """Bitwise: one by one, in any block, in any order, with coordinates permuted."""
    random = np.random.default_rng(seed)
    users, products = unit_rows(random, 37, dim) * np.float32(length), unit_rows(random, 53, dim)
    base_skus = [f"P{number:02}" for number in range(53)]
    candidates = candidates_of(base_skus)
    score = EmbeddingScorer(users, products, base_skus).bind(candidates)
    block = score(np.arange(37), slice(0, 53))
    profiles = random.integers(0, 37, 5)
    start, stop = sorted(random.integers(0, 54, 2).tolist())
    assert np.array_equal(score(profiles, slice(start, stop)), block[profiles, start:stop])
    assert np.array_equal(score(np.array([3]), slice(7, 8)), block[3:4, 7:8])
    permuted = random.permutation(dim)
    other = EmbeddingScorer(users[:, permuted], products[:, permuted], base_skus).bind(candidates)
    assert np.array_equal(other(np.arange(37), slice(0, 53)), block)


def test_the_score_is_the_dot_product() -> None:
    random = np.random.default_rng(0)
    users, products = unit_rows(random, 50, 128), unit_rows(random, 200, 128)
    base_skus = [f"P{number:03}" for number in range(200)]
    scores = EmbeddingScorer(users, products, base_skus).bind(candidates_of(base_skus))(
        np.arange(50), slice(0, 200)
    )
    np.testing.assert_allclose(
        scores, users.astype(np.float64) @ products.T.astype(np.float64), rtol=0, atol=4e-7
    )


def test_unit_vectors_of_any_rounding_share_one_scale() -> None:
    """The score of two vectors must not depend on whether a third is a hair longer than 1."""
    random = np.random.default_rng(1)
    users, products = unit_rows(random, 2, 128), unit_rows(random, 3, 128)
    longer = np.concatenate([users[:1], users[1:] * np.float32(1.00001)])
    candidates = candidates_of(["A", "B", "C"])
    plain, beside_a_longer_one = (
        EmbeddingScorer(vectors, products, ["A", "B", "C"]).bind(candidates)(np.array([0]), slice(0, 3))
        for vectors in (users, longer)
    )
    assert np.array_equal(plain, beside_a_longer_one)


def test_embeddings_from_tables_take_the_view_and_the_profile_order() -> None:
    def vectors(rows: list[list[float]]) -> pa.Array:
        return pa.array(rows, pa.list_(pa.float32(), 2))

    users = pa.table(
        {
            "view": ["serving", "training", "training"],
            "profile": pa.array([0, 1, 0], pa.int32()),
            "embedding": vectors([[9, 9], [0, 1], [1, 0]]),
        }
    )
    products = pa.table(
        {
            "view": pa.array(["training", "serving", "training"]).dictionary_encode(),
            "base_sku": ["B", "A", "A"],
            "embedding": vectors([[0.5, 0.25], [9, 9], [0.75, 1]]),
        }
    )
    score = EmbeddingScorer.from_tables(users, products, "training").bind(candidates_of(["A", "B"]))
    assert score(np.array([0, 1]), slice(0, 2)).tolist() == [[0.75, 0.5], [1.0, 0.25]]
    with pytest.raises(RankingError, match="profiles of view training must be 0, 1, … without gaps"):
        EmbeddingScorer.from_tables(users.slice(1, 1), products, "training")


def test_broken_vectors_are_refused() -> None:
    good = np.eye(2, dtype=np.float32)
    with pytest.raises(RankingError, match=r"shapes \(2, 2\) and \(2, 1\) do not match"):
        EmbeddingScorer(good, good[:, :1], ["A", "B"])
    with pytest.raises(RankingError, match="1 base SKUs for 2 vectors"):
        EmbeddingScorer(good, good, ["A"])
    with pytest.raises(RankingError, match="1 part vectors are not finite, first row 1"):
        EmbeddingScorer(good, np.array([[0, 1], [np.nan, 1]], np.float32), ["A", "B"])
    with pytest.raises(RankingError, match="parts without a vector: 1, such as C"):
        EmbeddingScorer(good, good, ["A", "B"]).bind(candidates_of(["A", "B", "C"]))
    with pytest.raises(RankingError, match="profile 2 has no vector; there are 2"):
        EmbeddingScorer(good, good, ["A", "B"]).bind(candidates_of(["A", "B"]))(np.array([0, 2]), slice(0, 2))


def pairs(**scores: float | None) -> pa.Table:
    count = len(scores)
    return pa.table(
        {
            "make": ["FORD"] * count,
            "model": ["GT"] * count,
            "base_sku": list(scores),
            "score": pa.array(list(scores.values()), pa.float64()),
        }
    )


def test_pair_scores_are_matched_and_a_missing_one_is_an_error_or_the_default() -> None:
    candidates = candidates_of(["A", "B"])
    block = PairScorer(pairs(B=2.0, ELSEWHERE=9.0, A=1.0)).bind(candidates)
    assert block(np.array([0]), slice(0, 2)).tolist() == [[1.0, 2.0]]
    with pytest.raises(RankingError, match="without a score: 1, such as A"):
        PairScorer(pairs(B=2.0)).bind(candidates)
    block = PairScorer(pairs(B=2.0), missing=0.0).bind(candidates)
    assert block(np.array([0]), slice(0, 2)).tolist() == [[0.0, 2.0]]


def test_broken_pair_scores_are_refused() -> None:
    candidates = candidates_of(["A", "B"])
    with pytest.raises(RankingError, match="1 make, model and base SKU occur twice"):
        PairScorer(pa.concat_tables([pairs(A=1.0, B=1.0), pairs(A=2.0)])).bind(candidates)
    with pytest.raises(RankingError, match="1 scores are null"):
        PairScorer(pairs(A=None, B=1.0)).bind(candidates)


def test_scores_of_profiles_are_matched_and_the_others_are_zero() -> None:
    table = pa.table(
        {"profile": [1, 0, 1], "base_sku": ["A", "B", "ELSEWHERE"], "score": [2.0, 3.0, 9.0]},
    )
    block = ProfileScorer(table).bind(candidates_of(["A", "B", "C"]))
    assert block(np.array([1, 0, 2]), slice(0, 3)).tolist() == [[2.0, 0, 0], [0, 3.0, 0], [0, 0, 0]]
    assert block(np.array([0]), slice(1, 2)).tolist() == [[3.0]]
    nobody = pa.table({"profile": pa.array([None], pa.int64()), "base_sku": ["B"], "score": [7.0]})
    block = ProfileScorer(pa.concat_tables([table, nobody])).bind(candidates_of(["A", "B", "C"]))
    assert block(np.array([1, 0]), slice(0, 3)).tolist() == [[2.0, 0, 0], [0, 3.0, 0]]
    nothing = ProfileScorer(table.slice(0, 0)).bind(candidates_of(["A"]))
    assert nothing(np.array([5]), slice(0, 1)).tolist() == [[0.0]]
    with pytest.raises(RankingError, match="1 keys of profile and base SKU occur twice"):
        ProfileScorer(pa.concat_tables([table, table.slice(0, 1)])).bind(candidates_of(["A"]))


def history(rows: list[tuple[int | None, str, float | None]]) -> pa.Table:
    profiles, base_skus, scores = zip(*rows, strict=True) if rows else ([], [], [])
    return pa.table(
        {
            "profile": pa.array(profiles, pa.int32()),
            "base_sku": pa.array(base_skus, pa.string()),
            "score": pa.array(scores, pa.float64()),
        }
    )


@settings(max_examples=30)
@given(st.integers(0, 2**32))
def test_a_history_is_added_to_its_own_pairs_and_leaves_all_others_bit_for_bit(seed: int) -> None:
    random = np.random.default_rng(seed)
    base_skus = [f"P{number:02}" for number in range(23)]
    vectors = EmbeddingScorer(unit_rows(random, 11, 16), unit_rows(random, 23, 16), base_skus)
    added = np.where(random.random((11, 23)) < 0.2, random.random((11, 23)), 0.0)
    added[[2, 5]] = 0.0
    rows: list[tuple[int | None, str, float | None]] = [
        (int(u), base_skus[p], float(added[u, p])) for u, p in np.argwhere(added)
    ]
    random.shuffle(rows)
    candidates = candidates_of(base_skus[3:])
    plain = vectors.bind(candidates)
    block = HistoryScorer(vectors, history([*rows, (2, "ELSEWHERE", 9.0)])).bind(candidates)
    profiles = random.permutation(11)[:6]
    start, stop = sorted(random.integers(0, 21, 2).tolist())
    expected = plain(profiles, slice(start, stop)) + added[profiles][:, 3 + start : 3 + stop]
    assert np.array_equal(block(profiles, slice(start, stop)), expected)
    cold = np.array([2, 5])
    assert np.array_equal(block(cold, slice(0, 20)), plain(cold, slice(0, 20)))


def test_broken_history_scores_are_refused() -> None:
    vectors = EmbeddingScorer(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), ["A", "B"])
    candidates = candidates_of(["A", "B"])
    with pytest.raises(RankingError, match="gnn: 1 keys of profile and base SKU occur twice"):
        HistoryScorer(vectors, history([(1, "A", 1.0), (0, "A", 1.0), (1, "A", 2.0)])).bind(candidates)
    with pytest.raises(RankingError, match="gnn: 1 scores are null"):
        HistoryScorer(vectors, history([(1, "A", None)])).bind(candidates)
    of_nobody = HistoryScorer(vectors, history([(None, "A", 5.0)])).bind(candidates)
    assert of_nobody(np.array([0, 1]), slice(0, 2)).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    nothing = HistoryScorer(vectors, history([])).bind(candidates)
    assert nothing(np.array([0, 1]), slice(0, 2)).tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_histories_from_tables_are_those_of_the_view() -> None:
    def vectors(key: str, keys: list[object]) -> pa.Table:
        embedding = pa.array([[1.0], [2.0], [1.0], [2.0]], pa.list_(pa.float32(), 1))
        views = pa.array(["training", "training", "serving", "serving"])
        return pa.table({"view": views, key: pa.array(keys), "embedding": embedding})

    scores = pa.table(
        {"view": ["training", "serving"], "profile": [0, 0], "base_sku": ["A", "B"], "score": [0.5, 0.25]}
    )
    scorer = HistoryScorer.from_tables(
        vectors("profile", [0, 1, 0, 1]), vectors("base_sku", ["A", "B", "A", "B"]), scores, "serving"
    )
    assert scorer.bind(candidates_of(["A", "B"]))(np.array([0, 1]), slice(0, 2)).tolist() == [
        [1, 2.25],
        [2, 4],
    ]


def test_random_scores_are_uniform() -> None:
    score = RandomScorer(seed=3).bind(candidates_of([f"P{number}" for number in range(300)]))
    values = score(np.arange(300), slice(0, 300)).ravel()
    assert values.min() >= 0.0
    assert values.max() < 1.0
    # Deciles of 90,000 draws: 9,000 each, standard deviation 90.
    counts, _ = np.histogram(values, bins=10, range=(0.0, 1.0))
    assert np.abs(counts - 9_000).max() < 450
