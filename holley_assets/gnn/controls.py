"""What the model would be with less of it: the controls that tell what each layer adds."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.checkpoint import Checkpoint
from holley_assets.gnn.fit_sequence import POPULARITY
from holley_assets.gnn.graph_schema import LOG_VISITORS


def counted_popularity(data: HeteroData) -> Float32[np.ndarray, "products"]:
    """``ln(1 + visitors)`` of each part and its season."""
    popularity: Tensor = data["product"].features[:, LOG_VISITORS] + data["product"].season
    return popularity.numpy()


@torch.no_grad()
def fitted_popularity(data: HeteroData, checkpoint: Checkpoint) -> Float32[np.ndarray, "products"]:
    """Popularity of each part among those that fit the same car, and its season.

    The first fit of the training: one number a part, from everything the model learns from, without tastes. Where
    nothing was fitted it is :func:`counted_popularity`.
    """
    if POPULARITY not in checkpoint.stages:
        return counted_popularity(data)
    model = checkpoint.of_stage(POPULARITY).model(data)
    popularity: Tensor = model.levels.bias(data) + data["product"].season
    return popularity.numpy()
