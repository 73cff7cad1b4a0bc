"""Where a run reads, where it writes and which day it is."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from holley_assets.settings.section import PREFIX, Count, Day, Days, Positive, Section, Seed

# Of a file or folder, in bytes, on every file system that is in use.
_LONGEST_NAME = 255


def is_production() -> bool:
    """Whether ``HOLLEY_ENV`` is ``prod``.

    For what Dagster wants to know when it loads the definitions, before any setting is validated: a wrong value
    ends the first run, not the user interface.
    """
    return os.environ.get(PREFIX + "ENV") == "prod"


class RunSettings(Section):
    """Where a run reads, where it writes and which day it is."""

    model_config = SettingsConfigDict(env_prefix=PREFIX)

    env: Literal["local", "prod"] = Field("local", description="DuckDB on this machine, or BigQuery")
    source_dir: Path | None = Field(
        None,
        description="folder with one <table>.parquet (a file, or a folder of part files) for each source "
        "table; unset: sample data is generated",
    )
    data_dir: Path = Field(
        Path("data"), description="everything a local run writes lives under it; prod: scratch space"
    )
    as_of: Day | None = Field(None, description="the run's today, an ISO date in UTC; unset: today")
    intent_start: Day | None = Field(
        None,
        description="first day of interaction events; orders before it come from orders; unset: the as-of day less "
        "HOLLEY_INTENT_DAYS",
    )
    # An interaction of 180 days ago weighs exp(−180 / 30) = 0.25 % of one of today.
    intent_days: Days = Field(
        180, description="days of interaction events before the as-of day, where HOLLEY_INTENT_START is unset"
    )
    test_days: Days = Field(
        30, description="days between the cutoff and as_of, whose clicks are the test set"
    )
    decay_days: Positive = Field(
        30.0, description="an interaction d days old weighs base × exp(−d / decay_days)"
    )
    season_days: Annotated[int, Field(ge=0, le=3650)] = Field(
        30, description="newest days whose orders tell how far recency predicts demand; 0: no season"
    )
    view_weight: Positive = Field(1.0, description="base weight of a view")
    cart_weight: Positive = Field(3.0, description="base weight of a cart update")
    order_weight: Positive = Field(5.0, description="base weight of an order")
    click_view_minutes: Annotated[int, Field(ge=1, le=1440)] = Field(
        30, description="a click's product is the first its user views within this many minutes"
    )
    # The least that tells a scanner from a person who opens two links of one e-mail in tabs.
    machine_clicks: Annotated[int, Field(ge=2, le=1000)] = Field(
        3, description="clicks of one user within HOLLEY_MACHINE_CLICK_SECONDS that only a machine makes"
    )
    machine_click_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        10, description="seconds within which so many clicks are a machine's"
    )
    machine_view_seconds: Annotated[int, Field(ge=0, le=3600)] = Field(
        10, description="seconds after a machine's last click whose views are the machine's too"
    )
    consent_property: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="property of users that says no to e-mail (no, false, 0, unsubscribed, …): they get no row; "
        "unset: consent is not looked at",
    )
    co_purchase_minimum_users: Count = Field(
        2, description="users who ordered both parts, for a co_purchased edge"
    )
    pair_window_days: Days = Field(
        30, description="days after a part within which a part that its buyer ordered goes with it"
    )
    pair_decay_days: Positive = Field(
        30.0, description="days in which the order of a pair of parts loses all but 1/e of its weight"
    )
    pair_minimum_buyers: Count = Field(2, description="buyers of an ordered pair of parts, for it to count")
    # More forget less of what few buyers did: on a real log 64 found three points less of the next purchases.
    pair_dimensions: Annotated[int, Field(ge=1, le=512)] = Field(
        16, description="dimensions of the directed vectors that ordered pairs of parts are ranked by"
    )
    co_view_minimum_visitors: Count = Field(
        2, description="visitors who met both parts, for a co_viewed edge"
    )
    co_view_maximum_parts: Count = Field(
        50, description="newest parts of a visitor that make co_viewed edges; pairs grow with the square"
    )
    visitor_maximum_parts: Count = Field(
        40, description="a visitor with more parts is a crawler or reseller and tells nothing about one car"
    )
    visitor_unregistered_owners: Positive = Field(
        0.2, description="owners a car has beside the registered ones when a visitor's car is inferred"
    )
    sample_users: Annotated[int, Field(ge=200, le=10_000_000)] = Field(
        20_000, description="users in the generated sample; 475000 is full scale"
    )
    sample_kind: Literal["segment", "taste", "real_cars", "null"] = Field(
        "segment",
        description="sample with tastes of cars to learn, with customers' own tastes strong and those of cars "
        "weak, as segment with real cars and the platforms they share, or with popularity alone",
    )
    # Above ten times the real traffic, the sample's active users would be more than there are.
    sample_traffic: Annotated[float, Field(gt=0, le=10)] = Field(
        1.0, description="visitors, views and orders of the sample as a share of a real shop's; up to 10"
    )
    sample_seed: Seed = Field(0, description="random seed of the sample")

    @field_validator("source_dir")
    @classmethod
    def _source_dir_exists(cls, value: Path | None) -> Path | None:
        if value is not None and not os.path.isdir(os.path.expanduser(value)):  # noqa: PTH111, PTH112
            raise ValueError("an existing folder")
        return value

    @field_validator("data_dir")
    @classmethod
    def _data_dir_can_be_made(cls, value: Path) -> Path:
        folder = Path(os.path.expanduser(value)).absolute()  # noqa: PTH111
        if any(len(os.fsencode(part)) > _LONGEST_NAME for part in folder.parts):
            raise ValueError(f"a folder, each part of its path of up to {_LONGEST_NAME} bytes")
        if "?" in os.path.realpath(folder):
            raise ValueError("a folder without ? in its path, where DuckDB ends the name of a database")
        standing = next(parent for parent in (folder, *folder.parents) if os.path.lexists(parent))
        if not standing.is_dir():
            raise ValueError(f"a folder, or where one can be made; {standing} is no folder")
        if not os.access(standing, os.W_OK | os.X_OK):
            raise ValueError(f"a folder, or where one can be made; {standing} may not be written")
        return value
