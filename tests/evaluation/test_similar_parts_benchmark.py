"""The parts of the benchmark of similar parts, by hand, and the direction of its vectors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from similar_parts import (
    cosine,
    directed_vectors,
    first_parts,
    hit_rate,
    ordered_pairs,
    within_type,
)


def test_pairs_lead_from_the_earlier_to_the_later_within_the_window() -> None:
    """Buyer 0: part 0, then 1 after 90 days, 2 after 91; buyer 1: 1 and 2 on day 100."""
    buyer, product, day = (
        np.array([0, 0, 0, 1, 1]),
        np.array([0, 1, 2, 1, 2]),
        np.array([0, 90, 91, 100, 100]),
    )
    pairs = ordered_pairs(buyer, product, day, 3, window_days=90, decay_days=np.inf).toarray()
    assert pairs.tolist() == [[0, 1, 0], [0, 0, 2], [0, 1, 0]]


def test_the_age_of_a_pair_is_that_of_its_later_order() -> None:
    buyer, product, day = np.array([0, 0, 1]), np.array([0, 1, 0]), np.array([0, 10, 40])
    pairs = ordered_pairs(buyer, product, day, 2, window_days=90, decay_days=30.0).toarray()
    assert pairs == pytest.approx(np.array([[0, np.exp(-1.0)], [0, 0]]))


def test_nobody_bought_twice() -> None:
    nothing = np.empty(0, np.int64)
    assert ordered_pairs(nothing, nothing, nothing, 2, window_days=1, decay_days=1.0).nnz == 0


def test_planted_pairs_rank_first_forwards_and_not_backwards() -> None:
    """Each buyer orders part k on one day and part k + 10 on the next, never the other way round."""
    generator = np.random.default_rng(0)
    first = generator.integers(10, size=400)
    buyer = np.repeat(np.arange(400), 2)
    product = np.stack([first, first + 10], axis=1).ravel()
    pairs = ordered_pairs(buyer, product, np.tile([0, 1], 400), 20, window_days=30, decay_days=np.inf)
    source, target = directed_vectors(pairs, 10, seed=0)
    scores = source @ target.T
    base = np.arange(10)
    top = first_parts(scores[base].copy(), base, np.zeros(20), 1)[:, 0]
    assert top.tolist() == list(range(10, 20))
    forward, backward = scores[base, base + 10], scores[base + 10, base]
    assert (forward > 1.0).all()
    assert np.abs(backward).max() < 1e-6


def test_vectors_are_the_information_beyond_chance() -> None:
    """Each of two parts leads to one other, and chance would halve that: ln 2."""
    pairs = csr_matrix(np.array([[0, 4.0, 0, 0], [0, 0, 0, 4.0], [0, 0, 0, 0], [0, 0, 0, 0]]))
    source, target = directed_vectors(pairs, 3, seed=1)
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 3] = np.log(2.0)
    assert source @ target.T == pytest.approx(expected, abs=1e-9)


def test_a_part_is_never_its_own_neighbour_and_popularity_orders_equals() -> None:
    scores = np.array([[9.0, 1.0, 1.0, 0.0]])
    assert first_parts(scores, np.array([0]), np.array([9.0, 1.0, 2.0, 3.0]), 3).tolist() == [[2, 1, 3]]


def test_a_hit_is_the_askers_own_choice() -> None:
    top = np.array([[1, 2], [1, 2], [3, 4]])
    assert hit_rate(top, np.array([0, 1, 1]), {(0, 2), (1, 3)}).tolist() == [1.0, 0.0, 1.0]


def test_cosine_ranks_by_direction_and_its_type_by_that_among_its_own() -> None:
    """Parts 0, 1, 2 at 0, 30 and 90 degrees, part 3 opposite to part 0; 0, 2 and 3 have one type."""
    angle = np.radians([0.0, 30.0, 90.0, 180.0])
    scores = cosine(np.column_stack([np.cos(angle), np.sin(angle)]).astype(np.float32))
    base = np.array([0, 1])
    assert scores(base) == pytest.approx(
        np.array([[1.0, 0.75**0.5, 0.0, -1.0], [0.75**0.5, 1.0, 0.5, -(0.75**0.5)]]), abs=1e-6
    )
    own = within_type(scores, np.array([7, 8, 7, 7]))
    assert own(base) == pytest.approx(np.array([[1.0, -2.0, 0.0, -1.0], [-2.0, 1.0, -2.0, -2.0]]), abs=1e-6)
