"""Every setting of a run: typed, validated, with its reason.

A setting is an environment variable that starts with ``HOLLEY_``. :func:`load_settings` reads and
validates all of them at once; assets unwrap what they need and pass plain values on, so that nothing
below this module reads the environment.
"""

from __future__ import annotations

import datetime
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "HOLLEY_"

# BigQuery: a project is 6–30 lower-case letters, digits and dashes, optionally below a domain; a dataset
# or table is letters, digits and underscores. Identifiers cannot be query parameters, so that these
# patterns are what stands between a setting and the text of a query.
PROJECT_PATTERN = re.compile(r"^(?:[a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$")
IDENTIFIER_PATTERN = re.compile(r"^[A-Za-z_][A-Za-z0-9_]{0,1023}$")

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[float, Field(gt=0.0)]
Count = Annotated[int, Field(ge=1)]


class SettingsError(ValueError):
    """A setting has a value that is not allowed. The message is one line a person can act on."""


class _Section(BaseSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)


class RunSettings(_Section):
    """Where a run reads, where it writes and which day it is."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    env: Literal["local", "prod"] = Field("local", description="DuckDB on this machine, or BigQuery")
    source_dir: Path | None = Field(
        None,
        description="folder with one <table>.parquet (a file, or a folder of part files) for each source "
        "table; unset: sample data is generated",
    )
    data_dir: Path = Field(Path("data"), description="everything a local run writes lives under it")
    as_of: datetime.date | None = Field(None, description="the run's today, an ISO date in UTC; unset: today")
    intent_start: datetime.date = Field(
        datetime.date(2025, 9, 1),
        description="first day of interaction events; orders before it come from orders",
    )
    test_days: Count = Field(
        30, description="days between the cutoff and as_of, whose clicks are the test set"
    )
    decay_days: Positive = Field(
        30.0, description="an interaction d days old weighs base × exp(−d / decay_days)"
    )
    view_weight: Positive = Field(1.0, description="base weight of a view")
    cart_weight: Positive = Field(3.0, description="base weight of a cart update")
    order_weight: Positive = Field(5.0, description="base weight of an order")
    click_view_minutes: Count = Field(
        30, description="a click's product is the first its user views within this many minutes"
    )
    co_purchase_minimum_users: Count = Field(
        2, description="users who ordered both parts, for a co_purchased edge"
    )
    visitor_maximum_parts: Count = Field(
        40, description="a visitor with more parts is a crawler or reseller and tells nothing about one car"
    )
    visitor_unregistered_owners: Positive = Field(
        0.2, description="owners a car has beside the registered ones when a visitor's car is inferred"
    )
    sample_users: Annotated[int, Field(ge=200)] = Field(
        20_000, description="users in the generated sample; 475000 is full scale"
    )
    sample_kind: Literal["segment", "null"] = Field(
        "segment", description="sample with tastes to learn, or with popularity alone"
    )
    sample_seed: Annotated[int, Field(ge=0)] = Field(0, description="random seed of the sample")

    @field_validator("source_dir")
    @classmethod
    def _source_dir_exists(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_dir():
            raise ValueError("an existing folder")
        return value


class RuleSettings(_Section):
    """The numbers in the ranking rules, the same for every system that is compared and delivered."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "RULE_")

    minimum_price: Positive = Field(50.0, description="a part below this price is never recommended")
    unknown_type_minimum_price: Positive = Field(
        3000.0, description="a part of type UNKNOWN or none is recommended only from this price up"
    )
    purchase_exclusion_days: Count = Field(
        365, description="a base SKU ordered within this many days is not recommended to its buyer"
    )
    maximum_per_part_type: Count = Field(2, description="parts of one type that one user is shown")
    minimum_parts: Annotated[int, Field(ge=1, le=4)] = Field(
        3, description="a user with fewer parts gets no row, and is counted"
    )
    maximum_parts: Annotated[int, Field(ge=1, le=4)] = Field(4, description="slots of an e-mail")
    sql_segment_minimum_orders: Count = Field(
        5, description="orders of a make and model before its own tier counts"
    )
    sql_make_minimum_orders: Count = Field(20, description="orders of a make before its own tier counts")
    sql_pair_minimum_orders: Count = Field(2, description="orders of the part within the segment or make")


class ModelSettings(_Section):
    """Shape of the network."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "MODEL_")

    embedding_dim: Annotated[int, Field(ge=8)] = Field(128, description="learned and delivered vectors")
    hidden_dim: Annotated[int, Field(ge=8)] = Field(
        256, description="width of a graph attention layer, all heads"
    )
    heads: Count = Field(4, description="attention heads; must divide hidden_dim")
    layers: Annotated[int, Field(ge=0, le=4)] = Field(
        2, description="graph attention layers; 0 leaves the towers alone"
    )
    part_type_dim: Count = Field(32, description="learned vector of a part type")
    dropout: Annotated[float, Field(ge=0.0, lt=1.0)] = Field(0.1, description="dropout in layers and towers")

    @field_validator("heads")
    @classmethod
    def _heads_divide(cls, value: int, info: Any) -> int:
        hidden = info.data.get("hidden_dim")
        if hidden is not None and hidden % value:
            raise ValueError(f"a divisor of HOLLEY_MODEL_HIDDEN_DIM ({hidden})")
        return value


class TrainingSettings(_Section):
    """How the network learns."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "TRAINING_")

    seed: Annotated[int, Field(ge=0)] = Field(
        0, description="seed of initial weights, split, negatives and dropout"
    )
    epochs: Count = Field(100, description="the most epochs; early stopping comes sooner")
    patience: Count = Field(10, description="epochs without a better validation MRR before training stops")
    validation_share: Annotated[float, Field(gt=0.0, lt=0.5)] = Field(
        0.1, description="training edges held out at random to steer early stopping"
    )
    validation_edges: Count = Field(5000, description="the most validation edges that are ranked each epoch")
    standard_errors: Annotated[float, Field(ge=0.0)] = Field(
        1.0,
        description="paired standard errors by which validation MRR must rise for an epoch to be the best",
    )
    batches: Count = Field(
        5, description="batches an epoch is cut into; each is hidden while it is asked for"
    )
    embedding_learning_rate: Positive = Field(0.0001, description="Adam on learned embeddings")
    learning_rate: Positive = Field(0.0003, description="Adam on everything else")
    loss: Literal["bce", "softmax", "bpr"] = Field(
        "softmax", description="loss of a positive and its negatives"
    )
    minimum_edge_weight: Positive = Field(
        2.0, description="least weight of an edge in the loss, so that decay does not erase old orders"
    )
    cold_share: Share = Field(0.5, description="share of the loss for users shown without their history")
    demand_share: Annotated[float, Field(ge=0.0)] = Field(
        1.0, description="weight of the loss on the demand for each car beside that on single edges"
    )
    personal_precision: Positive = Field(
        5.0, description="inverse variance of a user's own taste around that of the car"
    )
    gradient_norm: Positive = Field(1.0, description="gradients are clipped to this norm")
    negatives: Annotated[int, Field(ge=1)] = Field(64, description="negatives for each positive")
    negative_in_batch_share: Share = Field(0.0, description="negatives that are other positives of the batch")
    negative_fitment_share: Share = Field(
        1.0, description="negatives among parts that fit the user's vehicle"
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto takes CUDA where there is one")
    warm_start: Path | None = Field(
        None, description="checkpoint (model.pt) whose weights training starts from, matched by key"
    )

    @field_validator("warm_start")
    @classmethod
    def _warm_start_exists(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
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


class EvaluationSettings(_Section):
    """What is measured and what decides."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "EVALUATION_")

    depth: Annotated[int, Field(ge=20)] = Field(20, description="ranks kept for a test user and system")
    minimum_clicks: Count = Field(2000, description="test clicks below which the decision is inconclusive")
    bootstrap_draws: Annotated[int, Field(ge=100)] = Field(1000, description="draws of the paired bootstrap")
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = Field(0.95, description="level of the intervals")
    seed: Annotated[int, Field(ge=0)] = Field(0, description="seed of the bootstrap and of system random")
    labels: Literal["clicks", "interactions", "both"] = Field(
        "clicks",
        description="what the test set is made of: e-mail clicks, new parts that registered users met on the "
        "site in the test window, or both",
    )
    clear_win: Positive = Field(
        0.03, description="absolute Hit Rate@4 lift on cold users that is a clear win"
    )
    marginal: Positive = Field(
        0.01, description="lift that is marginal; within ± it is neutral, below − worse"
    )


class CheckSettings(_Section):
    """Thresholds of the asset checks."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "CHECK_")

    minimum_users: Count = Field(450_000, description="users with recommendations, in prod")
    minimum_users_share: Share = Field(
        0.9, description="users with recommendations among those with enough eligible parts, in local"
    )
    minimum_rows_share: Share = Field(0.8, description="rows of a table against the previous run's")
    cold_share_low: Share = Field(0.90, description="share of cold users below which a warning is raised")
    cold_share_high: Share = Field(0.999, description="share of cold users above which a warning is raised")


class WarehouseSettings(_Section):
    """What is kept in the warehouse."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "WAREHOUSE_")

    snapshots: Count = Field(
        8, description="earlier versions of a delivered table that are kept for rollback"
    )


class TrackingSettings(_Section):
    """Where a training is recorded."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "MLFLOW_")

    tracking_uri: str | None = Field(
        None, description="MLflow tracking server; unset: a SQLite store under HOLLEY_DATA_DIR"
    )
    experiment: str = Field("holley-gnn", min_length=1, description="MLflow experiment")


class Settings(BaseModel):
    """All settings of one run."""

    model_config = ConfigDict(frozen=True)

    run: RunSettings
    rules: RuleSettings
    model: ModelSettings
    training: TrainingSettings
    evaluation: EvaluationSettings
    checks: CheckSettings
    warehouse: WarehouseSettings
    tracking: TrackingSettings


SECTIONS: dict[str, type[_Section]] = {
    "run": RunSettings,
    "rules": RuleSettings,
    "model": ModelSettings,
    "training": TrainingSettings,
    "evaluation": EvaluationSettings,
    "checks": CheckSettings,
    "warehouse": WarehouseSettings,
    "tracking": TrackingSettings,
}


def variable_name(section: type[_Section], field: str) -> str:
    """Name of the environment variable behind ``field`` of ``section``."""
    return f"{section.model_config.get('env_prefix', '')}{field}".upper()


def known_variables() -> set[str]:
    """Names of all environment variables that are settings."""
    return {variable_name(section, field) for section in SECTIONS.values() for field in section.model_fields}


def unknown_variables() -> list[str]:
    """Variables that start with ``HOLLEY_`` and are no setting: misspelled, most likely."""
    return sorted(name for name in os.environ if name.startswith(PREFIX) and name not in known_variables())


def _allowed(error: dict[str, Any]) -> str:
    context = error.get("ctx", {})
    kind = error["type"]
    if kind == "literal_error":
        return str(context["expected"]).replace("'", "")
    if kind == "value_error":
        return str(context["error"])
    bounds = {
        "greater_than": ("a number above", "gt"),
        "greater_than_equal": ("a number from", "ge"),
        "less_than": ("a number below", "lt"),
        "less_than_equal": ("a number up to", "le"),
    }
    if kind in bounds:
        words, key = bounds[kind]
        return f"{words} {context[key]}" + (" up" if kind == "greater_than_equal" else "")
    types = {"int": "a whole number", "float": "a number", "date": "an ISO date such as 2026-02-01"}
    for name, words in types.items():
        if kind.startswith(name):
            return words
    return str(error["msg"])


def load_settings() -> Settings:
    """Read and validate every setting.

    Raises:
        SettingsError: one line that names each wrong variable, its value and what is allowed.
    """
    sections: dict[str, _Section] = {}
    problems: list[str] = []
    for name, section in SECTIONS.items():
        try:
            sections[name] = section()
        except ValidationError as error:
            for detail in error.errors():
                variable = variable_name(section, str(detail["loc"][0]))
                problems.append(
                    f"{variable}={detail['input']} is not allowed; allowed: {_allowed(dict(detail))}"
                )
    if problems:
        raise SettingsError("; ".join(problems))
    return Settings(**sections)  # type: ignore[arg-type]
