"""Two vectors of each part, source and target: what it leads to, and what leads to it.

``source(a) · target(b)`` is the information that a gives about b coming next, so that a to b is not b to a (as in
Amazon's DAEMON, 2022). The vectors are the truncated singular vectors of the positive pointwise mutual information of
ordered pairs, which a softmax with negative samples factorises as well (Levy & Goldberg 2014). With as many dimensions
as parts a score is the logarithm of a pair's share of its first part's pairs: fewer tell parts apart by what is common
to many pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int, Num
from scipy.sparse import csr_matrix

# How often a part comes later counts by this power, so that rare parts are not overrated (Levy & Goldberg 2014).
_CONTEXT_SMOOTHING = 0.75
# Of the range finder: columns beside those that are wanted, and passes over the matrix.
_OVERSAMPLING, _PASSES = 8, 4
_SEED = 0
# Digits after the point of a score.
_DIGITS = 9


@dataclass(frozen=True)
class DirectedVectors:
    """Two vectors of each part; ``source[a] · target[b]`` is the score of b coming next after a.

    Attributes:
        source: what a part leads to. Its last column is 1.
        target: what leads to a part. Its last column is the logarithm of how often the part comes later at all, −∞
            for a part that never does, which no part leads to.
    """

    source: Float64[np.ndarray, "products dimension"]
    target: Float64[np.ndarray, "products dimension"]


def directed_vectors(
    first: Int[np.ndarray, "pairs"],
    other: Int[np.ndarray, "pairs"],
    weight: Num[np.ndarray, "pairs"],
    dimensions: int,
) -> DirectedVectors:
    """Vectors of parts 0 to N − 1, the last that a pair names, with at most ``dimensions + 1`` columns.

    Args:
        first: number of the part of each pair, from 0 up; likewise ``other``. A pair comes once.
        weight: how often it was seen, positive.
        dimensions: fewer forget more of what few buyers did.
    """
    if not len(weight):
        return DirectedVectors(np.zeros((0, 1)), np.zeros((0, 1)))
    count = int(max(first.max(), other.max())) + 1
    smoothed = np.bincount(other, weight, minlength=count) ** _CONTEXT_SMOOTHING
    chance = smoothed / smoothed.sum()
    expected = np.bincount(first, weight, minlength=count)[first] * chance[other]
    information = np.log(np.maximum(weight / expected, 1.0))
    source, target = _factors(csr_matrix((information, (first, other)), shape=(count, count)), dimensions)
    often = np.log(chance, out=np.full(count, -np.inf), where=chance > 0)
    return DirectedVectors(np.column_stack([source, np.ones(count)]), np.column_stack([target, often]))


def pair_scores(
    first: Int[np.ndarray, "pairs"],
    other: Int[np.ndarray, "pairs"],
    weight: Num[np.ndarray, "pairs"],
    dimensions: int,
) -> Float64[np.ndarray, "pairs"]:
    """How likely ``other`` comes next after ``first``, as a logarithm, up to a constant of ``first``.

    Args:
        first, other, weight, dimensions: see :func:`directed_vectors`.
    """
    vectors = directed_vectors(first, other, weight, dimensions)
    return rounded(np.einsum("ij,ij->i", vectors.source[first], vectors.target[other]))


def rounded(scores: Float64[np.ndarray, "pairs"]) -> Float64[np.ndarray, "pairs"]:
    """``scores`` with as many digits as mean something: pairs that are alike must not be told apart by rounding."""
    return np.asarray(np.round(scores, _DIGITS))


def _factors(
    matrix: csr_matrix, dimensions: int
) -> tuple[Float64[np.ndarray, "products dimension"], Float64[np.ndarray, "products dimension"]]:
    """``left, right`` with ``left @ right.T`` the best approximation of that rank.

    By the randomised range finder of Halko, Martinsson & Tropp (2011), algorithm 4.4, which takes matrices of any rank.
    """
    start = np.random.default_rng(_SEED).standard_normal((matrix.shape[1], dimensions + _OVERSAMPLING))
    basis = np.linalg.qr(matrix @ start)[0]
    for _ in range(_PASSES):
        basis = np.linalg.qr(matrix @ np.linalg.qr(matrix.T @ basis)[0])[0]
    left, strength, right = np.linalg.svd((matrix.T @ basis).T, full_matrices=False)
    root = np.sqrt(strength[:dimensions])
    return basis @ left[:, :dimensions] * root, right[:dimensions].T * root
