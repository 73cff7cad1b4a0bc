"""The warehouse behind a run: DuckDB on this machine; BigQuery has the same interface."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from holley_assets.resources.settings_resource import open_store
from holley_assets.resources.warehouse.bigquery.spending import Spending
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.interface import Origin, Warehouse
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES
from holley_assets.settings import Settings

DATABASE_FILE = "warehouse.duckdb"
ASSET_FOLDER = "assets"
TEMPORARY_FOLDER = "tmp"
LOCK_SECONDS = 10.0
# What queries call the live pipeline's table.
LIVE_RECOMMENDATIONS = "live_recommendations"
# What they call the table of real sends, and its columns.
SENDS, SENDS_EMAIL, SENDS_TIME = "experiment_sends", "email", "sent_at"


class WarehouseResource(dg.ConfigurableResource["WarehouseResource"]):
    """Opens the warehouse that ``HOLLEY_ENV`` names."""

    def open(
        self,
        settings: Settings,
        source_location: Path | str,
        assets: Mapping[str, Path] | None = None,
        *,
        origin: Origin | None = None,
        lock_seconds: float = LOCK_SECONDS,
    ) -> Warehouse:
        """Warehouse over the source tables at ``source_location`` and the assets written so far.

        Args:
            settings: the run's.
            source_location: folder with one ``<table>.parquet`` for each source table; BigQuery's are where the
                settings say.
            assets: files that queries read in the place of assets of these names; BigQuery reads the tables
                that queries of these names made.
            lock_seconds: how long another process may hold DuckDB's file before an error says so.
            origin: the step that asks; BigQuery labels its jobs with it and counts what the run costs.

        Raises:
            WarehouseError: there are no credentials for BigQuery.
        """
        data_dir = settings.run.data_dir
        named = {LIVE_RECOMMENDATIONS: settings.evaluation.live_table, SENDS: settings.experiment.sends_table}
        named_tables = {name: table for name, table in named.items() if table}
        columns = {
            SENDS: {
                SENDS_EMAIL: settings.experiment.sends_email_column,
                SENDS_TIME: settings.experiment.sends_time_column,
            }
        }
        guarded = [(settings.serving_dataset, settings.serving.table)]
        if settings.run.env == "prod":
            # Seconds of imports that a local run does not need.
            from holley_assets.resources.warehouse.bigquery.client import open_client, open_read_client
            from holley_assets.resources.warehouse.bigquery.warehouse import BigQueryWarehouse

            return BigQueryWarehouse(
                open_client(settings.bigquery),
                open_read_client(settings.bigquery),
                settings.bigquery,
                temporary_directory=data_dir / TEMPORARY_FOLDER,
                origin=origin,
                spending=Spending(open_store(settings), origin.run_id) if origin else None,
                stand_ins=named_tables,
                columns=columns,
                guarded=guarded,
            )
        named_files = {
            name: source_path(Path(source_location), table.rpartition(".")[2])
            for name, table in named_tables.items()
        }
        written = {path.stem: path for path in (data_dir / ASSET_FOLDER).glob("[!.]*.parquet")}
        return DuckDBWarehouse(
            sources={table: source_path(Path(source_location), table) for table in SOURCE_TABLES},
            assets={**written, **named_files, **(assets or {})},
            columns=columns,
            dollars=settings.bigquery.dollars,
            database=data_dir / DATABASE_FILE,
            temporary_directory=data_dir / TEMPORARY_FOLDER,
            guarded=guarded,
            lock_seconds=lock_seconds,
            # A pod has its memory for itself.
            processes=1 if settings.compute.executor == "k8s" else settings.compute.steps_at_once,
        )


def origin_of(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext | dg.OpExecutionContext,
) -> Origin:
    """The step behind ``context``."""
    op = context.op if isinstance(context, dg.OpExecutionContext) else context.op_execution_context.op
    return Origin(context.run.run_id, op.name)


def source_path(folder: Path, table: str) -> Path:
    """File, or folder of part files, of a source table: ``<table>.parquet``, or a folder ``<table>``."""
    named = folder / f"{table}.parquet"
    return folder / table if not named.exists() and (folder / table).is_dir() else named
