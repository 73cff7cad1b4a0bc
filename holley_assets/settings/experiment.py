"""The experiment on customers."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from holley_assets.settings.section import PREFIX, Section


class ExperimentSettings(Section):
    """The experiment on customers; everything else about it is in its declaration."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "EXPERIMENT_")

    declaration: Path | None = Field(
        None,
        description="TOML file that declares the experiment (holley_assets/experiment/README.md); unset: there is "
        "none, and no exposure is logged",
    )

    @field_validator("declaration")
    @classmethod
    def _declaration_exists(cls, value: Path | None) -> Path | None:
        if value is not None and not os.path.isfile(os.path.expanduser(value)):  # noqa: PTH111, PTH113
            raise ValueError("an existing file")
        return value
