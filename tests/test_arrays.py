"""Look-ups by number, at their limits."""

from __future__ import annotations

import numpy as np
import pytest

from holley_assets.arrays import find_sorted


@pytest.mark.parametrize("spread", [1, 1_000_000])
def test_keys_are_found_in_a_table_and_by_search(spread: int) -> None:
    """Below the first key, between two, above the last one, and each itself."""
    known = np.array([1, 3, 4]) * spread
    keys = np.array([0, 1, 2, 3, 4, 5, -1]) * spread
    assert find_sorted(keys, known).tolist() == [-1, 0, -1, 1, 2, -1, -1]
    assert find_sorted(keys, np.empty(0, np.int64)).tolist() == [-1] * 7
