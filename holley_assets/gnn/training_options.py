"""What a training is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch

from holley_assets.gnn.demand import FitOptions
from holley_assets.gnn.sampling import NegativeOptions

Loss = Literal["likelihood", "bce"]


@dataclass(frozen=True)
class EdgeOptions:
    """How attention learns from single edges, with ``loss="bce"``; see ``settings.TrainingSettings``."""

    epochs: int = 100
    patience: int = 10
    batches: int = 5
    embedding_learning_rate: float = 0.0003
    learning_rate: float = 0.001
    gradient_norm: float = 1.0
    standard_errors: float = 1.0
    minimum_edge_weight: float = 2.0
    cold_share: float = 0.5
    negatives: NegativeOptions = field(default_factory=NegativeOptions)


@dataclass(frozen=True)
class TrainingOptions:
    """How the network learns; see ``settings.TrainingSettings`` for the reasons.

    Attributes:
        loss: ``likelihood`` fits levels and messages to visitors; ``bce`` trains layers of attention after it.
        strengths: what the precisions of the priors are multiplied by, the strongest first.
    """

    seed: int = 0
    loss: Loss = "likelihood"
    validation_share: float = 0.1
    validation_edges: int = 5000
    personal_precision: float = 10.0
    strengths: tuple[float, ...] = (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0)
    fit: FitOptions = field(default_factory=FitOptions)
    edges: EdgeOptions = field(default_factory=EdgeOptions)
    device: str = "cpu"


def resolve_device(device: str) -> str:
    """``auto`` is CUDA where there is one."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return device
