"""What is kept in the warehouse."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from holley_assets.settings.section import PREFIX, Section


class WarehouseSettings(Section):
    """What is kept in the warehouse."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "WAREHOUSE_")

    snapshots: Annotated[int, Field(ge=1, le=1000)] = Field(
        8, description="earlier versions of a delivered table that are kept for rollback"
    )
