"""Validation that looks like the task: rank a held-out part among the parts that fit the user's vehicle."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from holley_assets.gnn.ragged import RaggedPairs, ragged_rows, ragged_scores, row_offsets
from holley_assets.gnn.sampling import FittingParts, Positives, contains


def rivals_of(
    positives: Positives,
    candidates: FittingParts,
    eligible: Bool[Tensor, "products"],
    known: Int[Tensor, "known"],
) -> RaggedPairs:
    """The other eligible parts that fit the car of each positive; found once for all epochs.

    Parts that the user is known to like otherwise are left out.

    Args:
        eligible: whether a product may be recommended.
        known: ascending ``user · num_products + product`` of other positives to leave out.
    """
    _, owner, place = ragged_rows(candidates.count(positives.row))
    other = candidates.products[candidates.offsets[positives.row][owner] + place]
    is_rival = (
        eligible[other]
        & (other != positives.product[owner])
        & ~contains(known, positives.user[owner] * candidates.num_products + other)
    )
    owner = owner[is_rival]
    return RaggedPairs(other[is_rival], row_offsets(owner, len(positives)), owner)


def reciprocal_ranks(
    user: Float[Tensor, "profiles channels"],
    product: Float[Tensor, "products channels"],
    positives: Positives,
    user_rows: Int[Tensor, "positives"],
    rivals: RaggedPairs,
) -> Float[Tensor, "positives"]:
    """Reciprocal rank of each positive among its rivals.

    A tie counts half a rank, so that a constant score is not rewarded.

    Args:
        user, product: their vectors.
        user_rows: the row of ``user`` that stands for the user of each positive.
        rivals: from :func:`rivals_of`.
    """
    vectors = user[user_rows]
    scores = ragged_scores(vectors, product, rivals)
    own = ragged_scores(vectors, product, RaggedPairs.of_table(positives.product[:, None]))[rivals.row]
    ahead = (scores > own).to(scores.dtype) + 0.5 * (scores == own).to(scores.dtype)
    rank = 1.0 + scores.new_zeros(len(positives)).index_add_(0, rivals.row, ahead)
    return 1.0 / rank


def is_better(
    candidate: Float[Tensor, "positives"],
    best: Float[Tensor, "positives"],
    standard_errors: float,
    *,
    weight: Float[Tensor, "positives"] | None = None,
) -> bool:
    """Whether reciprocal ranks ``candidate`` are above ``best`` by more than the error of that difference.

    Both are of the same positives, so that the error is the paired one. With a thousand
    validation edges the best of many epochs is largely the luckiest; asking for a lead of one standard error
    is the rule of Breiman et al. 1984 (see Hastie et al. 2009, section 7.10).

    Args:
        weight: how often each was asked; once where it is None.
    """
    weight = torch.ones_like(candidate) if weight is None else weight
    difference, total = candidate - best, float(weight.sum())
    lead = float((weight * difference).sum()) / total
    variance = float((weight * (difference - lead).square()).sum()) / (total - 1.0) if total > 1.0 else 0.0
    return lead > standard_errors * math.sqrt(variance / total)
