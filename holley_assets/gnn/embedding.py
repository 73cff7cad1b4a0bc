"""Vectors of every user and product of a graph, with the weights of a checkpoint."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import HeteroData

from holley_assets.gnn.checkpoint import Checkpoint
from holley_assets.gnn.model import adjacencies_of
from holley_assets.gnn.personal import add_personal_vectors
from holley_assets.gnn.sampling import Candidates, Positives


class Embeddings(NamedTuple):
    """Vectors of length one; a score is a dot product.

    Attributes:
        user: ``[num_profiles, embedding_dim]`` float32.
        product: ``[num_products, embedding_dim]`` float32.
        temperature: what a score is multiplied by to give the logit of a choice.
    """

    user: NDArray[np.float32]
    product: NDArray[np.float32]
    temperature: float


@torch.no_grad()
def embed(
    data: HeteroData, checkpoint: Checkpoint, *, personal_precision: float, device: str = "cpu"
) -> Embeddings:
    """Vectors of every user node and product node of ``data``, with all of its edges.

    Args:
        personal_precision: see :func:`holley_assets.gnn.personal.add_personal_vectors`.
    """
    model = checkpoint.model(data).to(device)
    data = data.to(device)
    vectors = model(data, adjacencies_of(data))
    positives = Positives.of(data, Candidates(data), minimum_weight=0.0)
    user, product, temperature = add_personal_vectors(vectors, data, positives, personal_precision).unit()
    return Embeddings(user.cpu().numpy(), product.cpu().numpy(), temperature)
