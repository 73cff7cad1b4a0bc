"""Look-ups in NumPy arrays that the graph and the ranker share."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]


def find_sorted(keys: IntArray, sorted_keys: IntArray) -> IntArray:
    """Position of each key [n] in ``sorted_keys`` (distinct, ascending, from 0 up); −1 where it is absent."""
    limit = int(sorted_keys[-1]) + 1 if len(sorted_keys) else 0
    if limit <= 4 * len(keys):
        # A table of all possible keys, and one more entry that every other key points at.
        table = np.full(limit + 1, -1, np.int64)
        table[sorted_keys] = np.arange(len(sorted_keys))
        return table[np.where((keys >= 0) & (keys < limit), keys, limit)]
    positions = np.minimum(np.searchsorted(sorted_keys, keys), len(sorted_keys) - 1)
    return np.where(sorted_keys[positions] == keys, positions, -1).astype(np.int64)
