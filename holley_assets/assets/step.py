"""What a step of a run works with: its settings, its day, its files, the warehouse, and how long it has taken."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from holley_assets.core.asset_keys import TIME_WINDOWS
from holley_assets.core.event_log import newest_materialization
from holley_assets.core.failures import one_line
from holley_assets.core.time_windows import TimeWindows
from holley_assets.resources.io_manager import asset_file, read_windows
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.storage.artifacts import ArtifactStore
from holley_assets.resources.storage.interface import FileStore
from holley_assets.resources.tracking.journal import Receipt, TrackingJournal
from holley_assets.resources.warehouse.interface import Warehouse
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES
from holley_assets.resources.warehouse_resource import WarehouseResource, origin_of
from holley_assets.settings import Settings


def inputs_of(tables: type) -> dict[str, dg.AssetIn]:
    """An input for each field of a dataclass of tables: the asset of that name."""
    return {field.name: dg.AssetIn(field.name) for field in dataclasses.fields(tables)}


def with_windows(inputs: Iterable[str]) -> list[str]:
    """``inputs``, and ``time_windows`` where a source table is among them; sorted.

    What reads a source comes after the asset that validated it. All else comes after these and takes the run's day
    from its record: an edge from the first asset to every other would hide the flow of the data in the UI.
    """
    names = set(inputs)
    return sorted(names | {TIME_WINDOWS.to_user_string()} if names & SOURCE_TABLES.keys() else names)


class Step:
    """Made from the context of an asset when its function starts; everything else is read when it is asked for.

    Args:
        context: of the asset.
        settings: the resource of that name.
    """

    def __init__(self, context: dg.AssetExecutionContext, settings: SettingsResource) -> None:
        self.context, self.instance, self.log = context, context.instance, context.log
        self.run_id = context.run.run_id
        self._resource = settings
        self.begin()

    @functools.cached_property
    def settings(self) -> Settings:
        """Settings of the run, as its first step froze them."""
        return self._resource.of_run(self.context.run)

    @functools.cached_property
    def windows(self) -> TimeWindows:
        """The run's day and what follows from it, as the run's first step fixed them, or the newest run's.

        The last is for a run of a part of the graph, without its first asset.

        Raises:
            dg.Failure: the run makes ``time_windows`` and has not done so yet, or no run ever did.
        """
        self._require_windows()
        with one_line(FileNotFoundError):
            return read_windows(self.store)

    def _require_windows(self) -> None:
        """Dagster keeps no order between two assets of a run without those in between."""
        run, key = self.context.run, TIME_WINDOWS.to_user_string()
        if TIME_WINDOWS not in self.context.job_def.asset_layer.selected_asset_keys:
            return
        if run.step_keys_to_execute is not None and key not in run.step_keys_to_execute:
            return
        made = newest_materialization(self.instance, TIME_WINDOWS)
        if made is None or made.run_id != run.run_id:
            raise dg.Failure(
                f"{self.context.op_execution_context.op.name} started before {key} of its run was there: leave {key} "
                "out of the selection, or select what lies between them too",
                allow_retries=False,
            )

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
