"""What the daemon watches without a run: the tables that others write, and the age of those that we write."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from holley_assets.settings.section import PREFIX, Section

_DAYS = "_days"
_USERS = "ingestion_unified_attributes_schema_incremental"
_EVENTS = "ingestion_unified_schema_incremental"


class WatchSettings(Section):
    """Which source tables start a delivery, and how old a table may be.

    The incremental tables are loaded every day. The others are imports: the catalogue changes within a month, fitment
    with the model year, and orders since HOLLEY_INTENT_START come from the events.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX + "WATCH_")

    required: str = Field(
        f"{_USERS} {_EVENTS}",
        max_length=1000,
        description="source tables, separated by spaces, that must all have moved since the last delivery for "
        "upstream_sensor to start daily_score",
    )
    hours_between: Annotated[float, Field(gt=0.0, le=8760.0)] = Field(
        6.0,
        description="least hours between a delivery, or an attempt, and the next that upstream_sensor starts: a "
        "table that never stops moving would start one after the other",
    )
    ingestion_unified_attributes_schema_incremental_days: Annotated[float, Field(gt=0.0, le=3650.0)] = Field(
        2.0, description="days after which the table of users is stale"
    )
    ingestion_unified_schema_incremental_days: Annotated[float, Field(gt=0.0, le=3650.0)] = Field(
        2.0, description="days after which the table of events is stale"
    )
    treatment_interaction_days: Annotated[float, Field(gt=0.0, le=3650.0)] = Field(
        7.0, description="days after which the table of opened and clicked e-mails is stale"
    )
    vehicle_product_fitment_data_days: Annotated[float, Field(gt=0.0, le=3650.0)] = Field(
        180.0, description="days after which the fitment table is stale"
    )
    import_items_days: Annotated[float, Field(gt=0.0, le=3650.0)] = Field(
        30.0, description="days after which the catalogue is stale"
    )
    import_items_tags_days: Annotated[float, Field(gt=0.0, le=3650.0)] = Field(
        30.0, description="days after which the table of tags is stale"
    )
    import_orders_days: Annotated[float, Field(gt=0.0, le=3650.0)] = Field(
        180.0, description="days after which the table of orders is stale"
    )
    output_days: Annotated[float, Field(gt=0.0, le=3650.0)] = Field(
        7.0, description="days after which the delivered table and the serving table are stale"
    )

    @property
    def required_tables(self) -> list[str]:
        """The tables in ``required``, one by one."""
        return self.required.split()

    def stale_after_days(self, table: str) -> float:
        """The limit of a source table, in days."""
        return float(getattr(self, table + _DAYS))

    @field_validator("required")
    @classmethod
    def _are_source_tables(cls, value: str) -> str:
        limits = {name.removesuffix(_DAYS) for name in cls.model_fields if name.endswith(_DAYS)}
        tables = sorted(limits - {"output"})
        if not value.split() or not set(value.split()) <= set(tables):
            raise ValueError(f"at least one of {', '.join(tables)}, separated by spaces")
        return value
