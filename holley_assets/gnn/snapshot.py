"""An unfinished training in a file, so that it goes on where it was killed."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch_geometric.data import HeteroData

from holley_assets.gnn.checkpoint import Checkpoint, Epoch, save_atomically
from holley_assets.gnn.graph_schema import EDGE_TYPES
from holley_assets.gnn.model import ModelOptions
from holley_assets.gnn.training_options import TrainingOptions


class Resumable(Protocol):
    """What is kept of a training. It is stated here, so that the training may import this module."""

    options: TrainingOptions
    generator: torch.Generator
    history: list[Epoch]
    best_epoch: int
    best_ranks: Float[Tensor, "positives"]
    best_state: dict[str, Tensor]
    stages: dict[str, dict[str, Tensor]]

    @property
    def model(self) -> nn.Module:
        """The network that is trained."""
        ...

    @property
    def optimisers(self) -> Sequence[torch.optim.Optimizer]:
        """Those whose state the next epoch depends on."""
        ...


def save(training: Resumable, path: Path, identity: str) -> None:
    """Keep everything that the next epoch depends on."""
    save_atomically(
        {
            "identity": identity,
            "model": training.model.state_dict(),
            "best_state": training.best_state,
            "best_epoch": training.best_epoch,
            "best_ranks": training.best_ranks,
            "stages": training.stages,
            "optimisers": [optimiser.state_dict() for optimiser in training.optimisers],
            "history": [tuple(epoch) for epoch in training.history],
            "generator": training.generator.get_state(),
            "random": torch.get_rng_state(),
            "random_cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
        },
        path,
    )


def restore(training: Resumable, content: bytes, identity: str) -> bool:
    """Go on where :func:`save` left off; False, and nothing is done, where that was of other data or options."""
    state = torch.load(io.BytesIO(content), weights_only=True, map_location=training.options.device)
    if state["identity"] != identity:
        return False
    training.model.load_state_dict(state["model"])
    training.best_state, training.best_epoch = state["best_state"], state["best_epoch"]
    training.best_ranks, training.stages = state["best_ranks"], state["stages"]
    for optimiser, saved in zip(training.optimisers, state["optimisers"], strict=True):
        optimiser.load_state_dict(saved)
    training.history = [Epoch(*epoch) for epoch in state["history"]]
    training.generator.set_state(state["generator"].cpu())
    torch.set_rng_state(state["random"].cpu())
    if state["random_cuda"] is not None:
        torch.cuda.set_rng_state(state["random_cuda"].cpu())
    return True


def identity_of(
    data: HeteroData, model_options: ModelOptions, options: TrainingOptions, warm_start: Checkpoint | None
) -> str:
    """Hash of everything the trained weights depend on; the same in every process of a training."""
    options = replace(options, device=torch.device(options.device).type)
    digest = hashlib.sha256(repr((asdict(model_options), asdict(options), torch.__version__)).encode())
    digest.update((warm_start.fingerprint if warm_start is not None else "").encode())
    digest.update(repr((data.products, data.vehicles, data.part_types, data.makes)).encode())
    for kind in (*EDGE_TYPES, *data.node_types):
        for name, value in sorted(data[kind].items()):
            digest.update(repr((kind, name)).encode())
            digest.update(
                value.cpu().numpy().tobytes() if isinstance(value, Tensor) else repr(value).encode()
            )
    for name in ("candidate_offsets", "candidate_products", "set_offsets", "set_products", "set_visitors"):
        digest.update(data[name].cpu().numpy().tobytes())
    return digest.hexdigest()
