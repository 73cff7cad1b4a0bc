"""The ruler that models are developed with: by hand, and by law."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from expected_hits import choose, expected_hit_rate
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

CHANCE = np.array([[0.1, 0.2, 0.3, 0.4, 0.0], [0.5, 0.5, 0.0, 0.0, 0.0]])
ELIGIBLE = np.array([[True, True, True, False, True], [True, True, True, True, True]])


def test_expected_hits_by_hand() -> None:
    """0.4 may not be shown: of 0.6 that are left, parts 2 and 0 are 0.4; the second user gets one of two halves."""
    chosen = np.array([[2, 0, -1, -1], [3, 0, 4, 2]])
    np.testing.assert_allclose(expected_hit_rate(CHANCE, ELIGIBLE, chosen), [0.4 / 0.6, 0.5])
    # What may not be shown is worth nothing, and an empty choice too.
    chosen = np.array([[3, 3, 3, 3], [-1, -1, -1, -1]])
    np.testing.assert_allclose(expected_hit_rate(CHANCE, ELIGIBLE, chosen), [0.0, 0.0])
    nothing = expected_hit_rate(np.zeros((1, 5)), ELIGIBLE[:1], chosen[:1])
    assert np.isnan(nothing).all()


def test_the_best_four_with_at_most_two_of_a_type_by_hand() -> None:
    scores = np.array([[9.0, 8.0, 7.0, 6.0, 5.0, 5.0]])
    eligible = np.array([[True] * 6, [True, True, True, True, False, False]])
    part_type = np.array([0, 0, 0, 1, 2, 1])
    np.testing.assert_array_equal(choose(scores, eligible, part_type), [[0, 1, 3, 4], [0, 1, 3, -1]])
    free = choose(scores, eligible, part_type, maximum_per_part_type=6)
    np.testing.assert_array_equal(free, [[0, 1, 2, 3], [0, 1, 2, 3]])


@given(
    hnp.arrays(float, (3, 7), elements=st.integers(0, 5).map(float)),
    hnp.arrays(bool, (3, 7)),
    hnp.arrays(np.int64, 7, elements=st.integers(0, 3)),
)
def test_choices_are_those_of_going_down_the_list(
    scores: np.ndarray, eligible: np.ndarray, part_type: np.ndarray
) -> None:
    expected = np.full((3, 4), -1)
    for row in range(3):
        taken: list[int] = []
        columns = [int(column) for column in np.flatnonzero(eligible[row])]
        for _, column in sorted((-scores[row, column], column) for column in columns):
            of_type = sum(part_type[one] == part_type[column] for one in taken)
            if len(taken) < 4 and of_type < 2:
                taken.append(column)
        expected[row, : len(taken)] = taken
    np.testing.assert_array_equal(choose(scores, eligible, part_type), expected)


@given(hnp.arrays(float, (1, 6), elements=st.floats(0.01, 1.0)), hnp.arrays(bool, (1, 6)))
def test_no_four_parts_pass_those_with_the_best_chances(chance: np.ndarray, eligible: np.ndarray) -> None:
    best = choose(chance, eligible, np.arange(6))
    found = expected_hit_rate(chance, eligible, best)
    if not eligible.any():
        assert np.isnan(found).all()
        return
    assert 0.0 < found[0] <= 1.0 + 1e-12
    assert (found[0] > 1.0 - 1e-12) == (eligible.sum() <= 4)
    for four in itertools.combinations(range(6), 4):
        assert expected_hit_rate(chance, eligible, np.array([four]))[0] <= found[0] + 1e-12
    assert expected_hit_rate(3.0 * chance, eligible, best)[0] == pytest.approx(found[0])
