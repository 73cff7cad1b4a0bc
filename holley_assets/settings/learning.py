"""The network and how it learns."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from holley_assets.settings.section import PREFIX, Count, Positive, Processors, Section, Seed, Share


class ModelSettings(Section):
    """Shape of the network."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "MODEL_")

    embedding_dim: Annotated[int, Field(ge=8, le=4096)] = Field(
        128, description="learned and delivered vectors"
    )
    hidden_dim: Annotated[int, Field(ge=8, le=4096)] = Field(
        256, description="width of a graph attention layer, all heads"
    )
    heads: Annotated[int, Field(ge=1, le=64)] = Field(
        4, description="attention heads; must divide hidden_dim"
    )
    layers: Annotated[int, Field(ge=0, le=4)] = Field(
        2, description="graph attention layers; 0 leaves the towers alone"
    )
    part_type_dim: Annotated[int, Field(ge=1, le=4096)] = Field(
        32, description="learned vector of a part type"
    )
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(0.1, description="dropout in layers and towers")

    @field_validator("heads")
    @classmethod
    def _heads_divide(cls, value: int, info: Any) -> int:
        hidden = info.data.get("hidden_dim")
        if hidden is not None and hidden % value:
            raise ValueError(f"a divisor of HOLLEY_MODEL_HIDDEN_DIM ({hidden})")
        return value


class TrainingSettings(Section):
    """How the network learns."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "TRAINING_")

    seed: Seed = Field(0, description="seed of initial weights, split, negatives and dropout")
    epochs: Count = Field(100, description="the most epochs; early stopping comes sooner")
    patience: Count = Field(10, description="epochs without a better validation MRR before training stops")
    validation_share: Annotated[float, Field(gt=0.0, lt=0.5)] = Field(
        0.1, description="training edges held out at random to steer early stopping"
    )
    validation_edges: Count = Field(5000, description="the most validation edges that are ranked each epoch")
    standard_errors: Annotated[float, Field(ge=0.0, le=100.0)] = Field(
        1.0,
        description="paired standard errors by which validation MRR must rise for an epoch to be the best",
    )
    batches: Annotated[int, Field(ge=1, le=10_000)] = Field(
        5, description="batches an epoch is cut into; each is hidden while it is asked for"
    )
    embedding_learning_rate: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.0003, description="Adam on learned embeddings"
    )
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.001, description="Adam on everything else"
    )
    loss: Literal["bce", "softmax", "bpr"] = Field(
        "softmax", description="loss of a positive and its negatives"
    )
    minimum_edge_weight: Positive = Field(
        2.0, description="least weight of an edge in the loss, so that decay does not erase old orders"
    )
    cold_share: Share = Field(0.5, description="share of the loss for users shown without their history")
    demand_share: Annotated[float, Field(ge=0.0, le=1e6)] = Field(
        1.0, description="weight of the loss on the demand for each car beside that on single edges"
    )
    personal_precision: Positive = Field(
        10.0, description="inverse variance of a user's own taste around that of the car"
    )
    gradient_norm: Positive = Field(1.0, description="gradients are clipped to this norm")
    negatives: Annotated[int, Field(ge=1, le=100_000)] = Field(64, description="negatives for each positive")
    negative_in_batch_share: Share = Field(0.0, description="negatives that are other positives of the batch")
    negative_fitment_share: Share = Field(
        1.0, description="negatives among parts that fit the user's vehicle"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes CUDA where there is one")
    warm_start: Path | None = Field(
        None, description="checkpoint (model.pt) whose layers and towers training starts from"
    )

    processes: Processors = Field(
        1,
        description="processes of this machine that share a training: one a GPU, or one for some processors",
    )
    full_rebuild_days: Annotated[int, Field(ge=0, le=3650)] = Field(
        28, description="days after which a training starts from nothing again; in between from the champion"
    )

    @field_validator("warm_start")
    @classmethod
    def _warm_start_exists(cls, value: Path | None) -> Path | None:
        if value is not None and not os.path.isfile(value):  # noqa: PTH113
            raise ValueError("an existing checkpoint file")
        return value

    @field_validator("negative_fitment_share")
    @classmethod
    def _shares_sum(cls, value: float, info: Any) -> float:
        in_batch = info.data.get("negative_in_batch_share")
        if in_batch is not None and in_batch + value > 1.0:
            raise ValueError(
                f"at most {1.0 - in_batch:g}, so that it and "
                "HOLLEY_TRAINING_NEGATIVE_IN_BATCH_SHARE sum to 1 or less"
            )
        return value
