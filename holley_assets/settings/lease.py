"""Whose run may write: one at a time in a data folder, and in production in a working dataset."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from holley_assets.settings.section import PREFIX, Section


class LeaseSettings(Section):
    """How long a run waits for another, and when another counts as gone."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "LEASE_")

    wait_minutes: Annotated[float, Field(ge=0.0, le=1440.0)] = Field(
        60.0,
        description="how long a run waits for another that writes to the same HOLLEY_DATA_DIR, or prod: to the same "
        "HOLLEY_BIGQUERY_WORKING_DATASET, before it ends; 0: not at all",
    )
    expires_seconds: Annotated[int, Field(ge=30, le=3600)] = Field(
        180,
        description="prod: a run that has not renewed its lease for so long is gone, and the next takes over",
    )
