"""Earlier versions of a table that others read: what is in each, and which are kept.

The newest are kept, and of the older ones the last good version of the champion before this one and the last one of the
SQL pipeline alone: a week of daily deliveries must not push out the version that a rollback needs.
"""

from __future__ import annotations

import datetime
from typing import NamedTuple

from holley_assets.core.metadata_keys import MODEL_VERSION
from holley_assets.ranking.arms import SQL_ARM
from holley_assets.resources.tracking.mlflow_store import TrackingError
from holley_assets.resources.warehouse.interface import MissingTableError, Warehouse, WarehouseError
from holley_assets.settings import ServingSettings, Settings

GENERATED_AT = "generated_at"


class Version(NamedTuple):
    """A version of a table."""

    name: str
    day: datetime.date | None
    models: frozenset[str]
    rows: int

    @property
    def words(self) -> str:
        """For people: its day, its models and its rows."""
        return f"{self.name}: of {self.day}, {' and '.join(sorted(self.models))}, {self.rows:,} rows"


def describe_version(warehouse: Warehouse, dataset: str, name: str) -> Version:
    """What is in a version.

    Raises:
        WarehouseError: it cannot be read.
    """
    counts = warehouse.value_counts(dataset, name, [MODEL_VERSION, GENERATED_AT])
    days = [at.date() for _, at in counts if isinstance(at, datetime.datetime)]
    models = frozenset(str(model) for model, _ in counts)
    return Version(name, max(days, default=None), models, sum(counts.values()))


def latest_day(warehouse: Warehouse, dataset: str, table: str) -> datetime.date | None:
    """The day of the rows that a table holds; ``None`` where there is no table, or one without days.

    Raises:
        WarehouseError: it cannot be read.
    """
    try:
        described = warehouse.describe_table(dataset, table)
    except MissingTableError:
        return None
    if GENERATED_AT not in described.columns:
        return None
    days = [at for (at,) in warehouse.value_counts(dataset, table, [GENERATED_AT])]
    return max((at.date() for at in days if isinstance(at, datetime.datetime)), default=None)


def name_beside(
    warehouse: Warehouse,
    serving: ServingSettings,
    dataset: str,
    table: str,
    day: datetime.date,
    *,
    dated_by: str | None = None,
) -> str | None:
    """Name of the table for rows of ``day``, where the present rows of ``table`` are later and are to stay; else None.

    Args:
        dated_by: table of the dataset that tells the day of the present rows; None: ``table`` itself.

    Raises:
        WarehouseError: the present rows cannot be read.
    """
    if serving.older_day == "replace":
        return None
    held = latest_day(warehouse, dataset, dated_by or table)
    return f"{table}_of_{day:%Y%m%d}" if held is not None and day < held else None


def expired_versions(older: list[Version], previous_champion: str | None) -> list[str]:
    """Which of the versions that are not among the newest may go.

    Args:
        older: newest first.
        previous_champion: version of the model whose last good version is kept.
    """
    of_sql = (version.name for version in older if version.models == {SQL_ARM})
    of_champion = (
        version.name
        for version in older
        if previous_champion in version.models and version.models <= {previous_champion, SQL_ARM}
    )
    kept = {next(of_sql, None), next(of_champion, None)}
    return [version.name for version in older if version.name not in kept]


def drop_expired(warehouse: Warehouse, settings: Settings, dataset: str, table: str) -> list[str]:
    """Let old versions of a table go; returns what stood in the way, a line each."""
    try:
        older = warehouse.list_snapshots(dataset, table)[settings.warehouse.snapshots :]
        if older:
            versions = [describe_version(warehouse, dataset, name) for name in older]
            for name in expired_versions(versions, _previous_champion(settings)):
                warehouse.drop_snapshot(dataset, table, name)
    except (WarehouseError, TrackingError) as error:
        return [f"Old versions of {dataset}.{table} stay for now: {error}"]
    return []


def _previous_champion(settings: Settings) -> str | None:
    from holley_assets.resources.tracking.model_registry import open_model_registry

    pair = open_model_registry(settings).leaving_and_returning()
    return pair[1].model_version if pair else None
