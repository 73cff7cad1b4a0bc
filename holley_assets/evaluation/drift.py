"""How far learned vectors moved between two trainings.

Two trainings may find the same map turned or mirrored: every similarity is the same and every coordinate
another. So vectors are compared by what turning does not change, their similarities with one another, or after
the turn that brings them closest (orthogonal Procrustes: Schönemann 1966).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from holley_assets.evaluation.stability import bin_counts, population_stability_index, reference_edges

# Quantiles of vectors' lengths that are kept, by name.
_QUANTILES = {"p05": 0.05, "p50": 0.5, "p95": 0.95}
# A spread of similarities below this is rounding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class VectorDrift:
    """What became of the vectors of ``common`` things that both trainings know.

    Attributes:
        common: how many; the rest is None below two.
        similarity_psi: population stability index of the similarities of all pairs.
        similarity_correlation: of a pair's similarity before and now; 1 when all neighbourhoods stayed.
        centroid_shift: distance between the mean vectors, after the best turn.
        spread: length of the mean vector now; 1 when all vectors are one and the same (a collapse).
    """

    common: int
    similarity_psi: float | None = None
    similarity_correlation: float | None = None
    centroid_shift: float | None = None
    spread: float | None = None


def norm_statistics(norms: Float[np.ndarray, "vectors"]) -> dict[str, float]:
    """``mean``, ``p05``, ``p50`` and ``p95`` of the lengths of vectors before they are brought to one.

    Lengths that grow from run to run, or shrink towards zero, are a training that runs away or forgets; vectors of
    length one do not show it. Empty without any vector.
    """
    if len(norms) == 0:
        return {}
    quantiles = np.quantile(norms.astype(np.float64), list(_QUANTILES.values()))
    return {
        "mean": float(norms.mean(dtype=np.float64)),
        **dict(zip(_QUANTILES, quantiles.tolist(), strict=True)),
    }


def vector_drift(
    before: Float[np.ndarray, "vectors_before dimension_before"], now: Float[np.ndarray, "vectors dimension"]
) -> VectorDrift:
    """Compare vectors of the same things, row for row, of length one.

    Where they have another dimension than before nothing can be turned, and the shift is None.
    """
    if len(before) != len(now):
        raise ValueError(
            f"{len(before)} vectors cannot be compared with {len(now)}: rows must be the same things"
        )
    if len(before) < 2:
        return VectorDrift(len(before))
    before, now = before.astype(np.float64), now.astype(np.float64)
    pairs = np.triu_indices(len(before), k=1)
    similar_before, similar_now = (before @ before.T)[pairs], (now @ now.T)[pairs]
    edges = reference_edges(similar_before)
    varied = min(similar_before.std(), similar_now.std()) > _ROUNDING
    return VectorDrift(
        common=len(before),
        similarity_psi=population_stability_index(
            bin_counts(similar_before, edges), bin_counts(similar_now, edges)
        ),
        similarity_correlation=float(np.corrcoef(similar_before, similar_now)[0, 1]) if varied else None,
        centroid_shift=_centroid_shift(before, now) if before.shape[1] == now.shape[1] else None,
        spread=float(np.linalg.norm(now.mean(axis=0))),
    )


def _centroid_shift(
    before: Float[np.ndarray, "vectors dimension"], now: Float[np.ndarray, "vectors dimension"]
) -> float:
    left, _, right = np.linalg.svd(now.T @ before)
    return float(np.linalg.norm((now @ (left @ right)).mean(axis=0) - before.mean(axis=0)))
