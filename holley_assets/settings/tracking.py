"""Where a training is recorded."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from holley_assets.settings.section import PREFIX, Name, Section, names_a_user

_ADDRESS = re.compile(
    r"(https?|(postgresql|mysql|mssql)(\+\w+)?)://[^/].*|sqlite:///.+|databricks(-uc)?(://.+)?"
)


class TrackingSettings(Section):
    """Where a training is recorded."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "MLFLOW_")
    required_in_production: ClassVar[tuple[str, ...]] = ("tracking_uri",)

    tracking_uri: str | None = Field(
        None,
        max_length=1000,
        description="MLflow tracking server, such as https://mlflow.example.com; unset: a SQLite store under "
        "HOLLEY_DATA_DIR",
    )
    experiment: Name = Field("holley-gnn", description="MLflow experiment")
    timeout_seconds: Annotated[int, Field(ge=1, le=3600)] = Field(
        10, description="the longest that one request to the tracking server may take"
    )
    retries: Annotated[int, Field(ge=0, le=10)] = Field(
        2, description="times that a request is sent again before its record waits for the next run"
    )

    @field_validator("tracking_uri")
    @classmethod
    def _is_an_address_without_a_password(cls, value: str | None) -> str | None:
        # Without a scheme MLflow takes it for a folder, and refuses for ever what is recorded there.
        if value is not None and not _ADDRESS.fullmatch(value):
            raise ValueError("an address such as https://mlflow.example.com, or a database's")
        if value is not None and names_a_user(value):
            raise ValueError(
                "an address without a user or password; MLflow takes them from MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, or a token from MLFLOW_TRACKING_TOKEN"
            )
        return value
