"""The warehouse of production, and what it may cost."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from holley_assets.settings.section import (
    PREFIX,
    Positive,
    Project,
    Section,
    is_dataset,
    is_identifier,
)

_TIB = 1 << 40


class BigQuerySettings(Section):
    """The warehouse of production, and what it may cost."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "BIGQUERY_")
    required_in_production: ClassVar[tuple[str, ...]] = ("project",)

    project: Project | None = Field(
        None, description="project that runs the queries and holds the output tables"
    )
    location: str = Field(
        "US",
        pattern=r"\A[A-Za-z][A-Za-z0-9-]{1,62}\z",
        description="where the datasets are, such as US or europe-west1",
    )
    company_dataset: str = Field(
        "company_1950",
        description="dataset of users, events and treatments, below another project if need be",
    )
    data_company_dataset: str = Field(
        "data_company_1950",
        description="dataset of catalogue, fitment and orders, below another project if need be",
    )
    working_dataset: str = Field(
        "temp_holley_gnn_work", description="dataset of results on their way, which expire"
    )
    working_hours: Annotated[int, Field(ge=1, le=8760)] = Field(
        168, description="hours after which a working table expires; a failed run can be resumed until then"
    )
    maximum_gib_billed: Positive = Field(
        1024.0, description="the most GiB that one query may read; BigQuery refuses one that would read more"
    )
    run_budget_dollars: Positive = Field(
        50.0,
        description="the most that the queries of one run may cost; one that would pass it does not start",
    )
    month_budget_dollars: Positive = Field(
        200.0,
        description="what the queries of all runs of a calendar month (UTC) may cost before a check warns; the "
        "proposal's upper figure for BigQuery",
    )
    month_stop_factor: Annotated[float, Field(ge=1.0, le=100.0)] = Field(
        2.0,
        description="times the month's budget at which no training and no delivery starts; jobs that give everybody "
        "the SQL pipeline's parts or an earlier table still do",
    )
    dollars_per_tib: Positive = Field(6.25, description="price of a TiB read, on demand")
    retry_seconds: Annotated[float, Field(gt=0.0, le=86_400.0)] = Field(
        600.0, description="how long a request is repeated while BigQuery is over quota or unavailable"
    )
    emulator: str | None = Field(
        None,
        max_length=1000,
        description="address of an emulator, which is asked without credentials; unset: BigQuery",
    )

    def dollars(self, read: int) -> float:
        """Price of ``read`` bytes, on demand."""
        return read / _TIB * self.dollars_per_tib

    @field_validator("working_dataset")
    @classmethod
    def _is_dataset(cls, value: str) -> str:
        if not is_identifier(value):
            raise ValueError("a dataset of HOLLEY_BIGQUERY_PROJECT: letters, digits and _")
        return value

    @field_validator("company_dataset", "data_company_dataset")
    @classmethod
    def _is_source_dataset(cls, value: str) -> str:
        if not is_dataset(value):
            raise ValueError("dataset or project.dataset")
        return value

    @field_validator("emulator")
    @classmethod
    def _is_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("an address such as http://127.0.0.1:9050")
        return value
