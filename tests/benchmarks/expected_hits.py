"""Expected Hit Rate@4 on plain arrays: the true chances of four parts, and which four a score matrix chooses."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

SLOTS = 4
MAXIMUM_PER_PART_TYPE = 2

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def expected_hit_rate(chance: FloatArray, eligible: BoolArray, chosen: IntArray) -> FloatArray:
    """Σ of the true chances of the chosen parts / Σ over eligible parts.

    Args:
        chance: [R, N] true chance of each part for each car or user; 0 where it cannot be clicked.
        eligible: [R, N] parts that the rules allow.
        chosen: [R, k] columns, each once; −1 for an empty slot. A part that is not eligible is worth nothing.

    Returns:
        [R]; NaN where no eligible part has a chance.
    """
    allowed = np.where(eligible, chance, 0.0)
    gained = np.where(chosen >= 0, np.take_along_axis(allowed, np.maximum(chosen, 0), axis=1), 0.0)
    total = allowed.sum(axis=1)
    return np.where(total > 0.0, gained.sum(axis=1) / np.where(total > 0.0, total, 1.0), np.nan)


def choose(
    scores: npt.NDArray[np.floating[Any]],
    eligible: BoolArray,
    part_type: IntArray,
    *,
    slots: int = SLOTS,
    maximum_per_part_type: int = MAXIMUM_PER_PART_TYPE,
) -> IntArray:
    """The best eligible parts of each row, at most so many of one part type; ties by column.

    Args:
        scores: [R, N], or [1, N] for all rows alike.
        eligible: [R, N].
        part_type: [N] codes from 0.

    Returns:
        [R, slots] columns, −1 where there are no more.
    """
    rows = np.arange(len(eligible))
    left = np.where(eligible, scores, -np.inf)
    taken = np.zeros((len(rows), int(part_type.max(initial=0)) + 1), np.int64)
    chosen = np.full((len(rows), slots), -1)
    for slot in range(slots):
        best = left.argmax(axis=1)
        found = np.isfinite(left[rows, best])
        chosen[found, slot] = best[found]
        left[rows, best] = -np.inf
        np.add.at(taken, (rows[found], part_type[best[found]]), 1)
        full = np.flatnonzero(found & (taken[rows, part_type[best]] >= maximum_per_part_type))
        left[full] = np.where(part_type[None] == part_type[best[full], None], -np.inf, left[full])
    return chosen
