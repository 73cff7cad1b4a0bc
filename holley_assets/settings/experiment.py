"""The experiment on customers."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from holley_assets.settings.section import PREFIX, Section, Table, is_identifier


class ExperimentSettings(Section):
    """The experiment on customers; everything else about it is in its declaration."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "EXPERIMENT_")

    declaration: Path | None = Field(
        None,
        description="TOML file that declares the experiment (holley_assets/experiment/README.md); unset: there is "
        "none, and no exposure is logged",
    )
    sends_table: Table | None = Field(
        None,
        max_length=2000,
        description="table of the mails that were really sent, dataset.table or project.dataset.table; locally "
        "<table>.parquet in HOLLEY_SOURCE_DIR; unset: who was published is taken to have been shown the parts",
    )
    sends_email_column: str = Field(
        "email", max_length=300, description="column of HOLLEY_EXPERIMENT_SENDS_TABLE with the address"
    )
    sends_time_column: str = Field(
        "sent_at",
        max_length=300,
        description="column of HOLLEY_EXPERIMENT_SENDS_TABLE with the time of the send, or its day; UTC",
    )

    @field_validator("declaration")
    @classmethod
    def _declaration_exists(cls, value: Path | None) -> Path | None:
        if value is not None and not os.path.isfile(os.path.expanduser(value)):  # noqa: PTH111, PTH113
            raise ValueError("an existing file")
        return value

    @field_validator("sends_email_column", "sends_time_column")
    @classmethod
    def _is_column(cls, value: str) -> str:
        if not is_identifier(value):
            raise ValueError("a column's name of letters, digits and _")
        return value
