"""What is learned of cars and parts by level, each level with a Gaussian prior.

A car is its make, its model and its class; a part is its type and itself. What few choices tell of stays close to
the level above it.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from holley_assets.gnn.graph_schema import LOG_VISITORS

# Standard deviation of the vectors of cars at the start. Those of parts start at zero: the untrained network ranks
# by popularity.
INITIAL_DEVIATION = 0.1
# Precisions, the inverse variances of the priors. Those of vectors are multiplied by one strength and those of biases
# by another. Held-out visitors choose both, so that precisions matter in relation to one another.
MAKE_PRECISION = 0.1
VEHICLE_PRECISION = 1.0
CLASS_PRECISION = 1.0
PART_TYPE_PRECISION = 0.1
PRODUCT_PRECISION = 10.0
PART_TYPE_BIAS_PRECISION = 0.1
PRODUCT_BIAS_PRECISION = 0.5


class Levels(nn.Module):
    """Learned vectors and biases by level."""

    def __init__(self, data: HeteroData, dim: int) -> None:
        super().__init__()
        self.make = nn.Embedding(len(data.makes), dim)
        self.vehicle = nn.Embedding(len(data.vehicles), dim)
        self.vehicle_class = nn.Embedding(len(data.classes), dim)
        self.part_type = nn.Embedding(len(data.part_types), dim)
        self.product = nn.Embedding(len(data.products), dim)
        self.part_type_bias = nn.Embedding(len(data.part_types), 1)
        self.product_bias = nn.Embedding(len(data.products), 1)
        # How far a part follows the number of its visitors, also one that no training has seen.
        self.popularity = nn.Parameter(torch.tensor(1.0))
        for table in (self.make, self.vehicle, self.vehicle_class):
            nn.init.normal_(table.weight, std=INITIAL_DEVIATION)
        for table in (self.part_type, self.product, self.part_type_bias, self.product_bias):
            nn.init.zeros_(table.weight)

    def vehicles(self, data: HeteroData) -> Float[Tensor, "vehicles dimension"]:
        """Vectors of makes and models."""
        level: Tensor = self.vehicle.weight + self.make(data["vehicle"].make)
        return level

    def classes(self, data: HeteroData) -> Float[Tensor, "classes dimension"]:
        """Vectors of classes of cars, without their neighbours."""
        return self.vehicle_class.weight + self.vehicles(data).index_select(0, data.class_vehicle)

    def products(self, data: HeteroData) -> Float[Tensor, "products channels"]:
        """Vectors of parts with the bias as last channel."""
        part_type = data["product"].part_type
        vectors = self.product.weight + self.part_type(part_type)
        return torch.cat([vectors, self.bias(data)[:, None]], dim=1)

    def bias(self, data: HeteroData) -> Float[Tensor, "products"]:
        """Bias of each part."""
        product = data["product"]
        own = self.product_bias.weight[:, 0] + self.part_type_bias(product.part_type)[:, 0]
        bias: Tensor = own + self.popularity * product.features[:, LOG_VISITORS]
        return bias

    def biases(self) -> list[Tensor]:
        """What is learned where there are no vectors."""
        return [self.part_type_bias.weight, self.product_bias.weight, self.popularity]

    def negative_log_prior(self, strength: float, bias_strength: float = 1.0) -> Float[Tensor, ""]:
        """``−ln`` of the density of the priors, but for a constant; without vectors where ``strength`` is infinite."""
        terms = [
            (bias_strength * PART_TYPE_BIAS_PRECISION, self.part_type_bias),
            (bias_strength * PRODUCT_BIAS_PRECISION, self.product_bias),
        ]
        if not math.isinf(strength):
            terms += [
                (strength * MAKE_PRECISION, self.make),
                (strength * VEHICLE_PRECISION, self.vehicle),
                (strength * CLASS_PRECISION, self.vehicle_class),
                (strength * PART_TYPE_PRECISION, self.part_type),
                (strength * PRODUCT_PRECISION, self.product),
            ]
        return torch.stack(
            [0.5 * precision * table.weight.square().sum() for precision, table in terms]
        ).sum()
