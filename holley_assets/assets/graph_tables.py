"""One asset a SQL file: the tables that the graph, the rules and the evaluation are made of."""

import time

import dagster as dg
import pyarrow as pa

from holley_assets.assets.options import query_parameters
from holley_assets.checks.table_checks import check_table, table_check_specs
from holley_assets.core.event_log import (
    previous_rows,
)
from holley_assets.core.failures import (
    one_line,
)
from holley_assets.core.groups import (
    GRAPH_TABLES,
    OWNERS,
)
from holley_assets.core.metadata_keys import (
    SOURCE_KIND,
)
from holley_assets.core.table_specs import (
    TABLE_SPECS,
    TableSpec,
)
from holley_assets.core.time_windows import (
    TimeWindows,
)
from holley_assets.resources.io_manager import asset_file
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.resources.warehouse.sql_files import query_dependencies
from holley_assets.resources.warehouse_resource import WarehouseResource, origin_of


def build_graph_table(spec: TableSpec) -> dg.AssetsDefinition:
    """Asset that runs ``sql/**/<name>.sql``, checks the file it wrote and publishes it."""

    @dg.asset(
        name=spec.name,
        description=spec.description,
        group_name=GRAPH_TABLES,
        owners=OWNERS,
        kinds={"sql", "duckdb", "bigquery"},
        deps=sorted({*query_dependencies(spec.name), *spec.referenced_tables}),
        check_specs=table_check_specs(spec),
        # With checks of its own, an asset annotated as MaterializeResult is taken to have no value.
        dagster_type=dg.Any,
    )
    def graph_table(
        context: dg.AssetExecutionContext,
        settings: SettingsResource,
        warehouse: WarehouseResource,
        time_windows: pa.Table,
    ) -> dg.MaterializeResult:
        started = time.monotonic()
        run_settings = settings.of_run(context.run)
        windows = TimeWindows.from_table(time_windows)
        store = settings.store()
        with one_line(WarehouseError):
            opened = warehouse.open(run_settings, windows.source_location, origin=origin_of(context))
            result = opened.query_to_parquet(
                spec.name,
                query_parameters(run_settings, windows),
                store.staging_path(asset_file(context.asset_key)),
            )
        queried = time.monotonic()
        checks = check_table(
            spec,
            result.path,
            {name: store.local_path(asset_file(dg.AssetKey(name))) for name in spec.referenced_tables},
            previous=previous_rows(context.instance, spec.name, windows.source_kind),
            minimum_share=run_settings.checks.minimum_rows_share,
        )
        return dg.MaterializeResult(
            value=result.path,
            metadata={
                "dropped": dict(result.dropped),
                "dropped_rows": sum(result.dropped.values()),
                SOURCE_KIND: windows.source_kind,
                **result.costs,
                "seconds": round(queried - started, 2),
                "seconds_checking": round(time.monotonic() - queried, 2),
            },
            check_results=checks,
        )

    return graph_table


graph_tables = [build_graph_table(spec) for spec in TABLE_SPECS]
