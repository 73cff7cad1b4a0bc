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
        32, description="learned and delivered vectors; on samples 8 to 24 learned channels did equally well"
    )
    hops: Annotated[int, Field(ge=0, le=4)] = Field(
        2, description="how far cars exchange messages, over the parts that fit both"
    )
    layers: Annotated[int, Field(ge=1, le=4)] = Field(
        2, description="graph attention layers, with HOLLEY_TRAINING_LOSS=bce"
    )
    hidden_dim: Annotated[int, Field(ge=8, le=4096)] = Field(
        256, description="width of a graph attention layer, all heads"
    )
    heads: Annotated[int, Field(ge=1, le=64)] = Field(
        4, description="attention heads; must divide hidden_dim"
    )
    part_type_dim: Annotated[int, Field(ge=1, le=4096)] = Field(
        32, description="learned vector of a part type among the features that attention sees"
    )
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(0.1, description="dropout in layers and towers")
    co_viewed: bool = Field(
        False,
        description="whether the graph has relation co_viewed, of parts that the same visitors met; attention reads it",
    )

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
    loss: Literal["likelihood", "bce"] = Field(
        "likelihood",
        description="likelihood: of what visitors met, by full softmax over the parts that fit; bce: after it layers "
        "of attention learn from single edges, by weighted binary cross-entropy with mixed negatives",
    )
    validation_share: Annotated[float, Field(gt=0.0, lt=0.5)] = Field(
        0.1, description="visitors and customers' edges held out at random, which choose among all fits"
    )
    validation_edges: Count = Field(5000, description="the most validation edges that are ranked each epoch")
    fit_steps: Annotated[int, Field(ge=1, le=10_000)] = Field(
        30, description="optimiser steps of a fit; each goes on where the last one ended"
    )
    personal_precision: Positive = Field(
        10.0, description="inverse variance of a user's own taste around that of the car"
    )
    epochs: Count = Field(100, description="the most epochs with bce; early stopping comes sooner")
    patience: Count = Field(
        10, description="epochs with bce without a better validation MRR before training stops"
    )
    standard_errors: Annotated[float, Field(ge=0.0, le=100.0)] = Field(
        1.0,
        description="paired standard errors by which validation MRR must rise for an epoch with bce to be the best",
    )
    batches: Annotated[int, Field(ge=1, le=10_000)] = Field(
        5, description="batches an epoch with bce is cut into; each is hidden while it is asked for"
    )
    embedding_learning_rate: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.0003, description="Adam on learned embeddings, with bce"
    )
    learning_rate: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.001, description="Adam on everything else, with bce"
    )
    minimum_edge_weight: Positive = Field(
        2.0, description="least weight of an edge with bce, so that decay does not erase old orders"
    )
    cold_share: Share = Field(
        0.5, description="share of the loss with bce for users shown without their history"
    )
    gradient_norm: Positive = Field(1.0, description="gradients with bce are clipped to this norm")
    negatives: Annotated[int, Field(ge=1, le=100_000)] = Field(
        64, description="negatives for each positive, with bce"
    )
    negative_in_batch_share: Share = Field(0.5, description="negatives that are other positives of the batch")
    negative_fitment_share: Share = Field(
        0.3, description="negatives among parts that fit the user's vehicle; the rest are any parts"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes CUDA where there is one")
    warm_start: Path | None = Field(
        None, description="checkpoint (model.pt) whose message passing training starts from"
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
