"""What a score is the sum of: the part's popularity, the car's levels, messages, and the user's own taste.

The logit of a part is a dot product of sums, so that it is a sum of dot products: each vector that the car or the
user is made of meets the part's vector, and each shift of the part's bias stands alone. Divided by the temperature
these are terms of the score. Nothing is approximated: they are computed in float64 from the float32 weights that
the checkpoint holds, by the very functions that make the vectors.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64, Int, Int64
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.car_graph import CarGraph
from holley_assets.gnn.checkpoint import Checkpoint
from holley_assets.gnn.model import HeteroGAT, Vectors
from holley_assets.gnn.personal import add_personal_vectors
from holley_assets.gnn.sampling import FittingParts, Positives
from holley_assets.gnn.shop_popularity import share_of_shop_popularity, with_shop_popularity

# In the order in which they are added.
TERMS = ("popularity", "shop", "season", "make", "model", "class", "messages", "attention", "personal")


class ScoreTerms(NamedTuple):
    """Terms of the logits of one user and some parts.

    Attributes:
        logits: their sum over a row is the logit of the vectors.
        neighbours: classes of cars that the user's car hears of, over all hops, strongest first.
        strength: how strongly it hears each: the sum over hops of the hop's weight and the paths' weights.
        from_neighbours: what each adds to each logit; a row sums to term ``messages``.
    """

    logits: Float64[np.ndarray, "parts terms"]
    neighbours: Int64[np.ndarray, "neighbours"]
    strength: Float64[np.ndarray, "neighbours"]
    from_neighbours: Float64[np.ndarray, "parts neighbours"]


class ScoreModel:
    """Weights on a graph, in float64, from which the terms of anybody's scores are read.

    Args:
        data: the graph that vectors were made on.
        checkpoint: the weights that they were made with.
    """

    @torch.no_grad()
    def __init__(self, data: HeteroData, checkpoint: Checkpoint) -> None:
        data = copy.copy(data).apply(lambda value: value.double() if value.is_floating_point() else value)
        self.graph = data
        self._model = checkpoint.model(data).double()
        self._row_of = {part: row for row, part in enumerate(data.products)}
        self._before = self._model.embed_nodes(data, CarGraph(data) if self._model.hops.any() else None)
        self._after = self._model(data)
        self._positives = Positives.of(data, FittingParts(data), minimum_weight=0.0)
        share = share_of_shop_popularity(self._after, data, self._positives)
        self._shifted = with_shop_popularity(self._after, data, share)

    @torch.no_grad()
    def terms(self, profile: int, parts: Sequence[str], *, personal_precision: float) -> ScoreTerms:
        """Terms of the logits of user node ``profile``.

        Args:
            profile: row of the user node.
            parts: base SKUs of the graph.
            personal_precision: see :func:`holley_assets.gnn.personal.add_personal_vectors`.

        Raises:
            KeyError: a part is not in the graph.
        """
        data, before, after, shifted = self.graph, self._before, self._after, self._shifted
        rows = torch.tensor([self._row_of[part] for part in parts], dtype=torch.long)
        own = self._positives.take(torch.nonzero(self._positives.user == profile).flatten())
        deviation = (
            add_personal_vectors(shifted, data, own, personal_precision).user[profile] - after.user[profile]
        )
        vector, bias = before.product[rows, :-1], before.product[rows, -1]
        neighbours, strength, heard = _neighbours(self._model, data, int(data["user"].vehicle_class[profile]))
        columns = {
            "popularity": bias,
            "shop": shifted.product[rows, -1] - after.product[rows, -1],
            "season": data["product"].season[rows],
            **{name: vector @ level for name, level in _levels(self._model, data, profile).items()},
            "messages": vector @ heard.sum(0),
            "attention": _logits(after, rows, profile) - _logits(before, rows, profile),
            "personal": after.product[rows] @ deviation,
        }
        return ScoreTerms(
            torch.stack([columns[name] for name in TERMS], dim=1).numpy(),
            neighbours.numpy(),
            strength.numpy(),
            (vector @ heard.T).numpy(),
        )


def _levels(model: HeteroGAT, data: HeteroData, profile: int) -> dict[str, Float[Tensor, "dimension"]]:
    """Vectors of the make, the model and the class of the user's car."""
    vehicle, car = int(data["user"].vehicle[profile]), int(data["user"].vehicle_class[profile])
    levels = model.levels
    of_class = levels.vehicle_class.weight[car] if car >= 0 else torch.zeros_like(levels.vehicle.weight[0])
    return {
        "make": levels.make.weight[data["vehicle"].make[vehicle]],
        "model": levels.vehicle.weight[vehicle],
        "class": of_class,
    }


def _neighbours(
    model: HeteroGAT, data: HeteroData, car: int
) -> tuple[Int[Tensor, "neighbours"], Float[Tensor, "neighbours"], Float[Tensor, "neighbours dimension"]]:
    """Classes that a class hears of, how strongly, and what each says."""
    vectors = model.levels.classes(data)
    total = vectors.new_zeros(len(vectors))
    if car >= 0 and model.hops.any():
        path = torch.zeros_like(total)
        path[car] = 1.0
        for weight in model.hops:
            # One hop back: who is heard by those that the path has reached.
            share = path[:, None] * data.car_weights
            path = torch.zeros_like(total).index_add_(0, data.car_neighbours.flatten(), share.flatten())
            total += weight * path
    order = torch.argsort(total.abs(), descending=True, stable=True)
    order = order[total[order] != 0]
    return order, total[order], total[order, None] * vectors[order]


def _logits(vectors: Vectors, rows: Int[Tensor, "parts"], profile: int) -> Float[Tensor, "parts"]:
    return vectors.product[rows] @ vectors.user[profile]
