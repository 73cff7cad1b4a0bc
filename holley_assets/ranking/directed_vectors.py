"""Two vectors of each part, source and target: what it leads to, and what leads to it.

``source(a) · target(b)`` is the information that a gives about b coming next, so that a to b is not b to a (as in
Amazon's DAEMON, 2022). The vectors are the truncated singular vectors of the positive pointwise mutual information of
ordered pairs, which a softmax with negative samples factorises as well (Levy & Goldberg 2014). With as many dimensions
as parts a score is the logarithm of a pair's share of its first part's pairs: fewer tell parts apart by what is common
to many pairs.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from holley_assets.ranking.encoding import FloatArray, IntArray

# How often a part comes later counts by this power, so that rare parts are not overrated (Levy & Goldberg 2014).
_CONTEXT_SMOOTHING = 0.75
# Of the range finder: columns beside those that are wanted, and passes over the matrix.
_OVERSAMPLING, _PASSES = 8, 4
_SEED = 0
# Digits after the point of a score: pairs that are alike must not be told apart by rounding.
_DIGITS = 9


def pair_scores(first: IntArray, other: IntArray, weight: FloatArray, dimensions: int) -> FloatArray:
    """How likely ``other`` comes next after ``first``, as a logarithm, up to a constant of ``first``, ``[P]``.

    Args:
        first: number of the part of each pair, from 0 up, ``[P]``; likewise ``other``. A pair comes once.
        weight: how often it was seen, positive, ``[P]``.
        dimensions: of the vectors; fewer forget more of what few buyers did.
    """
    if not len(weight):
        return np.zeros(0)
    count = int(max(first.max(), other.max())) + 1
    smoothed = np.bincount(other, weight, minlength=count) ** _CONTEXT_SMOOTHING
    chance = smoothed[other] / smoothed.sum()
    expected = np.bincount(first, weight, minlength=count)[first] * chance
    information = np.log(np.maximum(weight / expected, 1.0))
    source, target = _factors(csr_matrix((information, (first, other)), shape=(count, count)), dimensions)
    scores = np.einsum("ij,ij->i", source[first], target[other]) + np.log(chance)
    return np.asarray(np.round(scores, _DIGITS))


def _factors(matrix: csr_matrix, dimensions: int) -> tuple[FloatArray, FloatArray]:
    """``left, right`` with ``left @ right.T`` the best approximation of that rank, ``[N, dimensions]`` each.

    By the randomised range finder of Halko, Martinsson & Tropp (2011), algorithm 4.4, which takes matrices of any rank.
    """
    start = np.random.default_rng(_SEED).standard_normal((matrix.shape[1], dimensions + _OVERSAMPLING))
    basis = np.linalg.qr(matrix @ start)[0]
    for _ in range(_PASSES):
        basis = np.linalg.qr(matrix @ np.linalg.qr(matrix.T @ basis)[0])[0]
    left, strength, right = np.linalg.svd((matrix.T @ basis).T, full_matrices=False)
    root = np.sqrt(strength[:dimensions])
    return basis @ left[:, :dimensions] * root, right[:dimensions].T * root
