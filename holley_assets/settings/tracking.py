"""Where a training is recorded."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import urlsplit

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from holley_assets.settings.section import PREFIX, Section


class TrackingSettings(Section):
    """Where a training is recorded."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "MLFLOW_")
    required_in_production: ClassVar[tuple[str, ...]] = ("tracking_uri",)

    tracking_uri: str | None = Field(
        None, description="MLflow tracking server; unset: a SQLite store under HOLLEY_DATA_DIR"
    )
    experiment: str = Field("holley-gnn", min_length=1, description="MLflow experiment")

    @field_validator("tracking_uri")
    @classmethod
    def _holds_no_password(cls, value: str | None) -> str | None:
        # The address is logged and frozen with the other settings.
        if value is not None and urlsplit(value).password:
            raise ValueError("an address without a password; MLflow takes it from MLFLOW_TRACKING_PASSWORD")
        return value
