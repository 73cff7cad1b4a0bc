"""Vectors of single users: what their own history says beyond their car.

A learned vector for each of half a million users would be noise for all but those with history, and it would
tie a checkpoint to its customers. Here a user's own part is inferred from the graph at hand whenever vectors
are made, by the same logit that demand is fitted with: with products and cars fixed, it is the maximum of a
concave function, found in a few steps for all active users at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.model import Vectors
from holley_assets.gnn.ragged import ragged_rows
from holley_assets.gnn.sampling import Positives

# Steps of the ascent. Each is bounded by the curvature, so that it converges without a search. On samples,
# deviations have 97 % of their length after 10, and validation MRR is highest there.
STEPS = 10
# Users of one car whose candidates are gathered once. With more of them the places of cars with few users stay empty.
TILE_USERS = 8
# Candidates, with their vectors, that are in memory at once: 100 MB at 24 channels, and a third of that of scores.
BLOCK_CANDIDATES = 1_000_000


class _Tiles(NamedTuple):
    """Users in groups of one car, whose candidates are the same.

    Attributes:
        row: the car of each tile, by its row in the candidates.
        user: the users of each tile; the first one again where there are fewer.
        known: whether a place of a tile has a user of its own.
    """

    row: Int[Tensor, "tiles"]
    user: Int[Tensor, "tiles places"]
    known: Bool[Tensor, "tiles places"]


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
    profiles, owner = torch.unique(positives.user, return_inverse=True)
    base, product = vectors.user[profiles], vectors.product
    target = base.new_zeros(len(base), base.shape[1] - 1)
    target.index_add_(0, owner, product[positives.product, :-1])
    choices = torch.bincount(owner, minlength=len(base)).to(base.dtype)[:, None]
    curvature = 0.25 * product[:, :-1].square().sum(1).mean()
    deviation = torch.zeros_like(target)
    for tiles in _blocks(_tiles(data["user"].vehicle_year[profiles]), data.candidate_offsets):
        found = _deviations(base, product, data, tiles, target, choices, precision, curvature, steps)
        deviation[tiles.user[tiles.known]] = found[tiles.known]
    user = vectors.user.clone()
    user[profiles, :-1] += deviation
    return Vectors(user, product)


def _tiles(row: Int[Tensor, "users"]) -> _Tiles:
    """Users by the row of their car."""
    order = torch.argsort(row, stable=True)
    cars, users = torch.unique_consecutive(row[order], return_counts=True)
    _, car, place = ragged_rows(users)
    of_car = (users + TILE_USERS - 1) // TILE_USERS
    tile = (of_car.cumsum(0) - of_car)[car] + place // TILE_USERS
    user = torch.full((int(of_car.sum()), TILE_USERS), -1, dtype=torch.long, device=row.device)
    user[tile, place % TILE_USERS] = order
    known = user >= 0
    return _Tiles(cars.repeat_interleave(of_car), torch.where(known, user, user[:, :1]), known)


def _blocks(tiles: _Tiles, offsets: Int[Tensor, "starts"]) -> Iterator[_Tiles]:
    """Tiles with about as many candidates each, as many at once as :data:`BLOCK_CANDIDATES` allows."""
    count = offsets.diff()[tiles.row]
    order = torch.argsort(count, stable=True)
    # Each block is as wide as its widest tile. A tile with more candidates than fit is a block of its own.
    width = count[order].clamp(min=1)
    start = 0
    while start < len(order):
        area = width[start:] * torch.arange(1, len(order) - start + 1, device=width.device)
        taken = max(1, int((area <= BLOCK_CANDIDATES).sum()))
        block = order[start : start + taken]
        yield _Tiles(*(each[block] for each in tiles))
        start += taken


def _deviations(
    base: Float[Tensor, "users channels"],
    product: Float[Tensor, "products channels"],
    data: HeteroData,
    tiles: _Tiles,
    target: Float[Tensor, "users channels-1"],
    choices: Float[Tensor, "users 1"],
    precision: float,
    curvature: Float[Tensor, ""],
    steps: int,
) -> Float[Tensor, "tiles places channels-1"]:
    """Deviations of the users of ``tiles``.

    Args:
        base: users' vectors without a deviation.
        target: sum of the vectors of what each user chose.
        choices: how many those are.
    """
    count = data.candidate_offsets.diff()[tiles.row]
    place = torch.arange(int(count.max()), device=count.device)
    is_candidate = place < count[:, None]
    entry = torch.where(is_candidate, data.candidate_offsets[tiles.row][:, None] + place, 0)
    candidates = product[data.candidate_products[entry].long()]
    of_user, target, choices = base[tiles.user], target[tiles.user], choices[tiles.user]
    bias = torch.einsum("tp,tc->tpc", of_user[..., -1], candidates[..., -1])
    bias.masked_fill_(~is_candidate[:, None, :], -torch.inf)
    candidates = candidates[..., :-1].contiguous()
    deviation = torch.zeros_like(target)
    for _ in range(steps):
        scores = torch.baddbmm(bias, of_user[..., :-1] + deviation, candidates.transpose(1, 2))
        expected = scores.softmax(-1) @ candidates
        gradient = target - choices * expected - precision * deviation
        deviation = deviation + gradient / (precision + choices * curvature)
    return deviation
