"""Scores of ordered pairs by hand: shares with all dimensions, what is common with few, and a direction."""

from __future__ import annotations

import numpy as np
import pytest

from holley_assets.ranking.directed_vectors import directed_vectors, pair_scores


def scores(pairs: dict[tuple[int, int], float], dimensions: int = 16) -> dict[tuple[int, int], float]:
    first, other = np.array(list(pairs), np.int64).reshape(-1, 2).T
    found = pair_scores(first, other, np.array(list(pairs.values())), dimensions)
    return dict(zip(pairs, found.tolist(), strict=True))


def test_with_all_dimensions_a_score_is_the_logarithm_of_the_share_down_to_chance() -> None:
    """Both later parts are half of all. 3 of 4 is more than chance; 1 of 4 is less, and chance is what is left."""
    found = scores({(0, 2): 3.0, (0, 3): 1.0, (1, 2): 1.0, (1, 3): 3.0})
    expected = {(0, 2): 0.75, (0, 3): 0.5, (1, 2): 0.5, (1, 3): 0.75}
    assert found == pytest.approx({pair: np.log(share) for pair, share in expected.items()})


def test_chance_counts_rare_parts_by_the_power_of_three_quarters() -> None:
    """1 and 16 are 1 and 8 of 9; 16 of 17 is above 8 of 9, 1 of 17 below 1 of 9."""
    found = scores({(0, 1): 1.0, (0, 2): 16.0})
    assert found == pytest.approx({(0, 1): np.log(1 / 9), (0, 2): np.log(16 / 17)})


def test_fewer_dimensions_keep_the_strongest_information_and_fall_back_on_chance() -> None:
    """Each part leads to one other, with certainty; the rarest tells most. Chances are 1, 8 and 27 of 36."""
    pairs = {(0, 3): 1.0, (1, 4): 16.0, (2, 5): 81.0}
    assert scores(pairs) == pytest.approx(dict.fromkeys(pairs, 0.0), abs=1e-9)
    one = scores(pairs, dimensions=1)
    assert one == pytest.approx({(0, 3): 0.0, (1, 4): np.log(8 / 36), (2, 5): np.log(27 / 36)}, abs=1e-9)
    two = scores(pairs, dimensions=2)
    assert two == pytest.approx({(0, 3): 0.0, (1, 4): 0.0, (2, 5): np.log(27 / 36)}, abs=1e-9)


def test_nothing_leads_to_a_part_that_never_came_later() -> None:
    vectors = directed_vectors(np.array([0, 0]), np.array([1, 2]), np.array([1.0, 1.0]), 4)
    scores = vectors.source @ vectors.target.T
    assert scores[0] == pytest.approx([-np.inf, np.log(0.5), np.log(0.5)])


def test_planted_pairs_rank_first_forwards_and_not_backwards() -> None:
    """Part k leads to part k + 10, hardly ever the other way round; what is between others is noise."""
    generator = np.random.default_rng(0)
    pairs = {(int(a), int(b)): 1.0 for a, b in generator.integers(20, size=(120, 2)) if a != b}
    for part in range(10):
        pairs |= {(part, part + 10): 20.0, (part + 10, part): 0.25, (part + 10, (part + 1) % 10): 5.0}
    for dimensions in (10, 64):
        found = scores(pairs, dimensions)
        best = {a: max((pair for pair in found if pair[0] == a), key=found.__getitem__)[1] for a in range(20)}
        assert [best[part] for part in range(10)] == list(range(10, 20))
        assert all(best[part + 10] != part for part in range(10))


def test_what_many_pairs_have_in_common_outweighs_what_one_pair_says() -> None:
    """Parts 0 to 7 lead to 8, 9 and 10 alike; part 0 also led once to 11. Two dimensions see the common part."""
    pairs = {(first, other): 5.0 for first in range(8) for other in (8, 9, 10)}
    pairs |= {(first, other): 5.0 for first in range(12, 20) for other in (11, 21, 22)}
    pairs |= {(0, 11): 1.0}
    found = scores(pairs, dimensions=2)
    assert min(found[0, 8], found[0, 9], found[0, 10]) > found[0, 11]


def test_pairs_that_are_alike_have_one_score_and_none_are_none() -> None:
    """Each of 40 parts leads to the 20 of its group alike; sums in another order differ in the last digits."""
    alike = {
        (first, other + 20 * (first % 3)): 2.0 + first % 3 for first in range(40) for other in range(100, 120)
    }
    assert len(set(scores(alike).values())) == 1
    assert scores({}) == {}
    assert scores({(0, 1): 3.0}) == {(0, 1): 0.0}
