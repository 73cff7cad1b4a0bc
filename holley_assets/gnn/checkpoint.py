"""Checkpoints: what they hold, how they are written, and how weights find their nodes in another graph."""

from __future__ import annotations

import datetime
import hashlib
import os
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Int
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.classes import cars_of
from holley_assets.gnn.model import HeteroGAT, ModelOptions
from holley_assets.gnn.towers import AttentionOptions

# Learned tables with one row a key, and the vocabulary that names the rows.
KEYED_TABLES = {
    "levels.product.weight": "products",
    "levels.product_bias.weight": "products",
    "levels.vehicle.weight": "vehicles",
    "levels.vehicle_class.weight": "classes",
    "levels.part_type.weight": "part_types",
    "levels.part_type_bias.weight": "part_types",
    "levels.make.weight": "makes",
    "towers.part_type.weight": "part_types",
}
# What is learned of each node without its neighbours.
_NODE_PREFIX = "levels."


class CheckpointError(RuntimeError):
    """A checkpoint cannot be used; the message says why and what to do."""


class Epoch(NamedTuple):
    """What one epoch left behind; a number that does not exist is None.

    Attributes:
        train_loss, validation_loss: ``−ln P`` of a part that a visitor met, as its fitment and popularity tell the car,
            in the mean of those trained on and of those held out; with attention, the mean loss of an edge.
        validation_mrr: mean reciprocal rank of held-out parts of customers, ``_cold`` for the car alone and
            ``_history`` for the customer.
        stage: what was learned: ``start``, ``popularity``, ``levels``, ``visitors``, ``messages``, ``attention``, or
            ``everybody`` for the last fit, which nobody is held out from and which has no losses.
        strength: what the precisions of the priors on vectors were multiplied by.
    """

    epoch: int
    train_loss: float | None
    validation_loss: float | None
    validation_mrr: float | None
    validation_mrr_cold: float | None
    validation_mrr_history: float | None
    seconds: float
    stage: str = "start"
    strength: float | None = None


@dataclass(frozen=True)
class Checkpoint:
    """Weights with everything needed to use them on a later graph.

    Attributes:
        state: the model's ``state_dict``.
        options: shape of the network.
        vocabularies: keys of the rows of each of :data:`KEYED_TABLES`.
        history: one record an epoch, see :class:`Epoch`.
        best_epoch: the epoch that held-out visitors chose; 0 is before the first step. The weights are its own, or
            those of the epoch ``everybody`` that goes on from it.
        stages: the best ``state_dict`` of each stage that was fitted, by :attr:`Epoch.stage`: what each layer of the
            model adds is told by comparing them. They have no part in what is delivered.
    """

    state: dict[str, Tensor]
    options: ModelOptions
    vocabularies: dict[str, list[str]]
    history: list[dict[str, Any]]
    best_epoch: int
    stages: dict[str, dict[str, Tensor]] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the weights, independent of how they were saved."""
        digest = hashlib.sha256()
        for name in sorted(self.state):
            digest.update(name.encode())
            digest.update(self.state[name].detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()

    def version(self, as_of: datetime.date) -> str:
        """Name of the model: the day of its data and the hash of its weights, the same for the same weights."""
        return f"{as_of:%Y%m%d}-{self.fingerprint[:12]}"

    def save(self, path: Path) -> None:
        """Write to ``path`` completely or not at all."""
        save_atomically(
            {
                "state": {name: value.detach().cpu() for name, value in self.state.items()},
                "options": asdict(self.options),
                "vocabularies": self.vocabularies,
                "history": self.history,
                "best_epoch": self.best_epoch,
                "stages": self.stages,
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
        missing = {field.name for field in fields(cls)} - set(content)
        if missing:
            raise CheckpointError(f"{path} is no checkpoint of this project: it lacks {sorted(missing)}")
        return cls(**{**content, "options": options_of(content["options"])})

    def of_stage(self, stage: str) -> Checkpoint:
        """The checkpoint of an earlier stage, which has no stages of its own."""
        return replace(self, state=self.stages[stage], stages={})

    def model(self, data: HeteroData) -> HeteroGAT:
        """The network on ``data``, with these weights; a node that they do not know is what its levels above are."""
        model = HeteroGAT(data, self.options)
        copy_weights(self, model, data)
        return model.eval()


def options_of(values: dict[str, Any]) -> ModelOptions:
    """The shape of a network from plain values, as ``dataclasses.asdict`` gives them."""
    attention = values["attention"]
    return ModelOptions(
        **{**values, "attention": None if attention is None else AttentionOptions(**attention)}
    )


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

    A row of ``data`` that the checkpoint does not know becomes zero, the mean of its prior.

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
        find = _rows_of_classes if vocabulary == "classes" else _rows_of_keys
        known, new = find(checkpoint.vocabularies[vocabulary], getattr(data, vocabulary))
        table = torch.zeros_like(state[name])
        count = torch.bincount(new, minlength=len(table)).clamp_min(1).to(value.dtype)
        table.index_add_(0, new, value[known])
        merged[name] = table / count[:, None]
    model.load_state_dict(merged)


def _rows_of_keys(known: list[str], wanted: list[str]) -> tuple[Int[Tensor, "pairs"], Int[Tensor, "pairs"]]:
    """Row among ``known`` and row among ``wanted`` of each key that is in both."""
    position = {key: row for row, key in enumerate(known)}
    pairs = [(position[key], row) for row, key in enumerate(wanted) if key in position]
    known_rows, wanted_rows = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).unbind(1)
    return known_rows, wanted_rows


def _rows_of_classes(
    known: list[str], wanted: list[str]
) -> tuple[Int[Tensor, "pairs"], Int[Tensor, "pairs"]]:
    """The same for each car of each class: a class of other years is the mean of those that its cars were in."""
    of_known = {car: row for row, key in enumerate(known) for car in cars_of(key)}
    pairs = [
        (of_known[car], row) for row, key in enumerate(wanted) for car in cars_of(key) if car in of_known
    ]
    known_rows, wanted_rows = torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).unbind(1)
    return known_rows, wanted_rows


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
