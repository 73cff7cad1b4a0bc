"""Vectors of every user and product of a graph, with the weights of a checkpoint."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.checkpoint import Checkpoint
from holley_assets.gnn.model import Vectors
from holley_assets.gnn.personal import add_personal_vectors
from holley_assets.gnn.sampling import FittingParts, Positives
from holley_assets.gnn.shop_popularity import share_of_shop_popularity, with_shop_popularity


class Embeddings(NamedTuple):
    """Vectors of length one; a score is a dot product.

    Attributes:
        user: of each user node.
        product: of each part.
        temperature: what a score is multiplied by to give the logit of a choice.
        user_norm: length of each user's vector before it was brought to one.
        product_norm: the same of each product's, with its bias.
        shop_popularity: see :func:`holley_assets.gnn.shop_popularity.share_of_shop_popularity`.
    """

    user: Float32[np.ndarray, "profiles dimension"]
    product: Float32[np.ndarray, "products dimension"]
    temperature: float
    user_norm: Float32[np.ndarray, "profiles"]
    product_norm: Float32[np.ndarray, "products"]
    shop_popularity: float


def in_season(vectors: Vectors, shift: Float[Tensor, "products"]) -> Vectors:
    """``vectors`` with ``shift`` added to the products' biases."""
    product = vectors.product.clone()
    product[:, -1] += shift
    return Vectors(vectors.user, product)


@torch.no_grad()
def embed(
    data: HeteroData, checkpoint: Checkpoint, *, personal_precision: float, device: str = "cpu"
) -> Embeddings:
    """Vectors of every user node and product node of ``data``, with all of its edges.

    Args:
        personal_precision: see :func:`holley_assets.gnn.personal.add_personal_vectors`.
    """
    model = checkpoint.model(data).to(device)
    # A copy of the stores, not of the tensors: the caller's graph stays where it is.
    data = copy.copy(data).to(device)
    vectors = model(data)
    positives = Positives.of(data, FittingParts(data), minimum_weight=0.0)
    shop_popularity = share_of_shop_popularity(vectors, data, positives)
    vectors = with_shop_popularity(vectors, data, shop_popularity)
    # In this order: what a user chose was chosen in any season.
    vectors = add_personal_vectors(vectors, data, positives, personal_precision)
    vectors = in_season(vectors, data["product"].season)
    user, product, temperature = vectors.unit()
    return Embeddings(
        user.cpu().numpy(),
        product.cpu().numpy(),
        temperature,
        vectors.user.norm(dim=1).cpu().numpy(),
        vectors.product.norm(dim=1).cpu().numpy(),
        shop_popularity,
    )
