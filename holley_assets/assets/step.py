"""What a step of a run works with: its settings, its day, its files, the warehouse, and how long it has taken."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from holley_assets.core.time_windows import TimeWindows
from holley_assets.resources.io_manager import asset_file
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.storage.artifacts import ArtifactStore
from holley_assets.resources.storage.interface import FileStore
from holley_assets.resources.tracking.journal import Receipt, TrackingJournal
from holley_assets.resources.warehouse.interface import Warehouse
from holley_assets.resources.warehouse_resource import WarehouseResource, origin_of
from holley_assets.settings import Settings


def inputs_of(tables: type) -> dict[str, dg.AssetIn]:
    """An input for each field of a dataclass of tables: the asset of that name."""
    return {field.name: dg.AssetIn(field.name) for field in dataclasses.fields(tables)}


class Step:
    """Made from the context of an asset when its function starts; everything else is read when it is asked for.

    Args:
        context: of the asset.
        settings: the resource of that name.
        time_windows: asset of that name; steps that have no use for the run's day leave it out.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        settings: SettingsResource,
        time_windows: pa.Table | None = None,
    ) -> None:
        self.context, self.instance, self.log = context, context.instance, context.log
        self.run_id = context.run.run_id
        self._resource = settings
        self._time_windows = time_windows
        self.begin()

    @functools.cached_property
    def settings(self) -> Settings:
        """Settings of the run, as its first step froze them."""
        return self._resource.of_run(self.context.run)

    @functools.cached_property
    def windows(self) -> TimeWindows:
        """The run's day and what follows from it.

        Raises:
            ValueError: the step was made without asset ``time_windows``.
        """
        if self._time_windows is None:
            raise ValueError(f"step {self.context.op_execution_context.op.name} does not read time_windows")
        return TimeWindows.from_table(self._time_windows)

    @functools.cached_property
    def store(self) -> FileStore:
        """Files of all runs."""
        return self._resource.store()

    @functools.cached_property
    def artifacts(self) -> ArtifactStore:
        """Files of this run that are no tables."""
        return ArtifactStore(self.store, self.run_id)

    @functools.cached_property
    def journal(self) -> TrackingJournal:
        """Where trainings, evaluations and deliveries are recorded."""
        return TrackingJournal(self.settings, self.store)

    def asset_paths(self, names: Iterable[str]) -> dict[str, Path]:
        """Parquet files of assets, by name."""
        return {name: self.store.local_path(asset_file(dg.AssetKey(name))) for name in names}

    def staging_path(self, asset: dg.AssetKey) -> Path:
        """Where to write the file that becomes ``asset``."""
        return self.store.staging_path(asset_file(asset))

    def open(self, warehouse: WarehouseResource, assets: Mapping[str, Path] | None = None) -> Warehouse:
        """The warehouse over the run's sources, on behalf of this step.

        Args:
            warehouse: the resource of that name.
            assets: see :meth:`.WarehouseResource.open`.

        Raises:
            WarehouseError: there are no credentials for it.
        """
        location, origin = self.windows.source_location, origin_of(self.context)
        return warehouse.open(self.settings, location, assets, origin=origin)

    def shown(self, tracked: Receipt) -> dict[str, Any]:
        """What the UI shows of an entry in the journal; a warning goes to the log too."""
        if tracked.warning:
            self.log.warning(tracked.warning)
        return dict(tracked.metadata)

    def begin(self) -> None:
        """Count the seconds from now on."""
        self._started = time.monotonic()

    def took(self) -> dict[str, float]:
        """``seconds`` since the step, or the part of it that :meth:`begin` names, began: an entry of the metadata."""
        return {"seconds": round(time.monotonic() - self._started, 2)}
