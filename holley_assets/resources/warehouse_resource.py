"""The warehouse behind a run: DuckDB on this machine; BigQuery has the same interface."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from holley_assets.resources.duckdb_warehouse import DuckDBWarehouse
from holley_assets.resources.source_tables import SOURCE_TABLES
from holley_assets.resources.warehouse import Warehouse
from holley_assets.settings import Settings, SettingsError

DATABASE_FILE = "warehouse.duckdb"
ASSET_FOLDER = "assets"
TEMPORARY_FOLDER = "tmp"


class WarehouseResource(dg.ConfigurableResource):
    """Opens the warehouse that ``HOLLEY_ENV`` names."""

    def open(
        self, settings: Settings, source_location: Path | str, assets: Mapping[str, Path] | None = None
    ) -> Warehouse:
        """Warehouse over the source tables at ``source_location`` and the assets written so far.

        Args:
            settings: the run's.
            source_location: folder with one ``<table>.parquet`` for each source table.
            assets: files that queries read in the place of assets of these names.

        Raises:
            SettingsError: ``HOLLEY_ENV`` asks for a warehouse that this version does not have.
        """
        if settings.run.env != "local":
            raise SettingsError(
                f"HOLLEY_ENV={settings.run.env} is not available in this version; allowed: local"
            )
        data_dir = settings.run.data_dir
        written = {path.stem: path for path in (data_dir / ASSET_FOLDER).glob("[!.]*.parquet")}
        return DuckDBWarehouse(
            sources={table: source_path(Path(source_location), table) for table in SOURCE_TABLES},
            assets={**written, **(assets or {})},
            database=data_dir / DATABASE_FILE,
            temporary_directory=data_dir / TEMPORARY_FOLDER,
            snapshots=settings.warehouse.snapshots,
        )


def source_path(folder: Path, table: str) -> Path:
    """File, or folder of part files, of a source table: ``<table>.parquet``, or a folder ``<table>``."""
    named = folder / f"{table}.parquet"
    return folder / table if not named.exists() and (folder / table).is_dir() else named
