"""Checkpoints: what they hold, how they are written, and how weights find their nodes in another graph."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.model import HeteroGAT, ModelOptions

# Learned tables with one row a key, and the vocabulary that names the rows.
KEYED_TABLES = {
    "encoder.product_identity.weight": "products",
    "encoder.product_bias.weight": "products",
    "encoder.vehicle_identity.weight": "vehicles",
    "encoder.generation.weight": "generations",
    "encoder.part_type.weight": "part_types",
    "encoder.part_type_identity.weight": "part_types",
    "encoder.part_type_bias.weight": "part_types",
    "encoder.make.weight": "makes",
}
# What is learned of each node without its neighbours.
_NODE_PREFIX = "encoder."


class CheckpointError(RuntimeError):
    """A checkpoint cannot be used; the message says why and what to do."""


class Epoch(NamedTuple):
    """What one epoch left behind; losses are None before the first step or without validation edges."""

    epoch: int
    train_loss: float | None
    validation_loss: float | None
    validation_mrr: float | None
    validation_mrr_cold: float | None
    validation_mrr_history: float | None
    seconds: float


@dataclass(frozen=True)
class Checkpoint:
    """Weights with everything needed to use them on a later graph.

    Attributes:
        state: the model's ``state_dict``.
        options: shape of the network.
        vocabularies: keys of the rows of each of :data:`KEYED_TABLES`.
        history: one record an epoch, see :class:`Epoch`.
        best_epoch: the epoch whose weights these are; 0 is before the first step.
    """

    state: dict[str, Tensor]
    options: ModelOptions
    vocabularies: dict[str, list[str]]
    history: list[dict[str, float]]
    best_epoch: int

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights, independent of how they were saved."""
        digest = hashlib.sha256()
        for name in sorted(self.state):
            digest.update(name.encode())
            digest.update(self.state[name].detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write to ``path`` completely or not at all."""
        save_atomically(
            {
                "state": {name: value.detach().cpu() for name, value in self.state.items()},
                "options": asdict(self.options),
                "vocabularies": self.vocabularies,
                "history": self.history,
                "best_epoch": self.best_epoch,
            },
            path,
        )

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Read a checkpoint that :meth:`save` wrote.

        Raises:
            CheckpointError: ``path`` holds something else.
        """
        content = torch.load(path, weights_only=True, map_location="cpu")
        missing = {"state", "options", "vocabularies", "history", "best_epoch"} - set(content)
        if missing:
            raise CheckpointError(f"{path} is no checkpoint of this project: it lacks {sorted(missing)}")
        return cls(**{**content, "options": ModelOptions(**content["options"])})

    def model(self, data: HeteroData) -> HeteroGAT:
        """The network on ``data``, with these weights; a node that they do not know has a zero vector."""
        model = HeteroGAT(data, self.options)
        copy_weights(self, model, data)
        return model.eval()


def save_atomically(content: dict[str, Any], path: Path) -> None:
    """``torch.save`` to ``path``: a reader sees the old file or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        torch.save(content, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def vocabularies_of(data: HeteroData) -> dict[str, list[str]]:
    """Keys of the rows of each learned table."""
    return {name: list(getattr(data, name)) for name in KEYED_TABLES.values()}


def copy_weights(checkpoint: Checkpoint, model: HeteroGAT, data: HeteroData) -> None:
    """Copy weights into ``model``, learned tables by key and never by position.

    A row of ``data`` that the checkpoint does not know becomes zero, the mean of what identity dropout showed
    the network in training.

    Raises:
        CheckpointError: the checkpoint's network has another shape.
    """
    state = model.state_dict()
    merged: dict[str, Tensor] = {}
    for name, value in checkpoint.state.items():
        vocabulary = KEYED_TABLES.get(name)
        if vocabulary is None:
            merged[name] = _of_shape(name, value, state)
            continue
        if name not in state:
            raise _misfit(name, value, state)
        position = {key: row for row, key in enumerate(checkpoint.vocabularies[vocabulary])}
        rows = torch.tensor([position.get(key, -1) for key in getattr(data, vocabulary)])
        table = torch.zeros_like(state[name])
        table[rows >= 0] = value[rows[rows >= 0]]
        merged[name] = table
    model.load_state_dict(merged)


def message_weights(checkpoint: Checkpoint, model: HeteroGAT) -> dict[str, Tensor]:
    """The weights of ``checkpoint`` that pass messages and belong to no node: layers and towers.

    Raises:
        CheckpointError: the checkpoint's network has another shape.
    """
    state = model.state_dict()
    shared = {name: value for name, value in checkpoint.state.items() if not name.startswith(_NODE_PREFIX)}
    return {name: _of_shape(name, value, state) for name, value in shared.items()}


def _of_shape(name: str, value: Tensor, state: dict[str, Tensor]) -> Tensor:
    if name not in state or state[name].shape != value.shape:
        raise _misfit(name, value, state)
    return value


def _misfit(name: str, value: Tensor, state: dict[str, Tensor]) -> CheckpointError:
    return CheckpointError(
        f"the checkpoint's {name} {tuple(value.shape)} does not fit the network's "
        f"{tuple(state[name].shape) if name in state else 'shape'}: train with the same model settings, "
        "or without HOLLEY_TRAINING_WARM_START"
    )
