"""The ranking rules, the evaluation and the thresholds of the checks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_settings import SettingsConfigDict

from holley_assets.settings.section import (
    PREFIX,
    Count,
    Days,
    Positive,
    Section,
    Seed,
    Share,
    Table,
)


class RuleSettings(Section):
    """The numbers in the ranking rules, the same for every system that is compared and delivered."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "RULE_")

    minimum_price: Positive = Field(50.0, description="a part below this price is never recommended")
    unknown_type_minimum_price: Positive = Field(
        3000.0, description="a part of type UNKNOWN or none is recommended only from this price up"
    )
    purchase_exclusion_days: Days = Field(
        365, description="a base SKU ordered within this many days is not recommended to its buyer"
    )
    maximum_per_part_type: Count = Field(2, description="parts of one type that one user is shown")
    minimum_parts: Annotated[int, Field(ge=1, le=4)] = Field(
        3, description="a user with fewer parts gets no row, and is counted"
    )
    maximum_parts: Annotated[int, Field(ge=1, le=4)] = Field(4, description="slots of an e-mail")
    maximum_similar_parts: Count = Field(
        20, description="rows of similar_parts for each part and relation, at most"
    )
    sql_segment_minimum_orders: Count = Field(
        5, description="orders of a make and model before its own tier counts"
    )
    sql_make_minimum_orders: Count = Field(20, description="orders of a make before its own tier counts")
    sql_pair_minimum_orders: Count = Field(2, description="orders of the part within the segment or make")
    minimum_visitors: Count = Field(
        1,
        description="distinct visitors that must have seen a price or an image for it to be believed; 3 is advised "
        "for a public site",
    )
    plausible_price_factor: Annotated[float, Field(gt=1.0, le=1e6)] = Field(
        10.0,
        description="a price from events counts within this factor of the median listed price of its part type",
    )
    image_days: Days = Field(
        30,
        description="newest days of a view whose images are asked for the one that most visitors saw",
    )
    image_hosts: str | None = Field(
        None,
        min_length=1,
        max_length=2000,
        description="hosts that images may come from, separated by spaces, such as images.holley.com; unset: any; "
        "advised for a public site",
    )

    @field_validator("maximum_parts")
    @classmethod
    def _reaches_the_minimum(cls, value: int, info: ValidationInfo) -> int:
        minimum = info.data.get("minimum_parts")
        if minimum is not None and value < minimum:
            raise ValueError(f"a whole number from HOLLEY_RULE_MINIMUM_PARTS ({minimum}) up")
        return value


class EvaluationSettings(Section):
    """What is measured and what decides."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "EVALUATION_")

    depth: Annotated[int, Field(ge=20, le=1000)] = Field(
        20, description="ranks kept for a test user and system"
    )
    minimum_clicks: Count = Field(2000, description="test clicks below which the decision is inconclusive")
    bootstrap_draws: Annotated[int, Field(ge=100, le=1_000_000)] = Field(
        1000, description="draws of the paired bootstrap"
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = Field(0.95, description="level of the intervals")
    seed: Seed = Field(0, description="seed of the bootstrap and of system random")
    labels: Literal["clicks", "interactions", "both"] = Field(
        "clicks",
        description="what the test set is made of: e-mail clicks, new parts that registered users met on the "
        "site in the test window, or both",
    )
    live_table: Table | None = Field(
        None,
        max_length=2000,
        description="table that the live SQL pipeline writes, dataset.table or project.dataset.table, as system "
        "sql; locally <table>.parquet in HOLLEY_SOURCE_DIR; unset: the same pipeline, computed here",
    )
    clear_win: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.03, description="absolute Hit Rate@4 lift on cold users that is a clear win"
    )
    marginal: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.01, description="lift that is marginal; within ± it is neutral, below − worse"
    )

    @field_validator("marginal")
    @classmethod
    def _is_less_than_a_clear_win(cls, value: float, info: ValidationInfo) -> float:
        clear_win = info.data.get("clear_win")
        if clear_win is not None and value > clear_win:
            raise ValueError(f"a number up to HOLLEY_EVALUATION_CLEAR_WIN ({clear_win:g})")
        return value


class CheckSettings(Section):
    """Thresholds of the asset checks."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "CHECK_")

    minimum_users: Count = Field(450_000, description="users with recommendations, in prod")
    minimum_users_share: Share = Field(
        0.9, description="users with recommendations among those with enough eligible parts, in local"
    )
    minimum_rows_share: Share = Field(0.8, description="rows of a table against the previous run's")
    # Where tables spelled vehicles in two ways nine users of ten were lost; samples have 1 to 2 % without fitment.
    minimum_vehicles_share: Share = Field(
        0.5,
        description="users whose vehicle the fitment table names, among those with a vehicle; below, a run stops",
    )
    usual_vehicles_share: Share = Field(0.9, description="the same share, below which a warning is raised")
    # Samples and logs of real shops know 99 to 100 % of the parts. Orders of any age also name what is sold no more.
    minimum_known_parts_share: Share = Field(
        0.5,
        description="imported orders, and events that name parts, whose part the catalogue or the fitment data know; "
        "below, a run stops",
    )
    usual_known_parts_share: Share = Field(
        0.9, description="the same shares, below which a warning is raised"
    )
    # In samples all parts fit a vehicle; catalogues also have parts for any vehicle, which no fitment names.
    minimum_fitting_parts_share: Share = Field(
        0.2, description="rows of the catalogue whose part fits a vehicle; below, a run stops"
    )
    usual_fitting_parts_share: Share = Field(
        0.5, description="the same share, below which a warning is raised"
    )
    # A sample of 2,000 users has 0.96.
    similar_parts_share: Share = Field(
        0.5, description="parts that may be shown that have similar ones; below, a warning is raised"
    )
    similar_parts_change: Share = Field(
        0.5,
        description="largest share of the rows of the last similar_parts that may be gone; above, a warning is raised",
    )
    late_rows_share: Share = Field(
        0.001,
        description="rows of a source table that may be kept nowhere and dropped for no reason, since they arrived "
        "while the run read it; with more a run stops",
    )
    cold_share_low: Share = Field(0.90, description="share of cold users below which a warning is raised")
    cold_share_high: Share = Field(0.999, description="share of cold users above which a warning is raised")
    hit_rate_drop: Share = Field(
        0.02,
        description="most that Hit Rate@4 of a tier may fall since the previous run, and two standard errors",
    )
    # The limits below come from three weekly trainings, one after the other, on each of three samples of 20,000
    # users (seeds 0 to 2). The largest change between two good weeks, and that to a network that keeps nothing of
    # what it learned (seed 1): nodes or edges 0.08 (co_purchased); part types 0.16 and 0.53; users 0.79 and 1.00;
    # index of a feature 0.001, of the score leads 0.17 and 1.9, of similarities 0.37 and 1.9; mean length of vectors
    # 0.09 and 0.29. Samples of 3,000 users change by up to as much as the broken network from one good week to the
    # next, since there validation keeps another fit each time.
    graph_change: Positive = Field(
        0.25,
        description="most that the nodes or edges of one type may change since the previous run, relatively",
    )
    part_type_change: Share = Field(
        0.3,
        description="most of the delivered slots that may go to other part types than in the previous run",
    )
    users_changed: Share = Field(
        0.95, description="largest share of users who may be shown other parts than in the previous run"
    )
    psi: Positive = Field(
        0.25, description="population stability index of a feature since the previous run that is a drift"
    )
    model_psi: Positive = Field(
        0.75,
        description="population stability index of score leads, or of similarities of vectors, that is too much",
    )
    norm_change: Positive = Field(
        0.25,
        description="most that the mean length of vectors, before it is brought to one, may change, relatively",
    )

    @field_validator("cold_share_high")
    @classmethod
    def _is_above_the_low(cls, value: float, info: ValidationInfo) -> float:
        low = info.data.get("cold_share_low")
        if low is not None and value < low:
            raise ValueError(f"a number from HOLLEY_CHECK_COLD_SHARE_LOW ({low:g}) up")
        return value
