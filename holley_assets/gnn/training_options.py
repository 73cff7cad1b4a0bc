"""What a training is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch

from holley_assets.gnn.demand import DemandOptions
from holley_assets.gnn.sampling import NegativeOptions


@dataclass(frozen=True)
class TrainingOptions:
    """How the network learns; see ``settings.TrainingSettings`` for the reasons."""

    seed: int = 0
    epochs: int = 100
    patience: int = 10
    batches: int = 5
    validation_share: float = 0.1
    validation_edges: int = 5000
    embedding_learning_rate: float = 0.0003
    learning_rate: float = 0.001
    gradient_norm: float = 1.0
    standard_errors: float = 1.0
    personal_precision: float = 10.0
    loss: Literal["bce", "softmax", "bpr"] = "softmax"
    minimum_edge_weight: float = 2.0
    cold_share: float = 0.5
    demand_share: float = 1.0
    demand: DemandOptions = field(default_factory=DemandOptions)
    negatives: NegativeOptions = field(default_factory=NegativeOptions)
    device: str = "cpu"


def resolve_device(device: str) -> str:
    """``auto`` is CUDA where there is one."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device
