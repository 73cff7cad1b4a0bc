"""Popularity in the whole shop, as far as customers whose car is known follow it.

Training takes every visitor for an owner who looks at what fits one car. So a part that fits few cars and is looked
at as much as others must be much wanted by their owners. Where visitors look at the whole shop, whatever they drive,
that is wrong: what is seen most is wanted most, however many cars it fits. How many visitors do so is told by the
parts that they met together (:mod:`holley_assets.gnn.shop_visitors`). Customers tell the rest: their car is known, and
so is what they chose among the parts that fit it.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.graph_schema import LOG_VISITORS
from holley_assets.gnn.model import Vectors
from holley_assets.gnn.ragged import ragged_logsumexp, ragged_scores, take_rows
from holley_assets.gnn.sampling import Positives
from holley_assets.gnn.shop_visitors import share_of_shop_visitors

# Inverse variance of the prior on the share. The network is fitted to the choices of the same customers, which hides
# from a few hundred of them how far they follow the whole shop. By thousands the share is theirs.
SHARE_PRECISION = 300.0
# Choices move the share from where visitors have it if they do so by so many of its standard errors.
STANDARD_ERRORS = 2.0
# Newton's method on a concave function of one number has converged to the last digits by then.
STEPS = 8


def share_of_shop_popularity(vectors: Vectors, data: HeteroData, positives: Positives) -> float:
    """How far from the network's own popularity (0) to that in the whole shop (1) customers' choices are.

    The share ``θ`` maximises ``Σ ln softmax(car · part + bias + θ · (ln(1 + visitors) − bias))`` over what customers
    chose among the parts that fit their car, under a Gaussian prior around the share of visitors who look at the
    whole shop; it is cut to 0 … 1. It is that share where the difference could be chance.

    Args:
        vectors: of all nodes, before seasons and customers' own tastes.
        positives: what customers are known to have met.
    """
    prior = share_of_shop_visitors(data)
    if not len(positives):
        return prior
    shift = _shift(vectors, data)
    profiles, owner = torch.unique(data["user"].cold_profile[positives.user], return_inverse=True)
    row = data["user"].vehicle_year[profiles]
    pairs = take_rows(data.candidate_products, data.candidate_offsets, row)
    scores = ragged_scores(vectors.user[profiles], vectors.product, pairs)
    choices = torch.bincount(owner, minlength=len(profiles)).to(scores.dtype)
    chosen, of_candidate = shift[positives.product].sum(), shift[pairs.index]
    share, curvature = scores.new_tensor(prior), scores.new_zeros(())
    for _ in range(STEPS):
        logits = scores + share * of_candidate
        chance = (
            logits - ragged_logsumexp(logits, pairs.row, len(profiles)).index_select(0, pairs.row)
        ).exp()
        mean, square = (
            chance.new_zeros(len(profiles)).index_add_(0, pairs.row, chance * of_candidate**power)
            for power in (1, 2)
        )
        gradient = chosen - (choices * mean).sum() - SHARE_PRECISION * (share - prior)
        curvature = (choices * (square - mean.square())).sum() + SHARE_PRECISION
        share = share + gradient / curvature
    clear = (share - prior).abs() * curvature.sqrt() >= STANDARD_ERRORS
    return float(share.clamp(0.0, 1.0)) if clear else prior


def with_shop_popularity(vectors: Vectors, data: HeteroData, share: float) -> Vectors:
    """``vectors`` with the products' biases moved by ``share`` towards popularity in the whole shop."""
    product = vectors.product.clone()
    product[:, -1] += share * _shift(vectors, data)
    return Vectors(vectors.user, product)


def _shift(vectors: Vectors, data: HeteroData) -> Float[Tensor, "products"]:
    """From each product's bias to its popularity in the whole shop, but for a constant."""
    shift = data["product"].features[:, LOG_VISITORS].to(vectors.product.dtype) - vectors.product[:, -1]
    centred: Tensor = shift - shift.mean()
    return centred
