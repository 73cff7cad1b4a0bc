"""Vectors of every user and product of a graph, with the weights of a checkpoint."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import HeteroData

from holley_assets.gnn.checkpoint import Checkpoint
from holley_assets.gnn.model import adjacencies_of


class Embeddings(NamedTuple):
    """Vectors of length one; a score is a dot product.

    Attributes:
        user: ``[num_profiles, embedding_dim]`` float32.
        product: ``[num_products, embedding_dim]`` float32.
    """

    user: NDArray[np.float32]
    product: NDArray[np.float32]


def embed(data: HeteroData, checkpoint: Checkpoint, device: str = "cpu") -> Embeddings:
    """Vectors of every user node and product node of ``data``, with all of its edges."""
    model = checkpoint.model(data).to(device)
    data = data.to(device)
    with torch.no_grad():
        user, product = model(data, adjacencies_of(data))
    return Embeddings(user.cpu().numpy(), product.cpu().numpy())
