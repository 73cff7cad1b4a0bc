"""What is kept in the warehouse."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from holley_assets.settings.section import PREFIX, Count, Section


class WarehouseSettings(Section):
    """What is kept in the warehouse."""

    model_config = SettingsConfigDict(env_prefix=PREFIX + "WAREHOUSE_")

    snapshots: Count = Field(
        8, description="earlier versions of a delivered table that are kept for rollback"
    )
