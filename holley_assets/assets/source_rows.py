"""What became of each row of the seven source tables."""

import dagster as dg

from holley_assets.assets.step import Step, with_windows
from holley_assets.checks.known_part_checks import KNOWN_PART_CHECKS, NAMING_TABLES, check_known_parts
from holley_assets.checks.source_row_checks import SOURCE_ROW_CHECKS, SOURCE_ROWS, check_source_rows, outcomes
from holley_assets.core.failures import one_line
from holley_assets.core.groups import GRAPH_TABLES, OWNERS
from holley_assets.core.materialized import Materialized
from holley_assets.core.metadata_keys import SOURCE_KIND
from holley_assets.pipeline.options import query_parameters
from holley_assets.resources.io_manager import read_parquet
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.resources.warehouse.sql_files import query_dependencies
from holley_assets.resources.warehouse_resource import WarehouseResource


@dg.asset(
    name=SOURCE_ROWS,
    group_name=GRAPH_TABLES,
    owners=OWNERS,
    kinds={"sql", "duckdb", "bigquery"},
    deps=with_windows(query_dependencies(SOURCE_ROWS)),
    check_specs=[*SOURCE_ROW_CHECKS, *KNOWN_PART_CHECKS],
    # With checks of its own, an asset annotated as MaterializeResult is taken to have no value.
    dagster_type=dg.Any,
)
def source_rows(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    warehouse: WarehouseResource,
) -> Materialized:
    """One row a source table, outcome and reason: rows in, rows kept, and rows dropped by reason.

    A row counts once, under its first reason. Rows that are merely of no concern, such as events of other types or
    outside of the window, have reasons of their own. What has no reason and is in no table is `lost`, and stops the
    run. The tables made of the sources count what they drop in their own units: accounts, parts of an event, labels.
    """
    step = Step(context, settings)
    with one_line(WarehouseError):
        result = step.open(warehouse).query_to_parquet(
            SOURCE_ROWS,
            query_parameters(step.settings, step.windows),
            step.staging_path(context.asset_key),
        )
    rows = read_parquet(result.path)
    limits = step.settings.checks
    return dg.MaterializeResult(
        value=result.path,
        metadata={
            **{table: dict(counts) for table, counts in outcomes(rows).items()},
            SOURCE_KIND: step.windows.source_kind,
            **result.costs,
            **step.took(),
        },
        check_results=[
            *check_source_rows(rows, limits.late_rows_share),
            *check_known_parts(rows, step.asset_paths(NAMING_TABLES), limits),
        ],
    )
