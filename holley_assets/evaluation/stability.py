"""How much a run differs from another: distributions, mixes, and what users are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Int, Num

# Bins of a population stability index; each holds a tenth of the reference.
BINS = 10


def reference_edges(values: Num[np.ndarray, "rows"], bins: int = BINS) -> list[float]:
    """Inner edges that cut the finite values into bins of equal size: at most ``bins − 1``, without repeats."""
    finite = values[np.isfinite(values)]
    if len(finite) == 0:
        return []
    edges: list[float] = np.unique(np.quantile(finite, np.arange(1, bins) / bins)).tolist()
    return edges


def bin_counts(values: Num[np.ndarray, "rows"], edges: Sequence[float]) -> list[int]:
    """Finite values in each of the ``len(edges) + 1`` bins; a value on an edge belongs to the bin below."""
    finite = values[np.isfinite(values)]
    place = np.searchsorted(np.asarray(edges, float), finite, side="left")
    counts: list[int] = np.bincount(place, minlength=len(edges) + 1).tolist()
    return counts


def population_stability_index(before: Sequence[int], now: Sequence[int]) -> float | None:
    """``Σ (p − q) ln(p / q)`` over bins: 0 for equal shares; from 0.1 a shift, from 0.25 a large one.

    Half a count is added to every bin, so that an empty one does not make it infinite (Jeffreys' prior; Yurdakul
    2018 gives the index' distribution). None where either side has no count.
    """
    if sum(before) == 0 or sum(now) == 0:
        return None
    p, q = (np.asarray(counts, float) + 0.5 for counts in (now, before))
    p, q = p / p.sum(), q / q.sum()
    return float(((p - q) * np.log(p / q)).sum())


def total_variation(before: Mapping[str, int], now: Mapping[str, int]) -> float | None:
    """Share of a mix that would have to change its kind to become the other: ``½ Σ |p − q|``; None if empty."""
    totals = sum(before.values()), sum(now.values())
    if 0 in totals:
        return None
    kinds = before.keys() | now.keys()
    return 0.5 * sum(abs(now.get(k, 0) / totals[1] - before.get(k, 0) / totals[0]) for k in kinds)


def changed_share(
    users_before: Int[np.ndarray, "users_before"],
    parts_before: Int[np.ndarray, "users_before slots"],
    users_now: Int[np.ndarray, "users"],
    parts_now: Int[np.ndarray, "users slots"],
) -> tuple[float | None, int]:
    """Share of the common users who are shown another set of parts, in whatever order.

    Args:
        users_before, users_now: an integer for each user, unique.
        parts_before, parts_now: an integer for each part shown, −1 in an empty slot.

    Returns:
        the share, None without common users, and how many those are.
    """
    _, before, now = np.intersect1d(users_before, users_now, assume_unique=True, return_indices=True)
    if len(before) == 0:
        return None, 0
    same = (np.sort(parts_before[before], axis=1) == np.sort(parts_now[now], axis=1)).all(axis=1)
    return float(1.0 - same.mean()), len(before)
