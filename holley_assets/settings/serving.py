"""What the e-mail system reads: who gets the graph's parts, who the SQL pipeline's."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from holley_assets.settings.section import (
    LOG_TABLES,
    PREFIX,
    WORKING_DATASET,
    Days,
    Name,
    Project,
    Section,
    is_identifier,
)


class ServingSettings(Section):
    """The serving table and its arms."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "SERVING_")

    system: Literal["gnn", "hybrid"] = Field(
        "gnn",
        description="what a trained model is judged, promoted and delivered as: the graph model alone, or mixed with "
        "the SQL pipeline's scores. Part of the model's version: a change holds from the next training on",
    )
    mode: Literal["shadow", "ab", "rollout", "full"] = Field(
        "shadow",
        description="shadow: the serving table is not touched; ab: half of the users get the graph's parts; "
        "rollout: a share of them; full: all",
    )
    share: Annotated[int, Field(ge=0, le=100)] = Field(
        10, description="percent of the users who get the graph's parts in mode rollout: 10, 25, 50, then 100"
    )
    salt: str = Field(
        "holley",
        min_length=1,
        max_length=200,
        description="of the hash that chooses them; another salt chooses others",
    )
    experiment: Name | None = Field(
        None,
        description="name of the experiment on customers, hashed with the salt: another experiment chooses others, and "
        "within one nobody changes arms but by a growing share",
    )
    kill_switch: bool = Field(
        False, description="true: every run that writes the serving table puts all users on the SQL pipeline"
    )
    older_day: Literal["dated", "replace"] = Field(
        "dated",
        description="what a run of an older day than the delivered or the served table does: puts its rows "
        "beside it as <table>_of_<YYYYMMDD>, which nobody serves from, or replaces the newer rows",
    )
    rollback_warning_days: Days = Field(
        7, description="a rollback to rows older than this warns: they leave out what was ordered since"
    )
    project: Project | None = Field(
        None, description="prod: project of the serving table; unset: HOLLEY_BIGQUERY_PROJECT"
    )
    dataset: str = Field("holley_serving", description="dataset of the serving table")
    # Earlier versions have its name and their time, and BigQuery takes 1,024 characters.
    table: str = Field(
        "email_recommendations",
        min_length=1,
        max_length=1000,
        description="the table that the e-mail system reads",
    )

    @field_validator("dataset", "table")
    @classmethod
    def _names_a_table_of_its_own(cls, value: str, info: Any) -> str:
        if not is_identifier(value):
            raise ValueError("letters, digits and _, not beginning with a digit")
        if info.field_name == "dataset" and value.lower() == WORKING_DATASET.lower():
            raise ValueError(f"any dataset but {WORKING_DATASET}, whose tables nobody serves from")
        if info.field_name == "table" and value.lower() in LOG_TABLES:
            raise ValueError(f"any table but {' and '.join(LOG_TABLES)}, which hold the experiments' records")
        return value

    @property
    def hash_salt(self) -> str:
        """What is hashed before the address, with a colon between them."""
        return self.salt if self.experiment is None else f"{self.salt}:{self.experiment}"

    @property
    def graph_percent(self) -> int:
        """Share of the users who get the graph's parts, in percent."""
        return {"shadow": 0, "ab": 50, "rollout": self.share, "full": 100}[self.mode]
