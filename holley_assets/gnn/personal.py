"""Vectors of single users: what their own history says beyond their car.

A learned vector for each of half a million users would be noise for all but those with history, and it would
tie a checkpoint to its customers. Here a user's own part is inferred from the graph at hand whenever vectors
are made, by the same logit that demand is fitted with: with products and cars fixed, it is the maximum of a
concave function, found in a few steps for all active users at once.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.model import Vectors
from holley_assets.gnn.ragged import ragged_logsumexp, ragged_scores, take_rows, weighted_sum
from holley_assets.gnn.sampling import Positives

# Steps of the ascent. Each is bounded by the curvature, so that it converges without a search. On samples,
# deviations have 97 % of their length after 10, and validation MRR is highest there.
STEPS = 10
# Users whose candidates are scored at once, to bound memory: about four million pairs of 350 candidates each.
USERS_IN_BLOCK = 12_000


def add_personal_vectors(
    vectors: Vectors, data: HeteroData, positives: Positives, precision: float, steps: int = STEPS
) -> Vectors:
    """Add to each active user's vector the deviation that explains its ``positives`` best.

    Maximises ``Σ ln softmax(user · product) − precision / 2 · |deviation|²`` over the parts that fit the user's
    car: the posterior mode under a Gaussian prior around the car's vector.

    Args:
        vectors: of all nodes; products and biases stay as they are.
        positives: what each user is known to have met.
        precision: inverse variance of the prior; infinite for no personal vectors.
        steps: of the ascent.
    """
    if not len(positives) or precision == float("inf"):
        return vectors
    user = vectors.user.clone()
    profiles, owner = torch.unique(positives.user, return_inverse=True)
    curvature = 0.25 * vectors.product[:, :-1].square().sum(1).mean()
    for start in range(0, len(profiles), USERS_IN_BLOCK):
        block = profiles[start : start + USERS_IN_BLOCK]
        mine = (owner >= start) & (owner < start + len(block))
        deviation = _deviations(
            user[block],
            vectors.product,
            data,
            data["user"].vehicle_year[block],
            owner[mine] - start,
            positives.product[mine],
            precision,
            curvature,
            steps,
        )
        user[block, :-1] += deviation
    return Vectors(user, vectors.product)


def _deviations(
    base: Float[Tensor, "users channels"],
    product: Float[Tensor, "products channels"],
    data: HeteroData,
    row: Int[Tensor, "users"],
    owner: Int[Tensor, "choices"],
    chosen: Int[Tensor, "choices"],
    precision: float,
    curvature: Float[Tensor, ""],
    steps: int,
) -> Float[Tensor, "users channels-1"]:
    """Deviations of users with vectors ``base`` who chose ``chosen``."""
    pairs = take_rows(data.candidate_products, data.candidate_offsets, row)
    deviation = base.new_zeros(len(base), base.shape[1] - 1)
    target = torch.zeros_like(deviation).index_add_(0, owner, product[chosen, :-1])
    choices = torch.bincount(owner, minlength=len(base)).to(base.dtype)[:, None]
    for _ in range(steps):
        user = torch.cat([base[:, :-1] + deviation, base[:, -1:]], dim=1)
        scores = ragged_scores(user, product, pairs)
        share = (scores - ragged_logsumexp(scores, pairs.row, len(user)).index_select(0, pairs.row)).exp()
        expected = weighted_sum(product, pairs.index, pairs.offsets, share)[:, :-1]
        gradient = target - choices * expected - precision * deviation
        deviation = deviation + gradient / (precision + choices * curvature)
    return deviation
